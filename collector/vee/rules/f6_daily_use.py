"""F6: a local day that uses far more or less than the days before it (California high/low usage)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks


@dataclass(frozen=True, slots=True)
class Use(Limits):
    """What a day may use (vee.md F6)."""

    low_percent: int = 50
    high_percent: int = 200
    days: int = 30  # complete days that are averaged
    least_days: int = 7  # fewer say nothing
    year_days: int = 365  # the days around so long before are asked, too, where the series reaches back so far


@RULES.add("F6", "W", limits=Use, kinds=LOAD)
def daily_use(block: Block, limit: Use) -> Iterator[Marks]:
    """Warn of a day outside 50 to 200 % of the mean of the last thirty complete days, and of a year before."""
    whole = days.whole(block, block.known)
    used = np.where(whole, days.sums(block, np.where(block.known, block.values, 0)), 0)
    mean, told = _recent(used, whole, limit)
    odd = whole & told & _outside(used, mean, limit)
    if used.shape[1] > limit.year_days - limit.days // 2:
        year, known = _a_year_before(used, whole, limit)
        odd &= ~known | _outside(used, year, limit)
    found, row, day = days.spans_of(block, odd)
    text = "Local day {date} uses {observed}; the days before it use {limit} on average."
    yield marks("W", text, found, used[row, day], mean[row, day], date=days.dates(block, day))


def _outside(used: Ints, mean: Ints, limit: Use) -> Bools:
    outside: Bools = (mean > 0) & ((used * 100 < mean * limit.low_percent) | (used * 100 > mean * limit.high_percent))
    return outside


def _recent(used: Ints, whole: Bools, limit: Use) -> tuple[Ints, Bools]:
    """Return the mean of the last complete days before each day, and where there are enough."""
    rank: Ints = np.cumsum(whole, axis=1, dtype=np.int64)  # how many complete days there are up to each
    sums = np.zeros((used.shape[0], used.shape[1] + 1), dtype=np.int64)
    np.put_along_axis(sums, rank, np.cumsum(used, axis=1), axis=1)  # by rank; the last of equal ranks is the same sum
    have = rank - whole.astype(np.int64)
    from_ = np.maximum(have - limit.days, 0)
    count = np.maximum(have - from_, 1)
    total = np.take_along_axis(sums, have, axis=1) - np.take_along_axis(sums, from_, axis=1)
    return total // count, have >= limit.least_days


def _a_year_before(used: Ints, whole: Bools, limit: Use) -> tuple[Ints, Bools]:
    """Return the mean of the complete days around a year before each day, and where there are enough."""
    lag, width = limit.year_days - limit.days // 2, limit.days
    mean, known = np.zeros_like(used), np.zeros(used.shape, dtype=np.bool_)
    total, count = days.trailing(used, width), days.trailing(whole.astype(np.int64), width)
    mean[:, lag:] = total[:, :-lag] // np.maximum(count[:, :-lag], 1)
    known[:, lag:] = count[:, :-lag] >= limit.least_days
    return mean, known
