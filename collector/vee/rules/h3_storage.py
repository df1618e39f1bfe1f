"""H3: a storage that gives more than it took, or loses more than one does."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks


@dataclass(frozen=True, slots=True)
class Efficiency(Limits):
    """What a storage gives back of what it takes (vee.md H3)."""

    days: int = 7
    low_permille: int = 600
    high_permille: int = 1000


@RULES.add("H3", "W", limits=Efficiency, needs=("charge", "discharge"), sources=EVERY)
def storage(block: Block, limit: Efficiency) -> Iterator[Marks]:
    """Warn where discharge over seven days lies outside 0.6 to 1.0 of the charge."""
    known = block.masks["charge"] & block.masks["discharge"]
    taken, given = (
        days.trailing(days.sums(block, np.where(known, block.numbers[name], 0)), limit.days)
        for name in ("charge", "discharge")
    )
    told = days.trailing(days.whole(block, known).astype(np.int64), limit.days) == limit.days
    low, high = taken * limit.low_permille, taken * limit.high_permille
    found, row, day = days.spans_of(block, told & (taken + given > 0) & ((given * 1000 < low) | (given * 1000 > high)))
    text = f"The {limit.days} days up to local day {{date}}: the storage took {{limit}} and gave {{observed}}."
    yield marks("W", text, found, given[row, day], taken[row, day], date=days.dates(block, day))
