"""How far the determinants of a release may be off, where a determinant is a sum of a point's energies.

Energy and demand are such sums, of the rows that made them; a ratio, a step, or what a contract makes of them is not.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from fractions import Fraction

import numpy as np
from sqlalchemy import Connection

from collector.settle import billing
from collector.settle.balance_file import BalanceFile
from collector.settle.determine.profile import HOUR, Determinant, Profile
from collector.settle.release import Made, manifest_of
from collector.settle.spread import Chosen, good_enough, spread, told
from collector.settle.terms_file import Terms
from collector.settle.uncertainty import Off
from collector.vee.series import HAS_VALUE, Bools

_DEMAND = ("max_block", "max_sliding", "coincident")


@dataclass(frozen=True, slots=True)
class Doubt:
    """How far a determinant may be off, in its unit. None: not known."""

    off: Off | None
    grade: bool | None  # good enough to bill by


def doubts(
    connection: Connection, made: Made, terms: Terms, holidays: Collection[date], figures: Mapping[str, Determinant],
    file: BalanceFile,
) -> dict[str, Doubt]:  # fmt: skip
    """Return the doubt of each determinant that is a sum of energies and has a value.

    Args:
        connection: A reading connection.
        made: The release.
        terms: By which the figures came about.
        holidays: As they did.
        figures: The determinants.
        file: The meters' accuracies, and what is good enough.
    """
    own = [row for row in made.each() if row.point == terms.point]
    if own[0].unit != "mWh":
        return {}
    timezone = manifest_of(made)["timezone"]
    profile = billing.profile(own, terms.point, timezone)
    cut = billing.tariff(terms, profile, timezone, holidays)
    known = spread(connection, made, [terms.point], file.accuracies)
    found = dict[str, Doubt]()
    for name, one in figures.items():
        made_of = None if one.value is None else _made_of(name, one, profile, cut)
        if made_of is not None and one.value is not None:
            rows, weight = made_of
            off = known.of({terms.point: weight}, Chosen(profile.start, profile.length, rows))
            found[name] = Doubt(off, good_enough(off, one.value, file.grade_percent))
    return found


def _made_of(
    name: str, one: Determinant, profile: Profile, periods: Mapping[str, Bools]
) -> tuple[Bools, Fraction] | None:  # fmt: skip
    """Return the rows that a determinant adds up, and by what it multiplies the sum; None where it is no such sum."""
    what, _, period = name.partition("@")
    kind, _, number = what.partition(":")
    known = HAS_VALUE[profile.status] & (periods[period] if period else profile.counted)
    if kind == "energy":
        return known, Fraction(1)
    if kind == "top_hours" and one.at:
        return known & _within(one.at, HOUR, profile), Fraction(1, len(one.at))
    if kind in _DEMAND and one.at:
        return known & _within(one.at, int(number), profile), Fraction(HOUR, int(number) * len(one.at))
    return None


def _within(begins: tuple[int, ...], window: int, profile: Profile) -> Bools:
    """Return which rows lie in windows. [UTC s, s]"""
    starts = profile.start + profile.length * np.arange(len(profile.values), dtype=np.int64)
    found = np.zeros(len(starts), dtype=np.bool_)
    for begin in begins:
        found |= (starts >= begin) & (starts < begin + window)
    return found


def shown(figures: Mapping[str, Determinant], off: Mapping[str, Doubt]) -> dict[str, dict[str, object]]:
    """Return determinants for a program, with the doubt of those that have one, in the determinant's unit."""
    beside = {
        name: {"uncertainty": None if one.off is None else asdict(one.off), "revenue_grade": one.grade}
        for name, one in off.items()
    }
    return {name: billing.shown(one) | beside.get(name, {}) for name, one in figures.items()}


def lines(figures: Mapping[str, Determinant], off: Mapping[str, Doubt]) -> list[str]:
    """Return determinants for a person, with the doubt of those that have one."""
    beside = {name: told(one.off, figures[name].unit, grade=one.grade) for name, one in off.items()}
    return [billing.line(one) + beside.get(name, "") for name, one in figures.items()]
