"""Rounding that loses nothing: the remainder of each value is carried into the next (Energinet `rounding.py`).

Rule of this file: the rounded values add up to the rounded sum. Place, mode and where the carry starts again have a
name in the manifest (`shared.rounding`).
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
from shared.rounding import carried


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


class DayCarry:
    """The remainders of points on their way through a release: `carry-day/1` of `shared.rounding`.

    Args:
        timezone: Whose days.
    """

    def __init__(self, timezone: str) -> None:
        self._timezone = timezone
        self._left: dict[str, tuple[PointVersion, int, Fraction]] = {}  # point -> entry, local day, remainder

    def rounded(self, point: PointVersion, start: int, evaluated: Evaluated) -> Evaluated:
        """Return a point's rows, rounded; they follow those that were given before. [UTC s]"""
        denominator, count = evaluated.denominator, len(evaluated.values)
        if not count or (denominator == 1 and point.id not in self._left):
            return evaluated  # nothing to round, nothing left from before
        starts = start + point.length * np.arange(count, dtype=np.int64)
        days = (starts + offsets(self._timezone, start, point.length, count)) // DAY
        entry, day, left = self._left.get(point.id, (point, -1, Fraction(0)))
        if entry != point or day != days[0]:
            left = Fraction(0)
        values, scale = evaluated.values.copy(), lcm(denominator, left.denominator)
        carry, counts = int(left * scale), evaluated.numerators.tolist()
        for own in _runs(days):
            carry = carry if own.start == 0 else 0
            here = own.start + np.flatnonzero(evaluated.known[own])
            whole, carry = _carried([counts[at] * (scale // denominator) for at in here.tolist()], scale, carry)
            values[here] = whole
        self._left[point.id] = point, int(days[-1]), Fraction(carry, scale)
        return replace(evaluated, values=values)


def _runs(days: Ints) -> Iterator[slice]:
    """Give where each day's rows are."""
    edges = [0, *(np.flatnonzero(np.diff(days)) + 1).tolist(), len(days)]
    yield from starmap(slice, pairwise(edges))


def _carried(exact: Sequence[int], scale: int, carry: int) -> tuple[list[int], int]:
    """Return values rounded half away from zero, each with the remainder of those before it, and what is left.

    Values, and what is carried in and out, count 1 / scale; integers, because fractions take thirty times as long.

    >>> _carried([100, 100, 100], 3, 0)
    ([33, 34, 33], 0)
    """
    rounded = list[int]()
    for value in exact:
        count = value + carry
        whole = (2 * count + scale) // (2 * scale) if count >= 0 else -((scale - 2 * count) // (2 * scale))
        whole = 0 if whole * value <= 0 else whole  # no row gets a sign that its value does not have
        carry = count - whole * scale
        rounded.append(whole)
    return rounded, carry
