"""Rounding that loses nothing: the remainder of each value is carried into the next (Energinet `rounding.py`).

Rule of this file: the rounded values add up to the rounded sum. Place, mode and where the carry starts again have a
name in the manifest (`shared.rounding`).
"""

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np

from collector.settle.evaluation import Evaluated
from collector.vee.localtime import offsets
from collector.vee.series import DAY
from shared.master import PointVersion
from shared.rounding import half_up


def carry_round(values: Iterable[Fraction | Decimal | int | None], places: int = 0) -> list[int | None]:
    """Return values as counts of 10^-places, half away from zero, each with the remainder of those before it.

    A gap stays a gap; the remainder passes over it.

    >>> carry_round([Fraction(100, 3)] * 3, places=3)
    [33333, 33334, 33333]
    """
    carry, rounded = Fraction(0), list[int | None]()
    for value in values:
        if value is None:
            rounded.append(None)
            continue
        exact = Fraction(value) * 10**places + carry
        whole = half_up(exact)
        carry = exact - whole
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
        if denominator == 1 and point.id not in self._left:
            return evaluated  # nothing to round, nothing left from before
        starts = start + point.length * np.arange(count, dtype=np.int64)
        days = (starts + offsets(self._timezone, start, point.length, count)) // DAY
        entry, day, left = self._left.get(point.id, (point, -1, Fraction(0)))
        carry = left if entry == point else Fraction(0)
        values, known = evaluated.values.copy(), evaluated.known
        for at in range(count):
            if days[at] != day:
                day, carry = int(days[at]), Fraction(0)
            if known[at]:
                exact = Fraction(int(evaluated.numerators[at]), denominator) + carry
                whole = half_up(exact)
                carry = exact - whole
                values[at] = whole
        self._left[point.id] = point, day, carry
        return replace(evaluated, values=values)
