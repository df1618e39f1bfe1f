"""I3: an edit so large that a second person must look at it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks
from shared.status import Status


@dataclass(frozen=True, slots=True)
class Second(Limits):
    """From where on a second person approves (vee.md I3)."""

    permille: int = 10  # of the day's energy
    energy_kWh: int = 100  # noqa: N815 - the unit is written as the trade writes it


@RULES.add("I3", "E", limits=Second, needs=("before", "before_approved"), sources=EVERY)
def second_person(block: Block, limit: Second) -> Iterator[Marks]:
    """Object to edits that move more than 1 % of a local day or 100 kWh and that nobody else has approved."""
    old = block.numbers["before"]
    edited = block.known & (block.status == Status.EDITED) & block.masks["before"] & ~block.masks["before_approved"]
    moved = days.sums(block, np.where(edited, np.abs(block.values - old), 0))
    whole = days.sums(block, np.where(block.known, np.abs(np.where(edited, old, block.values)), 0))
    share = whole * limit.permille // 1000
    most = np.minimum(share, limit.energy_kWh * 1_000_000)
    found, row, day = days.spans_of(block, moved > most)
    text = "Edits of local day {date} move {observed}, more than {limit}; a second person must approve them."
    yield marks("E", text, found, moved[row, day], most[row, day], date=days.dates(block, day))
