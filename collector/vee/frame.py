"""A gap's surroundings as estimators see them: a table of local days by wall slots, the gap itself blank.

Rules of this file: the blanked slots are never read; everything else is read at most HISTORY days back and AHEAD days
on. Floats are allowed here, because a shape is no energy until `reconcile` turns it into integers.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from collector.vee.localtime import EPOCH, Layout, layout
from collector.vee.series import DAY, REFERENCE, Bools, Floats, Ints, Series

HISTORY = 70  # [days]; accuracy.md measured with 56
AHEAD = 36  # [days]
WORKDAY, SATURDAY, SUNDAY = 0, 1, 2


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Gaps of one length, by their first slots: the one to fill, then those of its back-test."""

    firsts: Ints
    length: int

    @property
    def slots(self) -> Ints:
        """Return the slots of each gap. [gaps x length]"""
        return self.firsts[:, None] + np.arange(self.length, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Shapes:
    """What an estimator says of each gap, before any total is known; `why` and `inputs` speak of the first."""

    values: Floats  # [gaps x length], any numbers where not usable
    usable: Bools  # [gaps]
    why: str  # why the first gap cannot be estimated so, empty if it can
    inputs: dict[str, object]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The series around a gap; `origin` is the slot of the whole series that is slot 0 here."""

    series: Series
    origin: int
    y: Floats  # NaN in the gap and wherever a value may not serve as end or reference
    padded: Floats  # the same with a NaN at either end
    lacking: Ints  # [slots + 1] how many NaN stand before each slot
    check: Floats  # NaN where the check meter is not known
    beside: Floats  # [neighbours x slots] NaN where not known, rows in the order of `names`
    names: tuple[str, ...]
    layout: Layout
    table: Floats  # [days x wall slots]
    whole: Bools  # [days] complete, no estimate, no outage, nothing missing
    mostly: Bools  # [days] complete, and at least nine tenths of it may serve
    weekday: Ints  # [days] Monday is 0
    holiday: Bools  # [days]
    daytype: Ints  # [days] a holiday counts as a Sunday
    level: float  # mean absolute value [counts]
    spread: float  # mean absolute deviation from the mean [counts]
    memory: float  # how much of a deviation from the mean profile lasts to the next interval: lag-1 correlation, 0 to 1

    def at(self, slots: Ints) -> Floats:
        """Return values at any slots, NaN beyond the frame."""
        return self.padded.take(slots + 1, mode="clip")


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Gaps widened by one slot at each side, and the local days that they touch."""

    gaps: Gaps
    row: Ints  # [gaps x 1] 0, 1, 2 ...
    slots: Ints  # [gaps x length + 2], clipped to the series
    inside: Bools  # [gaps x length + 2] the slot is in the series
    target: Ints  # [gaps x length + 2] which of `days` the slot lies on
    days: Ints  # [gaps x touched] day indices
    barred: Bools  # [gaps x touched x days] may not be a reference


@lru_cache(maxsize=1024)
def either_side(stride: int, count: int) -> Ints:
    """Return so many strides back and on in turn, nearest first; read-only, since it is shared.

    >>> either_side(96, 2).tolist()
    [-96, 96, -192, 192]
    """
    found = np.repeat(stride * np.arange(1, count + 1, dtype=np.int64), 2)
    found[::2] *= -1
    found.setflags(write=False)
    return found


def window(seen: Frame, gaps: Gaps) -> Window:
    """Return the surroundings of some gaps."""
    wide = gaps.firsts[:, None] + np.arange(-1, gaps.length + 1, dtype=np.int64)
    slots = np.clip(wide, 0, len(seen.y) - 1)
    on = seen.layout.day[slots]
    first = on[:, :1]
    target = on - first
    days = np.minimum(first + np.arange(int(target.max()) + 1), len(seen.whole) - 1)
    every = np.arange(len(seen.whole))
    touched = (every >= on[:, 1:2]) & (every <= on[:, -2:-1])
    barred = touched[:, None, :] | (every == days[:, :, None])
    row = np.arange(len(slots))[:, None]
    return Window(gaps, row, slots, slots == wide, target, days, barred)


def frame(series: Series, first: int, stop: int) -> Frame:
    """Return what estimators may see of a series in which [first, stop) is to be filled."""
    per_day = DAY // series.length
    low, high = max(0, first - HISTORY * per_day), min(series.size, stop + AHEAD * per_day)
    known = _serves(series, low, high)
    known[first - low : stop - low] = False
    padded = _padded(series.values[low:high], known)
    y = padded[1:-1]
    zeroed, spoken = np.where(known, y, 0.0), y[known]
    where = layout(series.timezone, series.start + low * series.length, series.length, high - low)
    weekday = (where.ordinal + 3) % 7  # 1970-01-01 was a Thursday
    holiday = _holiday(series, where)
    daytype = np.where(holiday | (weekday == 6), SUNDAY, np.where(weekday == 5, SATURDAY, WORKDAY))
    slots = np.bincount(where.day)
    lacking = np.bincount(where.day[~known], minlength=len(slots))
    return Frame(
        series=series,
        origin=low,
        y=y,
        padded=padded,
        lacking=np.concatenate([[0], (~known).cumsum()]),
        check=_check(series, low, high),
        beside=_beside(series, low, high),
        names=tuple(sorted(series.neighbours)),
        layout=where,
        table=by_day(y, where),
        whole=where.complete & (lacking == 0),
        mostly=where.complete & (lacking * 10 <= slots),
        weekday=weekday,
        holiday=holiday,
        daytype=daytype,
        level=float(np.abs(spoken).mean()) if len(spoken) else 0.0,
        spread=float(np.abs(spoken - zeroed.sum() / len(spoken)).mean()) if len(spoken) else 0.0,
        memory=_lag_one(zeroed, known, where, daytype),
    )


def _padded(values: Ints, known: Bools) -> Floats:
    padded = np.full(len(values) + 2, np.nan)
    padded[1:-1] = np.where(known, values, np.nan)
    return padded


def _holiday(series: Series, where: Layout) -> Bools:
    if not series.holidays:
        return np.zeros(len(where.ordinal), np.bool_)
    return np.isin(where.ordinal, [day.toordinal() - EPOCH for day in series.holidays])


def _serves(series: Series, low: int, high: int) -> Bools:
    """Return a new mask of the values that may serve as end or reference."""
    serves = REFERENCE[series.status[low:high]]
    return serves if series.outage is None else serves & ~series.outage[low:high]


def _check(series: Series, low: int, high: int) -> Floats:
    if series.check is None or series.check_known is None:
        return np.full(high - low, np.nan)
    return np.where(series.check_known[low:high], series.check[low:high], np.nan)


def _beside(series: Series, low: int, high: int) -> Floats:
    found = np.full((len(series.neighbours), high - low), np.nan)
    for row, name in enumerate(sorted(series.neighbours)):
        known = series.neighbours_known[name][low:high]
        found[row, known] = series.neighbours[name][low:high][known]
    return found


def by_day(y: Floats, where: Layout) -> Floats:
    """Return values by day and wall slot; an hour that the clock shows twice gives the mean of both."""
    cell, size = where.cell, len(where.ordinal) * where.slots
    if not where.twice:
        plain = np.full(size, np.nan)
        plain[cell] = y
        return plain.reshape(-1, where.slots)
    known = ~np.isnan(y)
    count = np.bincount(cell[known], minlength=size)
    total = np.bincount(cell[known], weights=y[known], minlength=size)
    table: Floats = np.divide(total, count, out=np.full(size, np.nan), where=count > 0).reshape(-1, where.slots)
    return table


def _lag_one(zeroed: Floats, known: Bools, where: Layout, daytype: Ints) -> float:
    """Return the lag-one correlation of what values deviate from the mean of their wall slot and day type.

    Args:
        zeroed: Values, zero where unknown.
        known: Where they are known.
        where: Of the slots.
        daytype: Of the days.
    """
    cell = daytype[where.day] * where.slots + where.wall
    count = np.bincount(cell[known], minlength=3 * where.slots)
    total = np.bincount(cell, weights=zeroed, minlength=3 * where.slots)
    mean = np.divide(total, count, out=np.zeros(3 * where.slots), where=count > 0)
    rest = zeroed - mean[cell]
    pairs = known[1:] & known[:-1]
    before, after = rest[:-1][pairs], rest[1:][pairs]
    power = float((before**2).sum())
    return min(max(float((after * before).sum()) / power, 0.0), 0.9999) if power > 0.0 else 0.0
