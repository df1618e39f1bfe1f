"""F5: a peak far above that of the period before."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.inputs import Ints
from collector.vee.marks import Marks, marks


@dataclass(frozen=True, slots=True)
class Peak(Limits):
    """How far a peak may rise (vee.md F5)."""

    percent: int = 100
    period_days: int = 7
    least_percent: int = 10  # of the rating


def risen(peak: Ints, before: Ints, percent: int) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Return where a peak is more than so many percent above the one before it.

    >>> bool(risen(np.int64(540), np.int64(300), 100)), bool(risen(np.int64(601), np.int64(300), 100))
    (False, True)
    """
    higher: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] = (peak - before) * 100 > before * percent
    return higher


@RULES.add("F5", "W", limits=Peak, kinds=LOAD)
def peak(block: Block, limit: Peak) -> Iterator[Marks]:
    """Warn of a local day whose peak is more than twice that of the seven days before it."""
    tops = days.highest(block, np.where(block.known, block.values, 0))
    told = (days.counts(block, block.known) > 0).astype(np.int64)
    period = limit.period_days
    if tops.shape[1] <= period:
        return
    before = np.zeros_like(tops)
    for lag in range(1, period + 1):  # days, not intervals
        before[:, lag:] = np.maximum(before[:, lag:], tops[:, :-lag])
    enough = np.zeros(tops.shape, dtype=np.bool_)
    enough[:, period:] = days.trailing(told, period)[:, period - 1 : -1] == period
    floor = block.rated(limit.least_percent, 100)
    high = enough & (before > 0) & risen(tops, before, limit.percent) & (tops > floor)
    found, row, day = days.spans_of(block, high)
    text = f"Local day {{date}} peaks at {{observed}}; the {period} days before it at {{limit}}."
    yield marks("W", text, found, tops[row, day], before[row, day], date=days.dates(block, day))
