"""Releases that are due: by local periods and business days after their end. Pure but for `made` and `standing`.

Rules of this file: a business day is neither Saturday, Sunday nor a holiday of the site; what is due `n` business days
after a period is due at the beginning of the day after those; a period that is not over is never due.
"""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from collector.config import Schedule
from collector.series.findings import portions
from collector.settle import sources
from collector.store.schema import release as table

_SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Due:
    """A release whose time has come."""

    schedule: str
    kind: str  # preliminary, final
    start: int  # [UTC s]
    stop: int
    at: int  # since when it is due [UTC s]


def due(schedule: Schedule, timezone: str, holidays: Collection[date], now: int) -> list[Due]:
    """Return what is due by now, oldest first and a preliminary before its final, made or not. [UTC s]"""
    kinds = [("preliminary", schedule.preliminary_after), ("final", schedule.final_after)]
    found = [
        Due(schedule.id, kind, start, stop, at)
        for start, stop, end in _periods(schedule, timezone, now)
        for kind, after in kinds
        if after is not None and (at := _begin(timezone, business_days(end, after, holidays))) <= now
    ]
    return sorted(found, key=lambda one: (one.at, one.start, one.kind != "preliminary"))


def business_days(first: date, count: int, holidays: Collection[date]) -> date:
    """Return the day on which `count` business days from a date on are over.

    >>> business_days(date(2026, 5, 1), 2, {date(2026, 5, 1)})
    datetime.date(2026, 5, 6)
    """
    day, left = first, count
    while left:
        left -= day.weekday() < _SATURDAY and day not in holidays
        day += timedelta(days=1)
    return day


def _periods(schedule: Schedule, timezone: str, now: int) -> Iterator[tuple[int, int, date]]:
    """Give begin, end and the first day after each period that is over. [UTC s]"""
    zone = ZoneInfo(timezone)
    since = int(schedule.since.timestamp())
    day = schedule.since.astimezone(zone).date()
    day = day.replace(day=1) if schedule.period == "month" else day
    while True:
        after = (day + timedelta(days=32)).replace(day=1) if schedule.period == "month" else day + timedelta(days=1)
        start, stop = _begin(timezone, day), _begin(timezone, after)
        if stop > now:
            return
        if start >= since:
            yield start, stop, after
        day = after


def _begin(timezone: str, day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(timezone)).astimezone(UTC).timestamp())


def lacking(
    connection: Connection, schedule: Schedule, found: Collection[Due], whole: dict[int, bool] | None = None
) -> list[Due]:
    """Return those that nobody has made: a final, or a correction of it, stands for the preliminary of its period, too.

    Only a release of just the points of the schedule counts: where it names none, of all that the party had then.

    Args:
        connection: A reading connection.
        schedule: What is wanted.
        found: What is due of it.
        whole: By number whether a release is of all points of its party, as far as that was asked before; it grows.
    """
    made = _made(connection, schedule, {(one.start, one.stop) for one in found}, {} if whole is None else whole)
    finals = {(start, stop) for start, stop, kind in made if kind != "preliminary"}
    early = {(start, stop) for start, stop, kind in made if kind == "preliminary"}
    return [
        one
        for one in found
        if (one.start, one.stop) not in finals and not (one.kind == "preliminary" and (one.start, one.stop) in early)
    ]


def _made(
    connection: Connection, schedule: Schedule, periods: Collection[tuple[int, int]], whole: dict[int, bool]
) -> list[tuple[int, int, str]]:
    """Return period and kind of the releases of some periods that the schedule asks for."""
    whose = table.c.party.is_(None) if schedule.party is None else table.c.party == schedule.party
    query = select(table.c.start, table.c.stop, table.c.kind, table.c.number).where(whose)
    if schedule.points:
        query = query.where(table.c.points == json.dumps(sorted(set(schedule.points))))
    rows = [row for row in connection.execute(query) if (row.start, row.stop) in periods]
    if not schedule.points:
        whole |= _whole(connection, schedule.party, [row.number for row in rows if row.number not in whole])
    return [(row.start, row.stop, row.kind) for row in rows if schedule.points or whole[row.number]]


def _whole(connection: Connection, party: str | None, numbers: Sequence[int]) -> dict[int, bool]:
    """Return of some releases of a party whether they hold all points that it had when they were made."""
    every = dict[int, str]()  # those points, by the record that put them into force: there are few
    found = dict[int, bool]()
    for some in portions(numbers):
        query = select(table.c.number, table.c.points, table.c.manifest).where(table.c.number.in_(some))
        for row in connection.execute(query):
            position = int(json.loads(row.manifest)["versions"]["points"])
            if position not in every:
                ids = {one.id for one in sources.seen_by(sources.points(connection, position + 1).versions, party)}
                every[position] = json.dumps(sorted(ids))
            found[row.number] = row.points == every[position]
    return found
