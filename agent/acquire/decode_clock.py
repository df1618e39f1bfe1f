"""The date and time that a meter shows in registers, as microseconds since the epoch, as if it were UTC. Pure.

Which zone it means is the profile's to say. What is no date is None, never the nearest one. Sources:
schneider4: Schneider Electric, "Date and time (TI081 format)", after IEC 870-5-4: year from 2000, month and day, hour
and minute, milliseconds of the minute; weekday, summer time and validity bits are not read, because a clock that calls
itself unsynchronised is just what one wants to know. siemens4: SENTRON PAC manual, "time stamp": seconds since 1970,
then the fraction, which is left out. words6: one register each. bytes6: Electro Industries, Shark 200S manual, TSTAMP:
one byte each, bit 6 of the hour is summer time. unix: seconds since 1970 in two registers, high first.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from agent.acquire.points import ClockForm

_US = 1_000_000
_CENTURY = 2000  # two digits of a year
#: A minute of 60 seconds; a leap second is no reading of a meter's clock.
_MINUTE_MS = 60_000
#: Registers that each form takes.
CLOCK_WORDS: Mapping[ClockForm, int] = {"schneider4": 4, "siemens4": 4, "words6": 6, "bytes6": 3, "unix": 2}


def clock(words: Sequence[int], form: ClockForm) -> int | None:
    """Return what a meter's clock registers show, as if UTC [us since the epoch]; None when it is no date.

    Examples:
        >>> clock([0x000A, 0x0B17, 0x0C1E, 5_000], "schneider4")  # 2010-11-23 12:30:05
        1290515405000000
    """
    return _FORMS[form](words) if len(words) == CLOCK_WORDS[form] else None


def _schneider4(words: Sequence[int]) -> int | None:
    year, date, minutes, milliseconds = words
    if milliseconds >= _MINUTE_MS:
        return None
    at = _moment(_CENTURY + (year & 0x7F), date >> 8 & 0x0F, date & 0x1F, minutes >> 8 & 0x1F, minutes & 0x3F)
    return None if at is None else at + milliseconds * 1000


def _siemens4(words: Sequence[int]) -> int | None:
    return _unix(words[:2])


def _words6(words: Sequence[int]) -> int | None:
    year, month, day, hour, minute, second = words
    return _moment(year if year >= _CENTURY else _CENTURY + year, month, day, hour, minute, second)


def _bytes6(words: Sequence[int]) -> int | None:
    year, month, day, hour, minute, second = (byte for word in words for byte in (word >> 8, word & 0xFF))
    return _moment(_CENTURY + year, month, day, hour & 0x3F, minute, second)


def _unix(words: Sequence[int]) -> int | None:
    seconds = words[0] << 16 | words[1]
    return seconds * _US if seconds else None  # 0: a clock that was never set


def _moment(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> int | None:
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * _US
    except ValueError:
        return None


_FORMS: Mapping[ClockForm, Callable[[Sequence[int]], int | None]] = {
    "schneider4": _schneider4,
    "siemens4": _siemens4,
    "words6": _words6,
    "bytes6": _bytes6,
    "unix": _unix,
}
