"""C2: a local day that is not complete."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks
from collector.vee.series import Severity
from shared.status import Status


@dataclass(frozen=True, slots=True)
class Complete(Limits):
    """How complete a day must be (vee.md C2)."""

    publishable_permille: int = 950  # with estimates; below it the day is not fit to go out


@RULES.add("C2", "W", limits=Complete, sources=EVERY)
def day(block: Block, limit: Complete) -> Iterator[Marks]:
    """Tell how complete each local day is that is not; warn where even with estimates less than 95 % stand."""
    estimated = block.known & ((block.status == Status.ESTIMATED) | (block.status == Status.FORECAST))
    have, made, slots = days.counts(block, block.known), days.counts(block, estimated), days.slots(block)
    lacking = block.layout.complete & (have - made < slots)
    low = lacking & (have * 1000 < slots * limit.publishable_permille)
    yield _marks(block, low, (have, made), "W")
    yield _marks(block, lacking & ~low, (have, made), "I")


def _marks(block: Block, wrong: Bools, counted: tuple[Ints, Ints], severity: Severity) -> Marks:
    found, row, day = days.spans_of(block, wrong)
    have, made = (one[row, day] for one in counted)
    slots = days.slots(block)[day]
    share, guessed = ((one * 100_000 / slots).round().astype(np.int64) for one in (have - made, made))
    text = "Local day {date} has {measured} % measured and {made} % estimated intervals."
    shown = {"measured": (share / 1000).astype(np.str_), "made": (guessed / 1000).astype(np.str_)}
    return marks(severity, text, found, have - made, slots, date=days.dates(block, day), **shown)
