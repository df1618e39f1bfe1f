"""Amounts as formats write them: kilo-units in decimals, the remainder of each carried to the next of its local day."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

from collector.settle.rounding import carry_round
from shared.release import Row

#: Counts of ours in one kWh, kvarh, kVAh.
PER_KILO = 10**6


def local_days(rows: Sequence[Row], timezone: str) -> Iterator[tuple[date, list[Row]]]:
    """Give the rows of each local day."""
    zone = ZoneInfo(timezone)
    for day, group in groupby(rows, key=lambda row: datetime.fromtimestamp(row.start, UTC).astimezone(zone).date()):
        yield day, list(group)


def kilo(rows: Sequence[Row], timezone: str, places: int) -> list[str | None]:
    """Return each row's value in thousands of its base unit, None for a gap; a day's sum is rounded right."""
    shown: list[str | None] = []
    for _, day in local_days(rows, timezone):
        exact = [None if row.value is None else Fraction(row.value, PER_KILO) for row in day]
        shown += [None if count is None else decimal(count, places) for count in carry_round(exact, places)]
    return shown


def decimal(count: int, places: int) -> str:
    """Return counts of 10^-places as a decimal text.

    >>> decimal(-1250, 3)
    '-1.250'
    """
    sign, count = ("-", -count) if count < 0 else ("", count)
    return f"{sign}{count // 10**places}" + (f".{count % 10**places:0{places}d}" if places else "")


def whole_days(start: int, stop: int, timezone: str) -> bool:
    """Return whether a period begins and ends with local days. [UTC s]"""
    zone = ZoneInfo(timezone)
    at = [datetime.fromtimestamp(moment, UTC).astimezone(zone).time() for moment in (start, stop)]
    return all((moment.hour, moment.minute, moment.second) == (0, 0, 0) for moment in at)
