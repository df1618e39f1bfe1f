"""Rounding that loses nothing: the remainder of each value is carried into the next (Energinet `rounding.py`).

Rule of this file: the rounded values add up to the rounded sum. Place and mode are part of a formula's definition, and
so is where the carry starts again (DESIGN.md section 7.4: each local day).
"""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction
from math import floor


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


def half_up(exact: Fraction) -> int:
    """Return the nearest integer, halves away from zero.

    >>> half_up(Fraction(5, 2)), half_up(Fraction(-5, 2))
    (3, -3)
    """
    whole = floor(abs(exact) + Fraction(1, 2))
    return whole if exact >= 0 else -whole
