"""Rounding by a rule that has a name: which place, which way, and where a remainder is carried. Pure.

`carry-day/1`: to a whole count, halves away from zero, the remainder of each row carried into the next of the same
point, entry and local day; it starts again at local midnight, with a new entry, and where a release begins. A row
without a value passes it on, and so does what would turn a row's sign: zero stays zero, and an amount never turns
negative. So the rows of a day add up to the rounded sum (Energinet's rule; formats.md, E10).
`half-even/1`: each row for itself; releases made before version 0.2 and their corrections.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from functools import lru_cache
from math import floor
from zoneinfo import ZoneInfo

CARRY_DAY = "carry-day/1"
HALF_EVEN = "half-even/1"


def half_up(exact: Fraction) -> int:
    """Return the nearest integer, halves away from zero.

    >>> half_up(Fraction(5, 2)), half_up(Fraction(-5, 2))
    (3, -3)
    """
    whole = floor(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


def carried(value: Fraction, left: Fraction) -> tuple[int, Fraction]:
    """Return a row rounded with what the rows before left, and what it leaves itself.

    >>> carried(Fraction(0), Fraction(-1, 2))
    (0, Fraction(-1, 2))
    """
    whole = half_up(value + left)
    if value >= 0:
        whole = max(whole, 0)
    if value <= 0:
        whole = min(whole, 0)
    return whole, value + left - whole


def local_day(timezone: str) -> Callable[[int], int]:
    """Return what gives the local date of a second as a number. [UTC s]

    Raises:
        KeyError: no such zone is known on this machine.
    """
    zone = ZoneInfo(timezone)

    @lru_cache(maxsize=8192)
    def day(at: int) -> int:
        return datetime.fromtimestamp(at, UTC).astimezone(zone).toordinal()

    return day
