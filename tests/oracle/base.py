"""The rules once more, in plain Python over lists, as slow as they are plain: what the fast ones are held against.

Written from facts/vee.md and the rules' own sentences, interval by interval, without numpy; a finding is (rule,
severity, first, stop, observed, limit).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from collector.vee.series import Series
from shared.status import Status

Found = tuple[str, str, int, int, int | None, int | None]
Numbers = list[int | None]
_NONE = (Status.MISSING, Status.WITHDRAWN)
_MADE = (Status.ESTIMATED, Status.SUBSTITUTED, Status.FORECAST)


@dataclass(slots=True)
class Row:
    """One channel as lists; None is what is not known."""

    series: Series
    n: int
    length: int
    values: list[int]
    every: list[bool]  # a value stands
    read: list[bool]  # a value that was read stands
    edited: list[bool]  # or one that was edited
    days: list[tuple[int, int, str, bool]] = field(default_factory=list)  # first, stop, date, complete

    def rated(self, parts: int, whole: int) -> int:
        """Return a part of the rating as energy of an interval."""
        power = self.series.rated_power
        return 0 if power is None else power * parts * self.length // (whole * 3600)

    def column(self, name: str) -> Numbers | None:
        """Return an input by the name that `Series.columns` gives it."""
        for own, one in self.series.columns():
            if own == name:
                pairs = zip(one.values.tolist(), one.known.tolist(), strict=True)
                return [value if known else None for value, known in pairs]
        return None

    def pair(self, name: str) -> Numbers | None:
        """Return registers or check."""
        values = getattr(self.series, name)
        if values is None:
            return None
        known = getattr(self.series, f"{name}_known").tolist()
        return [value if there else None for value, there in zip(values.tolist(), known, strict=True)]


def row(series: Series) -> Row:
    """Return a series as lists."""
    status = series.status.tolist()
    every = [code not in _NONE for code in status]
    read = [code not in (*_NONE, *_MADE, Status.EDITED) for code in status]
    edited = [code not in (*_NONE, *_MADE) for code in status]
    made = Row(series, series.size, series.length, series.values.tolist(), every, read, edited)
    made.days = _days(series.start, series.length, series.size, series.timezone)
    return made


@lru_cache(maxsize=64)
def _days(start: int, length: int, n: int, timezone: str) -> list[tuple[int, int, str, bool]]:
    """Return the local days of n slots; the same for all channels of a site, so it is worked out once."""
    zone = ZoneInfo(timezone)
    dates = [datetime.fromtimestamp(start + slot * length, UTC).astimezone(zone).date() for slot in range(n)]
    found, first = [], 0
    for slot in range(1, n + 1):
        if slot == n or dates[slot] != dates[first]:
            day = dates[first]
            ends = [
                datetime(one.year, one.month, one.day, tzinfo=zone).timestamp() for one in (day, day + timedelta(1))
            ]
            found.append((first, slot, day.isoformat(), slot - first == (ends[1] - ends[0]) // length))
            first = slot
    return found


def runs(holds: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Give the spans in which something holds."""
    first = None
    for slot, one in enumerate([*holds, False]):
        if one and first is None:
            first = slot
        if not one and first is not None:
            yield first, slot
            first = None


def found(
    rule: str, severity: str, holds: Sequence[bool], observed: Numbers | Sequence[int], limit: int | Sequence[int],
    best: Callable[[list[int]], int] = max,
) -> Iterator[Found]:  # fmt: skip
    """Give a finding for each span, with the best of what was observed in it, and the limit at its beginning."""
    for first, stop in runs(holds):
        inside = [one for one in observed[first:stop] if one is not None]
        bound = limit if isinstance(limit, int) else limit[first]
        yield rule, severity, first, stop, best(inside), bound
