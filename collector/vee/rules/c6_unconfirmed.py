"""C6: estimates that nothing has confirmed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, spans
from collector.vee.series import DAY
from shared.status import Status


@dataclass(frozen=True, slots=True)
class Confirmed(Limits):
    """How long an estimate may wait for real data (vee.md C6)."""

    days: int = 56


@RULES.add("C6", "W", limits=Confirmed, needs=("now",), sources=EVERY)
def unconfirmed(block: Block, limit: Confirmed) -> Iterator[Marks]:
    """Warn of estimates that still stand eight weeks after their interval."""
    ends = block.start + block.length * np.arange(1, block.n + 1, dtype=np.int64)[None]
    old = ends < block.numbers["now"] - limit.days * DAY
    found = spans(block.known & (block.status == Status.ESTIMATED) & old)
    text = f"{{many}} from {{when}} still estimated after {limit.days} days; get the meter's own values or accept them."
    yield marks("W", text, found, found.stop - found.first, 0)
