"""Rounding that loses nothing: the remainder of each value is carried into the next (Energinet `rounding.py`).

Rule of this file: the rounded values of a period add up to the rounded sum, unless a point states that each row stands
for itself. Place, mode and where the carry starts again have a name in the manifest (`shared.rounding`).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise, starmap
from math import lcm

import numpy as np

from collector.settle.evaluation import Evaluated
from collector.vee.localtime import offsets
from collector.vee.series import DAY, Ints
from shared.master import PointVersion
from shared.quantity import INT64_MAX
from shared.rounding import CARRY_DAY, CARRY_MONTH, HALF_EVEN, Rule, by, carried


def carry_round(values: Iterable[Fraction | Decimal | int | None], places: int = 0) -> list[int | None]:
    """Return values as counts of 10^-places, half away from zero, each with the remainder of those before it.

    A gap stays a gap and zero stays zero; the remainder passes over them.

    >>> carry_round([Fraction(100, 3)] * 3, places=3)
    [33333, 33334, 33333]
    """
    carry, rounded = Fraction(0), list[int | None]()
    for value in values:
        if value is None:
            rounded.append(None)
            continue
        whole, carry = carried(Fraction(value) * 10**places, carry)
        rounded.append(whole)
    return rounded


class Carry:
    """The remainders of points on their way through a release, by the rule of each (`shared.rounding`).

    Args:
        timezone: Whose days and months.
        otherwise: The rule of points that state none.
    """

    def __init__(self, timezone: str, otherwise: str = CARRY_DAY) -> None:
        self._timezone, self._otherwise = timezone, otherwise
        self._left: dict[str, tuple[PointVersion, int, Fraction]] = {}  # point -> entry, period, remainder

    def rounded(self, point: PointVersion, start: int, evaluated: Evaluated) -> Evaluated:
        """Return a point's rows, rounded; they follow those that were given before. [UTC s]"""
        rule, count = by(point.rounding, self._otherwise, point.quantity), len(evaluated.values)
        whole = evaluated.denominator == rule.place == 1 and point.id not in self._left
        if not count or (whole and not _lowest(evaluated)) or rule.name == HALF_EVEN:
            return evaluated  # nothing to round, nothing left from before; or rounded already
        periods = self._periods(rule, point, start, count)
        entry, period, left = self._left.get(point.id, (point, -1, Fraction(0)))
        if entry != point or period != periods[0]:
            left = Fraction(0)
        values, scale = evaluated.values.copy(), lcm(evaluated.denominator, left.denominator)
        carry, wide = int(left * scale), scale // evaluated.denominator
        counts = evaluated.numerators.tolist()
        for own in _runs(periods):
            carry = carry if own.start == 0 else 0
            here = own.start + np.flatnonzero(evaluated.known[own])
            found, carry = _carried([counts[at] * wide for at in here.tolist()], scale, carry, rule.place)
            values[here] = found
        self._left[point.id] = point, int(periods[-1]), Fraction(carry, scale)
        return replace(evaluated, values=values)

    def _periods(self, rule: Rule, point: PointVersion, start: int, count: int) -> Ints:
        """Return for each row the number of the period through which its remainder is carried."""
        starts = start + point.length * np.arange(count, dtype=np.int64)
        if rule.name not in (CARRY_DAY, CARRY_MONTH):
            return starts  # each row for itself
        days: Ints = (starts + offsets(self._timezone, start, point.length, count)) // DAY
        return days if rule.name == CARRY_DAY else days.astype("M8[D]").astype("M8[M]").astype(np.int64)


def _lowest(evaluated: Evaluated) -> bool:
    """Return whether a value is the one that no rule gives: it has no opposite in 64 bits (`shared.rounding`)."""
    return int(evaluated.values.min()) < -INT64_MAX


def _runs(periods: Ints) -> Iterator[slice]:
    """Give where each period's rows are."""
    edges = [0, *(np.flatnonzero(np.diff(periods)) + 1).tolist(), len(periods)]
    yield from starmap(slice, pairwise(edges))


def _carried(exact: Sequence[int], scale: int, carry: int, place: int = 1) -> tuple[list[int], int]:
    """Return values rounded half away from zero, each with the remainder of those before it, and what is left.

    Values, and what is carried in and out, count 1 / scale; integers, because fractions take thirty times as long.

    >>> _carried([100, 100, 100], 3, 0)
    ([33, 34, 33], 0)
    >>> _carried([1400, 1400], 1, 0, place=1000)
    ([1000, 2000], -200)
    """
    unit, most, rounded = scale * place, INT64_MAX // place, list[int]()
    for value in exact:
        count = value + carry
        whole = (2 * count + unit) // (2 * unit) if count >= 0 else -((unit - 2 * count) // (2 * unit))
        if whole * value <= 0:
            whole = 0  # no row gets a sign that its value does not have
        elif not -most <= whole <= most:
            whole = most if whole > 0 else -most
        carry = count - whole * unit
        rounded.append(whole * place)
    return rounded, carry
