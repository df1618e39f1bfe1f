"""Words of a meter -> raw integers -> exact values. Pure; the only place where a meter's float is met.

Rules: the raw integer of a register is kept exactly (a float as its bits), nothing is rounded but an instantaneous
value, once, half to even (WIRE.md section 3, rule 1). What the meter marks as not available, a float that is no
number, and what would leave int64 is None; it is never wrapped and never 0.
Sources: IEEE 754-2019 section 3.4 (binary32, binary64); Modbus Application Protocol V1.1b3 section 4.2 (a register is
16 bits, high byte first); mod10k: words of four decimal digits, as the ION maker's documents name it.
"""

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from math import isfinite

from agent.acquire.points import Enc, Part, Point, Raw
from shared.quantity import INT64_MAX, INT64_MIN

_DIGITS = 10_000  # one mod10k word holds 0..9999
#: A binary32 has 24 bits; times a number of at most 29 more, the product is exact in a binary64 of 53.
_EXACT = 1 << 29
_FLOATS = {"f32": struct.Struct(">f"), "f64": struct.Struct(">d")}

Read = Callable[[bytes], tuple[Raw | None, int | None]]
BlockReader = Callable[[Sequence[int]], tuple[dict[str, Raw | None], dict[str, int | None]]]


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
    convert = _conversion(part)
    return bits if convert is None else convert(bits)


def _conversion(part: Part) -> Callable[[int], int | None] | None:
    """Return how bits become a number; None where they are it."""
    if part.type.startswith("int"):
        sign = 1 << (16 * part.count - 1)
        return lambda bits: (bits ^ sign) - sign
    if part.type.startswith("bcd"):
        return _bcd
    return partial(_mod10k, count=part.count) if part.type.startswith("mod10k") else None


def _bcd(bits: int) -> int | None:
    digits = f"{bits:x}"
    return int(digits) if digits.isdecimal() else None


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
    ratio = _ratio(raw, enc)
    return None if ratio is None else Fraction(*ratio)


def _ratio(raw: int, enc: Enc) -> tuple[int, int] | None:
    """Return a raw value exactly, as a fraction of two integers."""
    if enc == "int":
        return raw, 1
    written = _FLOATS[enc]
    value: float = written.unpack(raw.to_bytes(written.size, "big"))[0]
    return value.as_integer_ratio() if isfinite(value) else None


def count(raw: int, enc: Enc, mult: Fraction) -> int | None:
    """Return a value as an integer count of its unit, rounded half-even once; None outside int64 or no number.

    Examples:
        >>> count(5, "int", Fraction(1, 2)), count(7, "int", Fraction(1, 2)), count(0x7FC00000, "f32", Fraction(1))
        (2, 4, None)
    """
    return _counted(raw, enc, mult.numerator, mult.denominator)


def _counted(raw: int, enc: Enc, over: int, under: int) -> int | None:
    ratio = _ratio(raw, enc)
    if ratio is None:
        return None
    above, below = ratio[0] * over, ratio[1] * under
    rounded = above if below == 1 else _half_even(above, below)
    return _bounded(rounded)


def _counting(enc: Enc, mult: Fraction) -> Callable[[int], int | None]:
    """Return `count` for one encoding and multiplier, in the shortest way that gives the same."""
    over, under = mult.numerator, mult.denominator
    if under == 1 and enc == "int":
        return lambda raw: _bounded(raw * over)
    if under == 1 and enc == "f32" and over < _EXACT:
        return lambda raw: _whole(_FLOATS["f32"].unpack(raw.to_bytes(4, "big"))[0] * over)
    return lambda raw: _counted(raw, enc, over, under)


def _bounded(number: int) -> int | None:
    return number if INT64_MIN <= number <= INT64_MAX else None


def _whole(product: float) -> int | None:
    """Return an exact product rounded half to even."""
    return _bounded(round(product)) if isfinite(product) else None


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


def block_values(
    words: Sequence[int], address: int, points: Sequence[Point]
) -> tuple[dict[str, Raw | None], dict[str, int | None]]:
    """Return registers (raw) and instantaneous values (counts) of a block read that begins at ``address``."""
    return block_reader(address, points)(words)


def block_reader(address: int, points: Sequence[Point]) -> BlockReader:
    """Return how the words of such a block are read: to be made once, it runs at every poll."""
    registers = [(point.quantity, _reader(point, address)) for point in points if point.kind == "register"]
    others = [(point.quantity, _reader(point, address)) for point in points if point.kind != "register"]

    def read(words: Sequence[int]) -> tuple[dict[str, Raw | None], dict[str, int | None]]:
        block = packed(words)
        return {name: of(block)[0] for name, of in registers}, {name: of(block)[1] for name, of in others}

    return read


def _reader(point: Point, address: int) -> Read:
    """Return how a point is read out of the bytes of a block."""
    spans = [(2 * (part.address - address), 2 * (part.end - address), part) for part in point.parts]
    if len(spans) == 1 and not isinstance(point.mult, tuple):
        return _single(point, *spans[0], point.mult)
    return lambda block: combine(point, [part_raw(block[i:j], part, point.na) for i, j, part in spans])


def _single(point: Point, first: int, stop: int, part: Part, mult: Fraction) -> Read:
    """Return how a point of one part is read; what the profile settles is settled here, once."""
    na, convert, count_of = point.na, _conversion(part), _counting(point.enc, mult)
    order = part.word_order if part.word_order == part.byte_order else None

    def read(block: bytes) -> tuple[Raw | None, int | None]:
        octets = block[first:stop]
        bits = int.from_bytes(octets, order) if order else pattern(octets, part)
        if bits in na or (raw := convert(bits) if convert else bits) is None:
            return None, None
        value = count_of(raw)
        return (None, None) if value is None else (raw, value)

    return read


def text(words: Sequence[int], point: Point) -> str | None:
    """Return an identity as text: characters without padding, or the number in decimal; None when not available."""
    part = point.parts[0]
    block = packed(words)
    if part.type == "ascii":
        characters = block.split(b"\0")[0].decode("ascii", errors="replace").strip()
        return characters or None
    raw = part_raw(block, part, point.na)
    return None if raw is None else str(raw)
