"""A8: an interval from the future, or from before the open window."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Window(Limits):
    """When an interval may be (vee.md A8)."""

    ahead_s: int = 60  # how far an interval may end after now
    open_days: int = 400  # how old it may be


@RULES.add("A8", "E", limits=Window, needs=("now",), sources=EVERY, version=2)
def time(block: Block, window: Window) -> Iterator[Marks]:
    """Object to values that end after they came; warn of those older than the open window by then.

    Where it is not known when they came, they are held against the time at which the series is looked at.
    """
    now = np.broadcast_to(block.numbers["now"], block.values.shape)
    if "arrived" in block.numbers:
        now = np.where(block.masks["arrived"], block.numbers["arrived"], now)
    starts = block.start + block.length * np.arange(block.n, dtype=np.int64)[None]
    latest = now + window.ahead_s
    ends = np.broadcast_to(starts + block.length, block.values.shape)
    future = spans(block.known & (ends > latest))
    text = "{many} from {when} end in the future; look at the clocks of gateway and collector."
    yield marks("E", text, future, over(ends, future), over(latest, future, np.minimum))
    oldest = now - window.open_days * 86_400
    begins = np.broadcast_to(starts, block.values.shape)
    old = spans(block.known & (begins < oldest))
    text = "{many} from {when} are older than the open window; nothing is settled from them unasked."
    yield marks("W", text, old, over(begins, old, np.minimum), over(oldest, old))
