"""Values -> words of a simulated meter. The only encoder of the house; no test vector is ever its output."""

import struct
from fractions import Fraction

from agent.acquire.points import Enc, Part, Point
from shared.errors import ConfigError

_NAN = {"f32": 0x7FC00000, "f64": 0x7FF8000000000000}


def resolution(point: Point) -> int:
    """Return the step in which a simulated register moves: the meter's, or one that its float can hold. [counts]"""
    mult = point.mults[0]
    step = int(mult) if point.enc != "int" and mult >= 1 else max(1, -(-mult.numerator // mult.denominator))
    while point.enc != "int" and step > 10_000 and step % 2 == 0:  # halves of a unit are exact in binary
        step //= 2
    return step


def words(point: Point, value: int) -> list[list[int]]:
    """Return the registers of each part that show a value. [counts of the quantity's unit]"""
    return [
        part_words(bits(part, _raw(point, n, amount)), part)
        for n, (part, amount) in enumerate(zip(point.parts, _shares(point, value), strict=True))
    ]


def unavailable(point: Point) -> list[list[int]] | None:
    """Return the registers that say "not available"; None where the meter has no way to say it."""
    pattern = _NAN.get(point.enc, next(iter(point.na), None))
    return None if pattern is None else [part_words(pattern, part) for part in point.parts]


def serial(text: str, point: Point, meter: str) -> list[int]:
    """Return the registers that show a serial number.

    Raises:
        ConfigError: the meter's registers cannot hold it.
    """
    part = point.parts[0]
    if part.type == "ascii":
        return characters(text, part)
    if not text.isdecimal() or int(text) >= 1 << (16 * part.count):
        raise ConfigError(f"meter {meter}: serial {text!r} does not fit in a register of type {part.type}")
    return part_words(bits(part, int(text)), part)


def characters(text: str, part: Part) -> list[int]:
    """Return the registers that show a text, cut to the room that there is."""
    low, width = part.bits or (0, 16 * part.count)
    room = width // 8
    return part_words(int.from_bytes(text.encode("ascii", "replace")[:room].ljust(room, b"\0"), "big") << low, part)


def bits(part: Part, raw: int) -> int:
    """Return the pattern of a raw integer (of a float its bits) in a type."""
    if part.bits is not None:
        return raw % (1 << part.bits[1]) << part.bits[0]
    if part.type.startswith("bcd"):
        return int(str(raw), 16)
    if part.type.startswith("mod10k"):
        digits = f"{raw:0{4 * part.count}d}"
        return sum(int(digits[-4 - 4 * n : len(digits) - 4 * n]) << (16 * n) for n in range(part.count))
    return raw % (1 << (16 * part.count))


def part_words(pattern: int, part: Part) -> list[int]:
    """Return the registers of a pattern in the part's word and byte order."""
    high_first = [pattern >> (16 * n) & 0xFFFF for n in reversed(range(part.count))]
    ordered = high_first if part.word_order == "big" else high_first[::-1]
    if part.half_order not in (None, part.word_order):
        ordered = ordered[2:] + ordered[:2]
    return ordered if part.byte_order == "big" else [word >> 8 | (word & 0xFF) << 8 for word in ordered]


def _shares(point: Point, value: int) -> list[int]:
    """Return how a value is spread over the parts: even between two tariffs, in whole steps."""
    step = resolution(point)
    shares = [value // len(point.parts) // step * step for _ in point.parts[1:]]
    return [value - sum(shares), *shares]


def _raw(point: Point, part: int, value: int) -> int:
    exact = (value - point.offset) / point.mults[part]
    modulus = point.mod[part] if isinstance(point.mod, tuple) else point.mod
    if modulus is not None:
        exact %= modulus
    raw = raw_of(exact, point.enc)
    return raw if point.kind == "register" or point.enc != "int" else _bounded(raw, point.parts[part])


def _bounded(raw: int, part: Part) -> int:
    """Return an instantaneous value within what its type can show: a meter stands at the end of its scale."""
    width = 16 * part.count if part.bits is None else part.bits[1]
    if part.type.startswith("int"):
        most = (1 << (width - 1)) - 1
        return max(-most, min(raw, most))
    return max(0, min(raw, (1 << width) - 2)) if part.type.startswith("uint") else raw


def raw_of(exact: Fraction, enc: Enc) -> int:
    """Return the raw integer of a number: whole counts, or a float's bits."""
    if enc == "int":
        return int(exact // 1)
    return int.from_bytes(struct.pack(">f" if enc == "f32" else ">d", float(exact)), "big")
