"""The offset of a meter's own clock from ours, by the midpoint of the round trip. Pure.

The whole date is compared, so that a clock a day or a century off is seen. It is told, never set: the agent writes
nothing to a meter. What the meter's recorder labels is moved by this offset.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from agent.acquire.drivers.base import MeterClock
from shared.batch import Event

US = 1_000_000
#: Many meters tell whole seconds: an offset below this is no news. [us]
ALLOWED = 5_000_000
#: A change of this much since it was told last is news. [us]
CHANGED = 5_000_000


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a meter's clock is ahead of ours, and within what."""

    ahead: int  # [us]
    within: int  # [us]


def offset(clock: MeterClock, ours: int) -> Offset:
    """Return the offset of a meter's clock.

    Args:
        clock: What it told, and between which instants.
        ours: Wall time less boot time, as we have it. [us]

    Examples:
        >>> offset(MeterClock(told=1_000_000, sent=100, at=300), ours=999_000)
        Offset(ahead=800, within=100)
    """
    return Offset(clock.told - ((clock.sent + clock.at) // 2 + ours), (clock.at - clock.sent + 1) // 2)


def in_utc(clock: MeterClock, timezone: str, ours: int) -> MeterClock:
    """Return a clock that shows local time in UTC; of an hour that happens twice, what is nearer to our clock.

    Args:
        clock: What it told, as if UTC.
        timezone: Name of its time zone.
        ours: Wall time less boot time, as we have it. [us]

    Examples:
        >>> in_utc(MeterClock(told=1_772_460_000_000_000, sent=0, at=0), "America/Chicago", 0).told
        1772481600000000
    """
    seconds, rest = divmod(clock.told, US)
    naive = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=ZoneInfo(timezone))
    both = [round(naive.replace(fold=fold).timestamp()) * US + rest for fold in (0, 1)]
    return replace(clock, told=min(both, key=lambda told: abs(told - ours - clock.at)))


@dataclass(slots=True)
class MeterClocks:
    """The clocks of all meters, as last told."""

    offsets: dict[str, Offset] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)  # offset at the last event [us]

    def see(self, meter: str, clock: MeterClock, ours: int) -> Event | None:
        """Take what a meter's clock told; return an event where a person should know."""
        found = self.offsets[meter] = offset(clock, ours)
        before = self.told.get(meter, 0)
        off = abs(found.ahead) > ALLOWED + found.within
        if (not off and not before) or abs(found.ahead - before) <= CHANGED:
            return None
        self.told[meter] = found.ahead if off else 0
        detail: dict[str, object] = {"ahead_us": found.ahead, "within_us": found.within}
        return Event(meter, "meter_clock_off" if off else "meter_clock_right", clock.at, clock.at, 1, detail)
