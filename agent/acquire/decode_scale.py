"""What a meter says of its own registers: scale registers, and how fine a float can count. Pure.

Sources: SunSpec Device Information Model, "scale factor": a power of ten from -10 to 10, 0x8000 is not implemented.
Electro Industries, Shark 100S and 200 manuals, "Power & Energy Format", bits `pppp--nn-eee-ddd`: `nn` 5 to 8 digits as
0 to 3, `eee` 0 units, 3 kilo, 6 mega, `ddd` digits after the decimal point; the digits say where the register restarts.
"""

from dataclasses import replace
from fractions import Fraction

from agent.acquire.points import Enc, Point, ScaleForm

_MOST_TENS = 10
_EIG_UNITS = frozenset({0, 3, 6})
_EIG_MOST_DECIMALS = 6
_EIG_LEAST_DIGITS = 5
#: Bits of a significand after its first, and the least exponent, of each float (IEEE 754-2019 table 3.5).
_FLOATS = {"f32": (23, -126), "f64": (52, -1022)}


def resolved(point: Point, raw: int | None, form: ScaleForm) -> Point | None:
    """Return a point with the worth of a count as its scale register says it; None when that says nothing usable."""
    if raw is None:
        return None
    if form == "power10":
        return _worth(point, Fraction(10) ** raw, None) if abs(raw) <= _MOST_TENS else None
    unit, decimals = raw >> 4 & 7, raw & 7
    if unit not in _EIG_UNITS or decimals > _EIG_MOST_DECIMALS:
        return None
    digits = _EIG_LEAST_DIGITS + (raw >> 8 & 3)
    return _worth(point, Fraction(10) ** (unit - decimals), 10**digits)


def _worth(point: Point, factor: Fraction, digits: int | None) -> Point:
    """Return the point with ``factor`` in its multipliers, and the modulus and step that follow."""
    mults = tuple(mult * factor for mult in point.mults)
    several = isinstance(point.mult, tuple)
    mod = point.mod
    if point.kind == "register" and mod is None and digits is not None:
        mod = (digits,) * len(mults) if several else digits
    step = None if point.enc != "int" else sum(-(-abs(mult.numerator) // mult.denominator) for mult in mults)
    return replace(point, mult=mults if several else mults[0], mod=mod, step=step, scaled_by=None)


def float_step(raw: int, enc: Enc) -> Fraction:
    """Return the distance to the next number that a register's float can show, in raw units; 1 of an integer.

    Args:
        raw: Raw register: the bits of a float.
        enc: Its encoding.

    Examples:
        >>> float_step(0x4B800000, "f32")  # 2^24 Wh: one more Wh cannot be shown
        Fraction(2, 1)
    """
    if enc == "int":
        return Fraction(1)
    significand, least = _FLOATS[enc]
    bias = 1 - least
    exponent = max((raw >> significand) & (2 * bias + 1), 1) - bias
    return Fraction(2) ** (exponent - significand)


def coarse_above(point: Point, tolerance: int) -> int | None:
    """Return the value from which on a float register's own step exceeds ``tolerance``; None where it never matters.

    Both in counts of the point's unit. Of several parts, the one that grows coarse first.
    """
    if point.enc == "int" or tolerance <= 0:
        return None
    significand, least = _FLOATS[point.enc]
    found = []
    for mult in point.mults:
        exponent = least
        while Fraction(2) ** (exponent - significand) * mult <= tolerance:
            exponent += 1
        found.append(-(-(Fraction(2) ** exponent * mult) // 1))
    return int(min(found))
