"""B1: the clock of the gateway was not proved right."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Clock(Limits):
    """How right a gateway's clock must be (vee.md B1)."""

    proven_s: int = 86_400  # a comparison with a source of time must not be older
    offset_ms: int = 1000  # warned of from here
    offset_percent: int = 10  # of the interval's length, objected to from here


@RULES.add("B1", "E", limits=Clock, sources=EVERY)
def gateway_clock(block: Block, limit: Clock) -> Iterator[Marks]:
    """Object to a gateway's clock a tenth of an interval off; warn of a second, and of a day without comparison."""
    hard = block.length * limit.offset_percent * 10_000
    if "gateway" in block.numbers:
        off = np.where(block.masks["gateway"], np.abs(block.numbers["gateway"]), 0)
        text = "The gateway's clock was {off} s off UTC for {many} from {when}."
        for severity, low, high in (("E", hard, None), ("W", limit.offset_ms * 1000, hard)):
            found = spans((off > low) if high is None else (off > low) & (off <= high))
            worst = over(off, found)
            yield marks(severity, text, found, worst, low, off=np.round(worst / 1e6, 3).astype(str))  # type: ignore[arg-type] # the two severities above
    if "proven" in block.numbers:
        found = spans(block.masks["proven"] & (block.numbers["proven"] > limit.proven_s))
        text = "The gateway's clock was not compared with a source of time for {many} from {when}; see to its NTP."
        yield marks("W", text, found, over(block.numbers["proven"], found), limit.proven_s)
