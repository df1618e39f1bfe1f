"""Gaps of the kinds that accuracy.md measures, drawn with a seed where everything inside was recorded."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from tests.bench.accuracy.channels import Channel, feasts

MASKS = ("1 interval", "2 h", "1 d weekday", "1 d weekend", "holiday", "DST day", "7 d")
HISTORY, AFTER = 56, 7  # days known before and after a gap
LATE = 0.6  # test gaps lie in the last two fifths of a channel
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Gap:
    """A gap [first, stop) of a channel."""

    first: int
    stop: int


def gaps(channel: Channel, mask: str, count: int, chance: np.random.Generator) -> list[Gap]:
    """Return up to `count` gaps of a kind, none twice."""
    fits = [one for one in _possible(channel, mask, chance) if _whole(channel, one)]
    order = chance.permutation(len(fits))[:count]
    return [fits[at] for at in sorted(order.tolist())]


def _whole(channel: Channel, gap: Gap) -> bool:
    inside = channel.values[gap.first : gap.stop]
    return len(inside) == gap.stop - gap.first and not np.isnan(inside).any()


def _possible(channel: Channel, mask: str, chance: np.random.Generator) -> Iterator[Gap]:
    n, low = len(channel.values), int(LATE * len(channel.values))
    per_day = DAY // channel.length
    if mask in ("1 interval", "2 h"):
        size = 1 if mask == "1 interval" else 7200 // channel.length
        for first in chance.integers(low, max(low + 1, n - size - per_day), 60).tolist():
            yield Gap(first, first + size)
        return
    days = 7 if mask == "7 d" else 1
    for first, stop in _days(channel, low, days):
        if stop <= n - per_day and _is(channel, mask, first):
            yield Gap(first, stop)


def _days(channel: Channel, low: int, days: int) -> Iterator[tuple[int, int]]:
    """Give runs of local days as slots."""
    zone = ZoneInfo(channel.timezone)
    day = datetime.fromtimestamp(channel.start + low * channel.length, UTC).astimezone(zone).date() + timedelta(days=1)
    while True:
        first, stop = (
            (int(datetime(at.year, at.month, at.day, tzinfo=zone).timestamp()) - channel.start) // channel.length
            for at in (day, day + timedelta(days=days))
        )
        if stop > len(channel.values):
            return
        yield first, stop
        day += timedelta(days=1)


def _is(channel: Channel, mask: str, first: int) -> bool:
    zone = ZoneInfo(channel.timezone)
    day = datetime.fromtimestamp(channel.start + first * channel.length, UTC).astimezone(zone)
    feast = day.date() in feasts(channel.country, (day.year,))
    changes = day.utcoffset() != (day + timedelta(days=1)).utcoffset()
    kinds = {
        "1 d weekday": day.weekday() < 5 and not feast and not changes,
        "1 d weekend": day.weekday() >= 5 and not feast and not changes,
        "holiday": feast,
        "DST day": changes,
        "7 d": True,
    }
    return kinds[mask]


def around(channel: Channel, gap: Gap) -> tuple[int, int]:
    """Return the slots that are known around a gap: HISTORY days before and AFTER days after it."""
    per_day = DAY // channel.length
    return max(0, gap.first - HISTORY * per_day), min(len(channel.values), gap.stop + AFTER * per_day)
