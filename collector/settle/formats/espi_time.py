"""A zone's summer time as ESPI's LocalTimeParameters say it: from the POSIX rule in the zone's own file (RFC 8536)."""

import re
from dataclasses import dataclass
from importlib import resources

from shared.errors import ConfigError

HOUR = 3600
_NAME = r"(?:[A-Za-z]{3,}|<[A-Za-z0-9+-]+>)"
_TIME = r"[+-]?[0-9]{1,3}(?::[0-9]{2}){0,2}"
_DATE = rf"M([0-9]{{1,2}})\.([1-5])\.([0-6])(?:/({_TIME}))?"
_RULE = re.compile(rf"{_NAME}({_TIME})(?:{_NAME}({_TIME})?,{_DATE},{_DATE})?\Z")
_NEVER = "FFFFFFFF"
_LAST = 5
_LAST_OPERATOR = 7


@dataclass(frozen=True, slots=True)
class LocalTime:
    """What LocalTimeParameters holds."""

    end_rule: str  # four bytes in hex
    offset: int  # of summer time [s]
    start_rule: str
    zone_offset: int  # [s]


def local_time(timezone: str) -> LocalTime:
    """Return how a zone keeps time now.

    Raises:
        ConfigError: ESPI's rules have no words for it.
    """
    found = _RULE.match(_posix(timezone))
    if found is None:
        raise ConfigError(f"espi has no words for the summer time of {timezone}; export in UTC")
    standard = -_seconds(found[1])
    if found[3] is None:
        return LocalTime(_NEVER, 0, _NEVER, standard)
    summer = -_seconds(found[2]) if found[2] else standard + HOUR
    begin, end = (_encoded(timezone, *found.group(at, at + 1, at + 2, at + 3)) for at in (3, 7))
    if summer < standard:  # Dublin's standard time is the summer's
        return LocalTime(begin, standard - summer, end, summer)
    return LocalTime(end, summer - standard, begin, standard)


def _posix(timezone: str) -> str:
    """Return the last line of the zone's file: the rule for the times to come."""
    package, _, name = f"tzdata.zoneinfo.{timezone.replace('/', '.')}".rpartition(".")
    octets = (resources.files(package) / name).read_bytes()
    return octets.rstrip(b"\n").rpartition(b"\n")[2].decode("ascii")


def _seconds(text: str) -> int:
    sign = -1 if text.startswith("-") else 1
    parts = [int(one) for one in text.lstrip("+-").split(":")]
    return sign * sum(part * unit for part, unit in zip(parts, (HOUR, 60, 1), strict=False))


def _encoded(timezone: str, month: str, week: str, day: str, time: str | None) -> str:
    """Return DstRuleType: month, operator, day of the week, hour and second (usage.xsd)."""
    at = _seconds(time) if time else 2 * HOUR
    if not 0 <= at < 24 * HOUR:
        raise ConfigError(f"espi has no words for the summer time of {timezone}; export in UTC")
    operator = _LAST_OPERATOR if int(week) == _LAST else int(week) + 1
    weekday = int(day) or 7  # Monday is 1
    return f"{int(month) << 28 | operator << 25 | weekday << 17 | at // HOUR << 12 | at % HOUR:08X}"
