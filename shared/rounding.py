"""Rounding by a rule that has a name: which way, to which place, and where a remainder is carried. Pure.

A point may state its rule; a place behind the name is coarser than one count, as in `carry-month/1 kWh`.

`carry-day/1`, the rule of who states none: halves away from zero, the remainder of each row carried into the next of
the same point, entry and local day; it starts again at local midnight, with a new entry, and where a release begins.
A row without a value passes it on, and so does what would turn a row's sign: zero stays zero, and an amount never
turns negative. So the rows of a day add up to the rounded sum (Energinet's rule; formats.md, E10).
`carry-month/1`: the same, through the local month.
`half-away/1`: each row for itself, halves away from zero.
`half-even/1`: each row for itself; releases made before version 0.2 and their corrections, and no rule of a point.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fractions import Fraction
from functools import lru_cache
from math import floor
from zoneinfo import ZoneInfo

from shared.errors import ConfigError
from shared.quantity import INT64_MAX, QUANTITIES, UNITS

CARRY_DAY = "carry-day/1"
CARRY_MONTH = "carry-month/1"
HALF_AWAY = "half-away/1"
HALF_EVEN = "half-even/1"
#: What a point may state.
OF_POINTS = (CARRY_DAY, CARRY_MONTH, HALF_AWAY)
_KNOWN = (*OF_POINTS, HALF_EVEN)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by its name, and the place that it rounds to. [counts]"""

    name: str
    place: int = 1


def rule(text: str, quantity: str) -> Rule:
    """Return the rule that a point of a quantity states.

    >>> rule("carry-month/1 kWh", "energy_active_net")
    Rule(name='carry-month/1', place=1000000)

    Raises:
        ConfigError: there is no such rule for points, or the place is no unit of the quantity.
    """
    name, _, unit = text.partition(" ")
    if name not in OF_POINTS:
        raise ConfigError(f"no rounding {text[:40]!r}; known: {', '.join(OF_POINTS)}, and a place behind it")
    if text == name:
        return Rule(name)
    counted = QUANTITIES[quantity].unit if quantity in QUANTITIES else None
    places = {one: power for one, (count, power) in UNITS.items() if count == counted and one and power > 0}
    if unit not in places:
        known = ", ".join(places) or "whole counts"
        raise ConfigError(f"rounding to {unit[:20]!r}: {quantity[:40]} is rounded to {known}")
    return Rule(name, 10 ** places[unit])


@lru_cache(maxsize=1024)  # verify asks for each row
def by(stated: str, otherwise: str, quantity: str) -> Rule:
    """Return the rule of a point: what it states, or that of the release.

    Raises:
        ConfigError: as `rule`.
    """
    return rule(stated, quantity) if stated else Rule(otherwise)


def named(texts: Iterable[str]) -> str:
    """Return the rules of a release as its manifest names them; one text where all points agree."""
    return ", ".join(sorted(set(texts))) or CARRY_DAY


def names(text: str) -> tuple[str, ...]:
    """Return the rules that a manifest names.

    Raises:
        ConfigError: one of them is not known, or they are not written as `named` writes them.
    """
    found = tuple(text.split(", "))
    if named(found) != text or any(one.partition(" ")[0] not in _KNOWN for one in found):
        raise ConfigError(f"no rounding {text[:80]!r}")
    return found


def default(text: str) -> str:
    """Return the rule of the points that state none, given what the manifest of their release names; "": of a new one.

    Raises:
        ConfigError: as `names`.
    """
    return HALF_EVEN if text and HALF_EVEN in names(text) else CARRY_DAY


def half_up(exact: Fraction) -> int:
    """Return the nearest integer, halves away from zero.

    >>> half_up(Fraction(5, 2)), half_up(Fraction(-5, 2))
    (3, -3)
    """
    whole = floor(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole


def carried(value: Fraction, left: Fraction, place: int = 1) -> tuple[int, Fraction]:
    """Return a row rounded with what the rows before left, and what it leaves itself. [counts]

    >>> carried(Fraction(0), Fraction(-1, 2))
    (0, Fraction(-1, 2))
    >>> carried(Fraction(1499), Fraction(2), 1000)
    (2000, Fraction(-499, 1))
    """
    whole = half_up((value + left) / place)
    most = INT64_MAX // place
    whole = min(max(whole, -most if value < 0 else 0), most if value > 0 else 0)
    return whole * place, value + left - whole * place


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


def local_month(timezone: str) -> Callable[[int], int]:
    """Return what gives the local month of a second as a number. [UTC s]

    Raises:
        KeyError: no such zone is known on this machine.
    """
    day = local_day(timezone)

    def month(at: int) -> int:
        local = date.fromordinal(day(at))
        return local.year * 12 + local.month

    return month
