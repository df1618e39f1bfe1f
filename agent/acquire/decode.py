"""Words of a meter -> raw integers -> exact values. Pure; the only place where a meter's float is met.

Rules: the raw integer of a register is kept exactly (a float as its bits), nothing is rounded but an instantaneous
value, once, half to even (WIRE.md section 3, rule 1). What the meter marks as not available, a float that is no
number, and what would leave int64 is None; it is never wrapped and never 0.
Sources: IEEE 754-2019 section 3.4 (binary32, binary64); Modbus Application Protocol V1.1b3 section 4.2 (a register is
16 bits, high byte first); mod10k: words of four decimal digits, as the ION maker's documents name it.
"""

import struct
from collections.abc import Sequence
from fractions import Fraction

from agent.acquire.points import Enc, Part, Point, Raw
from shared.quantity import INT64_MAX, INT64_MIN

_DIGITS = 10_000  # one mod10k word holds 0..9999


def packed(words: Sequence[int]) -> bytes:
    """Return the registers as they came over the wire, high byte first."""
    return struct.pack(f">{len(words)}H", *words)


def pattern(block: bytes, part: Part) -> int:
    """Return the bits of a part as an unsigned integer, word and byte order resolved.

    Examples:
        >>> hex(pattern(bytes.fromhex("CCDDAABB"), Part(0, 2, 3, "uint32", word_order="little")))
        '0xaabbccdd'
    """
    if part.word_order == part.byte_order:
        return int.from_bytes(block, part.word_order)
    swapped = bytearray(block)
    swapped[0::2], swapped[1::2] = block[1::2], block[0::2]
    return int.from_bytes(swapped, part.word_order)


def number(bits: int, part: Part) -> int | None:
    """Return the integer that the bits stand for; a float stays its bits. None: no such number.

    Examples:
        >>> number(0xFFFF, Part(0, 1, 3, "int16")), number(0x1234, Part(0, 1, 3, "bcd16"))
        (-1, 1234)
    """
    if part.type.startswith("int"):
        width = 16 * part.count
        return bits - (1 << width) if bits >> (width - 1) else bits
    if part.type.startswith("bcd"):
        digits = f"{bits:x}"
        return int(digits) if digits.isdecimal() else None
    if part.type.startswith("mod10k"):
        return _mod10k(bits, part.count)
    return bits


def _mod10k(bits: int, count: int) -> int | None:
    words = [bits >> shift & 0xFFFF for shift in range(16 * (count - 1), -1, -16)]
    if max(words) >= _DIGITS:
        return None
    total = 0
    for word in words:
        total = total * _DIGITS + word
    return total


def exact(raw: int, enc: Enc) -> Fraction | None:
    """Return the exact value of a raw register, before its multiplier; None for NaN and infinity."""
    parts = _binary(raw, enc)
    if parts is None:
        return None
    mantissa, exponent = parts
    return Fraction(mantissa << exponent) if exponent >= 0 else Fraction(mantissa, 1 << -exponent)


def _binary(raw: int, enc: Enc) -> tuple[int, int] | None:
    """Return m, e with value = m x 2^e."""
    if enc == "int":
        return raw, 0
    fraction_bits, bias, top = (23, 127, 0xFF) if enc == "f32" else (52, 1023, 0x7FF)
    exponent = raw >> fraction_bits & top
    fraction = raw & ((1 << fraction_bits) - 1)
    if exponent == top:
        return None
    mantissa = fraction | (1 << fraction_bits) if exponent else fraction
    sign = raw >> (31 if enc == "f32" else 63)
    return (-mantissa if sign else mantissa), max(exponent, 1) - bias - fraction_bits


def count(raw: int, enc: Enc, mult: Fraction) -> int | None:
    """Return a value as an integer count of its unit, rounded half-even once; None outside int64 or no number.

    Examples:
        >>> count(5, "int", Fraction(1, 2)), count(7, "int", Fraction(1, 2)), count(0x7FC00000, "f32", Fraction(1))
        (2, 4, None)
    """
    parts = _binary(raw, enc)
    if parts is None:
        return None
    mantissa, exponent = parts
    above, below = mantissa * mult.numerator, mult.denominator
    if exponent >= 0:
        above <<= exponent
    else:
        below <<= -exponent
    rounded = _half_even(above, below)
    return rounded if INT64_MIN <= rounded <= INT64_MAX else None


def _half_even(above: int, below: int) -> int:
    whole, rest = divmod(above, below)
    twice = 2 * rest
    return whole + 1 if twice > below or (twice == below and whole & 1) else whole


def part_raw(block: bytes, part: Part, na: frozenset[int]) -> int | None:
    """Return the raw integer of one part; None where the meter says that it is not available."""
    bits = pattern(block, part)
    return None if bits in na else number(bits, part)


def combine(point: Point, raws: Sequence[int | None]) -> tuple[Raw | None, int | None]:
    """Return a point's raw register and its value rounded to counts of its unit, both None when not available."""
    if not isinstance(point.mult, tuple):
        value = None if raws[0] is None else count(raws[0], point.enc, point.mult)
        return (None, None) if value is None else (raws[0], value)
    known = tuple(raw for raw in raws if raw is not None)
    total = exact_sum(point, known) if len(known) == len(raws) else None
    value = None if total is None else _half_even(total.numerator, total.denominator)
    if value is None or not INT64_MIN <= value <= INT64_MAX:
        return None, None
    return known, value


def exact_sum(point: Point, raws: Sequence[int]) -> Fraction | None:
    """Return the exact value of a point, its parts summed [counts of its unit]; None for NaN and infinity."""
    total = Fraction(0)
    for raw, mult in zip(raws, point.mults, strict=True):
        value = exact(raw, point.enc)
        if value is None:
            return None
        total += value * mult
    return total


def point_raw(block: bytes, address: int, point: Point) -> tuple[Raw | None, int | None]:
    """Return raw and rounded value of a point out of the bytes of a block that begins at ``address``."""
    if len(point.parts) == 1:  # nearly always: keep it short, it runs for every value of every poll
        part = point.parts[0]
        start = 2 * (part.address - address)
        return combine(point, (part_raw(block[start : start + 2 * part.count], part, point.na),))
    return combine(
        point,
        [part_raw(block[2 * (p.address - address) : 2 * (p.end - address)], p, point.na) for p in point.parts],
    )


def block_values(
    words: Sequence[int], address: int, points: Sequence[Point]
) -> tuple[dict[str, Raw | None], dict[str, int | None]]:
    """Return registers (raw) and instantaneous values (counts) of a block read, by quantity."""
    block = packed(words)
    registers: dict[str, Raw | None] = {}
    values: dict[str, int | None] = {}
    for point in points:
        raw, value = point_raw(block, address, point)
        if point.kind == "register":
            registers[point.quantity] = raw
        else:
            values[point.quantity] = value
    return registers, values


def text(words: Sequence[int], point: Point) -> str | None:
    """Return an identity as text: characters without padding, or the number in decimal; None when not available."""
    part = point.parts[0]
    block = packed(words)
    if part.type == "ascii":
        characters = block.split(b"\0")[0].decode("ascii", errors="replace").strip()
        return characters or None
    raw = part_raw(block, part, point.na)
    return None if raw is None else str(raw)
