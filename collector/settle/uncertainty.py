"""How far measured energies may be off, carried through formulas: by accuracy class and load. Pure.

Rules of this file: a channel's error is of one sign all the time, so that it adds up over intervals and over a formula
that names the channel twice; errors of different channels are independent (`rss`), or at worst all one way (`most`).
Limits of class are those of IEC 62053-21 and -22 (meters at unity power factor) and IEC 61869-2 and -3 (transformers);
below the range of a class nothing is promised, and nothing is made up: then the uncertainty is not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from collector.vee.series import Ints

#: Class: from which share of the rated load on, the limit of error. [1, percent]
METERS: dict[str, tuple[tuple[str, str], ...]] = {
    "0.1S": (("0.01", "0.2"), ("0.05", "0.1")), "0.2S": (("0.01", "0.4"), ("0.05", "0.2")),
    "0.5S": (("0.01", "1.0"), ("0.05", "0.5")), "1": (("0.05", "1.5"), ("0.1", "1.0")),
    "2": (("0.05", "2.5"), ("0.1", "2.0")),
}  # fmt: skip
CURRENT: dict[str, tuple[tuple[str, str], ...]] = {
    "0.1": (("0.05", "0.4"), ("0.2", "0.2"), ("1", "0.1")), "0.2": (("0.05", "0.75"), ("0.2", "0.35"), ("1", "0.2")),
    "0.5": (("0.05", "1.5"), ("0.2", "0.75"), ("1", "0.5")),
    "0.2S": (("0.01", "0.75"), ("0.05", "0.35"), ("0.2", "0.2")),
    "0.5S": (("0.01", "1.5"), ("0.05", "0.75"), ("0.2", "0.5")),
}  # fmt: skip
VOLTAGE: dict[str, str] = {"0.1": "0.1", "0.2": "0.2", "0.5": "0.5", "1": "1.0"}
_HOUR = 3600
_SCALE = 10**9  # of the shares that numpy compares


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """What is known of a meter and its transformers; a class that is not given adds nothing."""

    meter: str  # class of METERS
    current: str | None = None  # of CURRENT
    voltage: str | None = None  # of VOLTAGE
    rated: int  # power at which all are rated [mW]


@dataclass(frozen=True, slots=True)
class Off:
    """How far an energy may be off, at `rss` and at worst. [counts]"""

    rss: int
    most: int


def errors(accuracy: Accuracy, values: Ints, length: int) -> tuple[Fraction, Fraction] | None:
    """Return how far the energy of some intervals may be off: by root of squares and at worst. [counts]

    Args:
        accuracy: Of the meter.
        values: Its energies. [counts of 10^-3 Wh]
        length: Of the intervals. [s]

    Returns:
        None where an interval lies below the range of a class; an interval without energy is not off.
    """
    size = np.abs(values[values != 0])
    load = size.astype(object) * _HOUR * _SCALE // (length * accuracy.rated) if len(size) else size
    tables = [METERS[accuracy.meter], *([CURRENT[accuracy.current]] if accuracy.current else [])]
    parts = [_limits(table, load) for table in tables]
    if any(part is None for part in parts):
        return None
    sums = [sum((Fraction(int(one)) * limit for one, limit in zip(size, part or [], strict=True)), Fraction(0))
            for part in parts]  # fmt: skip
    if accuracy.voltage:
        sums.append(Fraction(int(size.sum())) * Fraction(VOLTAGE[accuracy.voltage]) / 100)
    return _root(sum((one**2 for one in sums), Fraction(0))), sum(sums, Fraction(0))


def _limits(table: tuple[tuple[str, str], ...], load: Ints) -> list[Fraction] | None:
    """Return the limit of error of each load, None where one is below the table."""
    edges = [int(Fraction(share) * _SCALE) for share, _ in table]
    found = [max((at for at, edge in enumerate(edges) if one >= edge), default=None) for one in load]
    if None in found:
        return None
    return [Fraction(table[at][1]) / 100 for at in found if at is not None]


def _root(square: Fraction) -> Fraction:
    return Fraction(isqrt(square.numerator * 10**6 // square.denominator), 1000)


def together(terms: Mapping[str, tuple[Fraction, tuple[Fraction, Fraction] | None]]) -> Off | None:
    """Return how far a sum may be off; None where a term's error is not known.

    Args:
        terms: By meter: the factor of the formula, and what `errors` gave.
    """
    if any(error is None for _, error in terms.values()):
        return None
    known = [(abs(factor), error) for factor, error in terms.values() if error is not None]
    rss = _root(sum(((factor * error[0]) ** 2 for factor, error in known), Fraction(0)))
    return Off(round(rss), round(sum((factor * error[1] for factor, error in known), Fraction(0))))
