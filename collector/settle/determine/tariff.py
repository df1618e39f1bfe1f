"""Tariff periods: which intervals are peak, which are not, by local clock, day type, month and date.

Rule of this file: every interval belongs to the first period that claims it, and to `rest` where none does, so that the
periods add up to the whole.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import numpy as np

from collector.vee.series import Bools

REST = "rest"
WORKDAYS = frozenset(range(5))
WEEKEND = frozenset({5, 6})
ALL_DAYS = WORKDAYS | WEEKEND


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """When a tariff period holds, in local time; `stop` midnight is the end of the day."""

    name: str
    start: time = time(0)
    stop: time = time(0)
    weekdays: frozenset[int] = ALL_DAYS  # Monday is 0
    months: frozenset[int] = frozenset(range(1, 13))
    holidays: bool | None = None  # True: only on them, False: never on them, None: as any day
    since: date | None = None
    until: date | None = None  # the first day on which it no longer holds

    def holds(self, at: datetime, holidays: Collection[date]) -> bool:
        """Return whether a local time is in the period."""
        day, clock = at.date(), at.time()
        dated = (self.since is None or self.since <= day) and (self.until is None or day < self.until)
        kind = self.holidays is None or self.holidays == (day in holidays)
        hours = self.start <= clock and (self.stop == time(0) or clock < self.stop)
        if self.stop != time(0) and self.stop < self.start:  # over midnight
            hours = clock >= self.start or clock < self.stop
        return dated and kind and hours and day.weekday() in self.weekdays and day.month in self.months


def periods(
    tariff: Sequence[Period], start: int, length: int, count: int, timezone: str, holidays: Collection[date] = ()
) -> dict[str, Bools]:
    """Return which intervals each period has; together they are all of them, each once.

    Args:
        tariff: Periods, the first that claims an interval has it.
        start: Of the first interval. [UTC s]
        length: Of each. [s]
        count: How many.
        timezone: Whose clock.
        holidays: Local dates.

    Raises:
        ValueError: a period begins or ends inside an interval.
    """
    for one in tariff:
        for edge in (one.start, one.stop):
            if (edge.hour * 3600 + edge.minute * 60 + edge.second) % length:
                raise ValueError(f"period {one.name}: {edge} lies inside an interval of {length} s")
    zone = ZoneInfo(timezone)
    local = [datetime.fromtimestamp(start + at * length, UTC).astimezone(zone) for at in range(count)]
    whose = [next((one.name for one in tariff if one.holds(at, holidays)), REST) for at in local]
    names = [*dict.fromkeys(one.name for one in tariff), REST]
    return {name: np.array([one == name for one in whose], dtype=np.bool_) for name in names}
