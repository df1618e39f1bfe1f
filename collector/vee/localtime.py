"""Local days of UTC slots: which day and which wall slot each belongs to. Days have 23, 24 or 25 hours."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np

from collector.vee.series import DAY, Bools, Ints

EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where each slot lies in local time; read-only, since it is shared."""

    day: Ints  # [n] index of the slot's local day, from 0
    wall: Ints  # [n] slot of the wall clock, 0 at local midnight
    ordinal: Ints  # [days] local date as days since 1970-01-01
    complete: Bools  # [days] every slot of that day is in the series
    starts: Ints  # [days] the first slot of each day
    slots: int  # wall slots of a plain day
    cell: Ints  # [n] place of the slot in a table of days by wall slots
    twice: bool  # an hour is shown twice: two slots share a cell

    def date(self, day: int) -> date:
        """Return the local date of a day index."""
        return date.fromordinal(int(self.ordinal[day]) + EPOCH)


@lru_cache(maxsize=65_536)
def offset(timezone: str, at: int) -> int:
    """Return local time minus UTC at a UTC second. [s]"""
    there = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(timezone)).utcoffset()
    return int((there or timedelta()).total_seconds())


@lru_cache(maxsize=65_536)
def midnight(timezone: str, ordinal: int) -> int:
    """Return when a local date begins; the date is in days since 1970-01-01. [UTC s]"""
    day = date.fromordinal(ordinal + EPOCH)
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).timestamp())


def slots_of(timezone: str, day: date, length: int) -> int:
    """Return how many intervals a local date has.

    >>> slots_of("America/Chicago", date(2026, 3, 8), 900)
    92
    """
    ordinal = day.toordinal() - EPOCH
    return (midnight(timezone, ordinal + 1) - midnight(timezone, ordinal)) // length


def offsets(timezone: str, start: int, length: int, n: int) -> Ints:
    """Return local time minus UTC at each slot's start. [s]"""
    marks = _steps(timezone, start, start + length * n)
    when = np.array([at for at, _ in marks], dtype=np.int64)
    shift = np.array([value for _, value in marks], dtype=np.int64)
    slots = start + length * np.arange(n, dtype=np.int64)
    return shift[np.searchsorted(when, slots, side="right") - 1]


def _steps(timezone: str, start: int, stop: int) -> list[tuple[int, int]]:
    """Return (second, offset) at `start` and wherever the offset changes before `stop`."""
    marks = [(start, offset(timezone, start))]
    for at in range(start // DAY * DAY + DAY, stop + DAY, DAY):
        if offset(timezone, at) != marks[-1][1]:
            changed = _change(timezone, at - DAY, at)
            marks.append((max(changed, start), offset(timezone, changed)))
    return marks


def _change(timezone: str, before: int, after: int) -> int:
    """Return the first second after `before` at which the offset is that of `after`."""
    wanted = offset(timezone, after)
    while after - before > 1:
        middle = (before + after) // 2
        if offset(timezone, middle) == wanted:
            after = middle
        else:
            before = middle
    return after


@lru_cache(maxsize=64)
def layout(timezone: str, start: int, length: int, n: int) -> Layout:
    """Return where n slots from `start` lie in local time."""
    local = start + length * np.arange(n, dtype=np.int64) + offsets(timezone, start, length, n)
    dates = local // DAY
    day = dates - dates[0]
    ordinal = np.arange(dates[0], dates[-1] + 1, dtype=np.int64)
    edges = [midnight(timezone, at) for at in range(int(ordinal[0]), int(ordinal[-1]) + 2)]
    complete = np.bincount(day, minlength=len(ordinal)) == np.diff(edges) // length
    starts = np.flatnonzero(np.diff(day, prepend=-1))
    wall = local % DAY // length
    cell = day * (DAY // length) + wall
    for array in (day, wall, ordinal, complete, starts, cell):
        array.setflags(write=False)
    return Layout(day, wall, ordinal, complete, starts, DAY // length, cell, bool((np.diff(cell) <= 0).any()))
