"""C5: estimates for too long at a stretch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, longer, marks, spans
from collector.vee.series import DAY
from shared.status import Status


@dataclass(frozen=True, slots=True)
class Prolonged(Limits):
    """How long estimates may stand in for a meter (vee.md C5)."""

    warn_days: int = 7
    fail_days: int = 30


@RULES.add("C5", "E", limits=Prolonged, sources=EVERY)
def prolonged(block: Block, limit: Prolonged) -> Iterator[Marks]:
    """Warn of more than a week of estimates without a measured interval; object to more than thirty days."""
    per_day = DAY // block.length
    found = longer(spans(block.known & (block.status == Status.ESTIMATED)), limit.warn_days * per_day + 1)
    count = found.stop - found.first
    days = np.round(count / per_day, 1).astype(np.str_)
    text = "Estimated without a break for {days} days from {when}; the meter needs a visit."
    hard = count > limit.fail_days * per_day
    yield marks("E", text, found, count, limit.fail_days * per_day, days=days).only(hard)
    yield marks("W", text, found, count, limit.warn_days * per_day, days=days).only(~hard)
