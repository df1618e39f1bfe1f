"""Words of a meter -> raw integers -> exact values. Pure; the only place where a meter's float is met.

Rules: the raw integer of a register is kept exactly (a float as its bits), nothing is rounded but an instantaneous
value, once, half to even (WIRE.md section 3, rule 1). What the meter marks as not available, a float that is no
number, and what would leave int64 is None; it is never wrapped and never 0. A register whose worth the meter declares
in a scale register is None until that is known.
Sources: IEEE 754-2019 section 3.4 (binary32, binary64); Modbus Application Protocol V1.1b3 section 4.2 (a register is
16 bits, high byte first); mod10k: words of four decimal digits, as the ION maker's documents name it.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import partial
from math import isfinite, prod
from typing import NamedTuple

from agent.acquire.decode_clock import clock
from agent.acquire.decode_scale import coarse_above, float_step, resolved
from agent.acquire.points import Enc, Part, Point, Raw, Setting
from shared.quantity import INT64_MAX, INT64_MIN

__all__ = [
    "BlockReader", "Decoded", "block_reader", "clock", "coarse_above", "combine", "count", "exact", "exact_sum",
    "float_step", "number", "packed", "part_raw", "pattern", "resolved", "setting", "text",
]  # fmt: skip

_DIGITS = 10_000  # one mod10k word holds 0..9999
#: A binary32 has 24 bits; times a number of at most 29 more, the product is exact in a binary64 of 53.
_EXACT = 1 << 29
_FLOATS = {"f32": struct.Struct(">f"), "f64": struct.Struct(">d")}

Read = Callable[[bytes], tuple[Raw | None, int | None]]


class Decoded(NamedTuple):
    """What a block said."""

    registers: dict[str, Raw | None]  # raw, in the point's `enc`
    values: dict[str, int | None]  # instantaneous quantities [counts of the quantity's unit]
    scaled: dict[str, Point]  # registers whose worth a scale declares: `mult`, `mod` and `step` as it says now
    scales: dict[str, int | None]  # scale registers that this block brought


#: Takes the words of a block and the scales of this meter that are known so far.
BlockReader = Callable[[bytes, Mapping[str, int | None]], Decoded]


def packed(words: Sequence[int]) -> bytes:
    """Return the registers as they came over the wire, high byte first."""
    return struct.pack(f">{len(words)}H", *words)


def pattern(block: bytes, part: Part) -> int:
    """Return the bits of a part as an unsigned integer, word and byte order resolved.

    Examples:
        >>> hex(pattern(bytes.fromhex("CCDDAABB"), Part(0, 2, 3, "uint32", word_order="little")))
        '0xaabbccdd'
    """
    if part.half_order not in (None, part.word_order):
        block = block[4:] + block[:4]
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
    whole = _typed(part.type, part.count, 16 * part.count if part.bits is None else part.bits[1])
    if part.bits is None:
        return whole
    low, mask = part.bits[0], (1 << part.bits[1]) - 1
    return lambda bits: whole(bits >> low & mask) if whole else bits >> low & mask


def _typed(kind: str, count: int, width: int) -> Callable[[int], int | None] | None:
    if kind.startswith(("int", "abs")):
        sign = 1 << (width - 1)
        return (lambda bits: (bits ^ sign) - sign) if kind.startswith("int") else lambda bits: abs((bits ^ sign) - sign)
    if kind.startswith("bcd"):
        return _bcd
    return partial(_mod10k, count=count) if kind.startswith("mod10k") else None


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
    several = isinstance(point.mult, tuple)
    known = tuple(raw for raw in raws if raw is not None)
    total = exact_sum(point, known) if len(known) == len(raws) else None
    value = None if total is None else _bounded(_half_even(total.numerator, total.denominator))
    if value is None:
        return None, None
    return (known if several else known[0]), value


def exact_sum(point: Point, raws: Sequence[int]) -> Fraction | None:
    """Return the exact value of a point, its parts summed [counts of its unit]; None for NaN and infinity."""
    total = point.offset
    for raw, mult in zip(raws, point.mults, strict=True):
        value = exact(raw, point.enc)
        if value is None:
            return None
        total += value * mult
    return total


def block_reader(address: int, points: Sequence[Point]) -> BlockReader:
    """Return how the bytes of such a block, as they came over the wire, are read: made once, it runs at every poll."""
    fixed = [point for point in points if point.scaled_by is None]
    registers = [(point.quantity, _reader(point, address)) for point in fixed if point.kind == "register"]
    others = [(point.quantity, _value_reader(point, address)) for point in fixed if point.kind == "instantaneous"]
    rest = [point for point in points if point.kind == "scale" or point.scaled_by is not None]

    def read(block: bytes, known: Mapping[str, int | None]) -> Decoded:  # noqa: ARG001 - nothing here has a scale
        return Decoded({name: of(block)[0] for name, of in registers}, {name: of(block) for name, of in others}, {}, {})

    return _scaled_reader(address, rest, read) if rest else read


def _scaled_reader(address: int, points: Sequence[Point], plain: BlockReader) -> BlockReader:
    """Return how a block with scales, or with points that have one, is read."""
    scales = [(point, _reader(point, address)) for point in points if point.kind == "scale"]
    moving = [_Moving(point, address) for point in points if point.kind != "scale"]

    def read(block: bytes, known: Mapping[str, int | None]) -> Decoded:
        decoded = plain(block, known)
        for scale, of in scales:
            raw = of(block)[0]
            decoded.scales[scale.quantity] = raw if isinstance(raw, int) else None
        current = {**known, **decoded.scales}
        for one in moving:
            one.read(block, current, decoded)
        return decoded

    return read


class _Moving:
    """A point whose worth a scale register declares; made anew only when that says something else."""

    def __init__(self, point: Point, address: int) -> None:
        self._point, self._address = point, address
        self._scale: int | None = None
        self._made: tuple[Point, Read] | None = None

    def read(self, block: bytes, scales: Mapping[str, int | None], decoded: Decoded) -> None:
        """Put the point's register or value into what the block said."""
        made = self._at(scales.get(self._point.scaled_by or ""))
        raw, value = (None, None) if made is None else made[1](block)
        if self._point.kind != "register":
            decoded.values[self._point.quantity] = value
            return
        decoded.registers[self._point.quantity] = raw
        if made is not None:
            decoded.scaled[self._point.quantity] = made[0]

    def _at(self, scale: int | None) -> tuple[Point, Read] | None:
        if scale != self._scale:
            worth = resolved(self._point, scale, self._point.form or "power10")
            self._scale, self._made = scale, None if worth is None else (worth, _reader(worth, self._address))
        return self._made


def _reader(point: Point, address: int) -> Read:
    """Return how a point is read out of the bytes of a block."""
    spans = [(2 * (part.address - address), 2 * (part.end - address), part) for part in point.parts]
    if len(spans) == 1 and not isinstance(point.mult, tuple) and not point.offset:
        return _single(point, *spans[0], point.mult)
    return lambda block: combine(point, [part_raw(block[i:j], part, point.na) for i, j, part in spans])


def _value_reader(point: Point, address: int) -> Callable[[bytes], int | None]:
    """Return how an instantaneous value is read: of most meters a float, whose bits nobody asks for."""
    part, over = point.parts[0], point.mults[0]
    straight = part.word_order == part.byte_order == "big" and part.half_order != "little" and part.bits is None
    lone = len(point.parts) == 1 and not (point.na or point.offset)
    if not (straight and lone and point.enc == "f32" and over.denominator == 1 and abs(over) < _EXACT):
        read = _reader(point, address)
        return lambda block: read(block)[1]
    unpack, first, factor = _FLOATS["f32"].unpack_from, 2 * (part.address - address), over.numerator
    return lambda block: _whole(unpack(block, first)[0] * factor)


def _single(point: Point, first: int, stop: int, part: Part, mult: Fraction) -> Read:
    """Return how a point of one part is read; what the profile settles is settled here, once."""
    na, convert, count_of = point.na, _conversion(part), _counting(point.enc, mult)
    straight = part.word_order == part.byte_order and part.half_order in (None, part.word_order)
    order = part.word_order if straight else None

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
    if part.type == "ascii":
        return _characters(words, part)
    raw = part_raw(packed(words), part, point.na)
    return None if raw is None else str(raw)


def _characters(words: Sequence[int], part: Part) -> str | None:
    """Return the printable characters before the first NUL; a meter's text goes into logs and pages."""
    ordered = words if part.word_order == "big" else words[::-1]
    block = packed(ordered) if part.byte_order == "big" else struct.pack(f"<{len(words)}H", *ordered)
    if part.bits is not None:  # the meter answers a whole structure only
        block = block[len(block) - sum(part.bits) // 8 : len(block) - part.bits[0] // 8]
    characters = block.split(b"\0")[0].decode("ascii", errors="replace")
    return "".join(one for one in characters if one.isprintable()).strip() or None


def setting(words: Sequence[int], point: Point) -> Setting | None:
    """Return how a meter is set, a number in the unit of the setting's name or a text; None when not available.

    Args:
        words: Registers of all parts of the setting, one after the other.
        point: Where and how it stands.
    """
    if point.parts[0].type == "ascii":
        return _characters(words, point.parts[0])
    raws, start = [], 0
    for part in point.parts:
        raws.append(part_raw(packed(words[start : start + part.count]), part, point.na))
        start += part.count
    known = [raw for raw in raws if raw is not None]
    if len(known) < len(raws):
        return None
    if not point.product:
        return exact_sum(point, known)
    factors = [exact(raw, point.enc) for raw in known]
    finite = [factor for factor in factors if factor is not None]
    return prod(finite, start=prod(point.mults, start=Fraction(1))) if len(finite) == len(factors) else None
