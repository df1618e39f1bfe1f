"""F1: one interval stands out of its local day (California style; Oracle D2-INTSPKCHK)."""

import numpy as np

from collector.vee.localtime import Layout, layout
from collector.vee.registry import RULES
from collector.vee.runs import when
from collector.vee.series import Finding, Ints, Series

LARGEST = 2**61  # a third-highest value is taken at most so high, so that 2.8 times it stays an int64


def _load(series: Series) -> bool:
    return series.kind == "load"


@RULES.add("F1", fits=_load)
def spike(series: Series) -> list[Finding]:
    """Warn where (highest - third highest) / third highest of a local day is strictly above 1.80.

    Compared in integers: highest > 2.8 x third highest. Values up to 5 % of the rating are too small to matter; a day
    with fewer than three values above zero says nothing.
    """
    where = layout(series.timezone, series.start, series.length, series.size)
    known = np.where(series.known, series.values, 0)
    highest = np.maximum.reduceat(known, where.starts)
    third = _third(known, where)
    bound = 2 * third + third // 5 * 4 + third % 5 * 4 // 5
    floor = (series.rated_power or 0) * series.length // (20 * 3600)
    days = np.flatnonzero((third > 0) & (highest > bound) & (highest > floor))
    return [_finding(series, where, day, int(highest[day]), int(third[day])) for day in days.tolist()]


def _third(known: Ints, where: Layout) -> Ints:
    """Return the third highest value of each day, zero where it has fewer slots."""
    longest = int(np.diff(where.starts, append=len(known)).max())
    table = np.zeros((len(where.starts), max(longest, 3)), dtype=np.int64)
    table[where.day, np.arange(len(known)) - where.starts[where.day]] = known
    third = np.partition(table, -3, axis=1)[:, -3]
    return np.clip(third, 0, LARGEST)


def _finding(series: Series, where: Layout, day: int, highest: int, third: int) -> Finding:
    on_day = series.known & (where.day == day) & (series.values == highest)
    slot = int(np.flatnonzero(on_day)[0])
    text = (
        f"The interval at {when(series, slot)} is the highest of local day {where.date(day)}: {highest}, more than 2.8 "
        f"times the third highest, {third}."
    )
    return Finding("F1", "W", slot, slot + 1, highest, 14 * third // 5, text)
