"""The published rule from signed reads to registers and intervals (WIRE.md section 3).

Agent, collector and verifier all call this file and no other arithmetic. Rules: exact fractions until the one
rounding at a boundary, half-even; nothing is guessed; a null stays a null. What a read is worth depends on the
read alone, so anyone can redo it.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from fractions import Fraction
from math import gcd
from typing import Literal

from shared.errors import Malformed

Encoding = Literal["int", "f32", "f64"]
Raw = int | tuple[int, ...]
Factor = Fraction | tuple[Fraction, ...]
Modulus = int | tuple[int, ...] | None
#: Boot microseconds of the one or two reads used at a boundary, or None.
At = tuple[int, ...] | None


class Mark(IntFlag):
    """What is known of a boundary beside its reads."""

    NONE = 0
    ROLLOVER = 1
    SEAM = 2
    FROZEN = 4  # the register stood still while power said load: its value is no reading of this boundary
    LATE = 8
    UNCERTAIN = 16  # the source itself called the value uncertain (OPC UA)
    SETTINGS = 32  # identity or settings of the meter differ from what is configured, or have just changed
    RETIMED = 64  # never sent: a later anchor of the same boot said when it was (shared.retiming)
    RECORDER = 128  # never sent: the block says it by its `source`; the meter's own recorder or history told it later


# The same as plain integers: an enum's `&` costs more than the arithmetic of a whole register.
_ROLLOVER, _SEAM = int(Mark.ROLLOVER), int(Mark.SEAM)
ONE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Register:
    """The reads of one register at n + 1 boundaries, and the n values that follow from them."""

    enc: Encoding
    raw: tuple[tuple[Raw, ...] | None, ...]  # per boundary: as many as there are reads [raw counts]
    mult: Factor  # from raw to one count of the unit
    mod: Modulus  # [raw counts]
    step: int | None  # resolution [counts]
    flags: tuple[int, ...]
    values: tuple[int | None, ...] = ()


def number(raw: int, enc: Encoding) -> Fraction:
    """Return the exact value that one raw register stands for; IEEE 754 bits come as an unsigned integer.

    >>> number(0x3F800000, "f32")
    Fraction(1, 1)

    Raises:
        Malformed: bits of no finite number.
    """
    if enc == "int":
        return Fraction(raw)
    layout, size = (">f", 4) if enc == "f32" else (">d", 8)
    try:
        return Fraction(struct.unpack(layout, raw.to_bytes(size, "big"))[0])
    except (OverflowError, ValueError) as error:
        raise Malformed(f"raw {raw} is no finite {enc}") from error


def _parts(raw: Raw) -> tuple[int, ...]:
    return raw if isinstance(raw, tuple) else (raw,)


def modulus(mod: Modulus, mult: Factor) -> int | None:
    """Return by how much two reads of the same register may differ, whatever the turn. [counts]

    >>> modulus(1000, Fraction(10))
    10000
    """
    mods = mod if isinstance(mod, tuple) else (mod,)
    products = [one * factor for one, factor in zip(mods, _factors(mult), strict=True) if one]
    if not products or any(one.denominator != 1 for one in products):
        return None
    return gcd(*(one.numerator for one in products))


class _Walk:
    """The reads of a register in order, unrolled over rollovers (rule 2)."""

    def __init__(self, register: Register, factor: Fraction) -> None:
        self.enc = register.enc
        self.mult = [part * factor for part in _factors(register.mult)]
        mod = register.mod
        self.mod = mod if isinstance(mod, tuple) else (mod,) * len(self.mult)
        self.forget()

    def forget(self) -> None:
        """Start a new run: no predecessor, nothing unrolled."""
        self.before: list[Fraction] | None = None
        self.turns = [0] * len(self.mult)

    def value(self, raw: Raw, *, rollover: bool) -> Fraction:
        """Return the unrolled value of the next read. [counts]"""
        parts = [number(part, self.enc) for part in _parts(raw)]
        if rollover and self.before is not None:
            for at, (old, new) in enumerate(zip(self.before, parts, strict=True)):
                self.turns[at] += new < old
        self.before = parts
        return sum(
            (
                (part + turns * (mod or 0)) * mult
                for part, turns, mod, mult in zip(parts, self.turns, self.mod, self.mult, strict=True)
            ),
            Fraction(0),
        )


def _factors(mult: Factor) -> tuple[Fraction, ...]:
    return mult if isinstance(mult, tuple) else (mult,)


def shown(register: Register, raw: Raw) -> Fraction:
    """Return what one read shows, as a display does: rollovers are not unrolled. [counts]"""
    pairs = zip(_parts(raw), _factors(register.mult), strict=True)
    return sum((number(part, register.enc) * factor for part, factor in pairs), Fraction(0))


def reads(register: Register, factor: Fraction = ONE) -> list[tuple[Fraction, ...] | None]:
    """Return the unrolled exact values of the reads at each boundary (rules 1 and 2). [counts]"""
    walk, found = _Walk(register, factor), []
    for raw, flags in zip(register.raw, register.flags, strict=True):
        if flags & _SEAM:
            walk.forget()
        rollover = bool(flags & _ROLLOVER)
        found.append(None if raw is None else tuple(walk.value(one, rollover=rollover) for one in raw))
    return found


def at_boundary(values: tuple[Fraction, ...], at: tuple[int, ...], boundary: int) -> int:
    """Return the register at a boundary from the one or two reads beside it (rule 3). [counts]"""
    if len(values) == 1:
        return round(values[0])
    (v0, v1), (t0, t1) = values, at
    return round(v0 + (v1 - v0) * Fraction(boundary - t0, t1 - t0))


def registers(
    register: Register, at: Sequence[At], boundaries: Sequence[int | None], factor: Fraction = ONE
) -> list[int | None]:
    """Return the register at each boundary (rules 1 to 3). [counts]

    Args:
        register: Reads and their multiplier.
        at: Times of the reads. [boot us]
        boundaries: Where the agent placed each boundary. [boot us]
        factor: Dated correction of the multiplier (rule 6). [1]
    """
    plain = _plain(register, at, factor)
    if plain is not None:
        return plain
    return [
        None if values is None or times is None or boundary is None else at_boundary(values, times, boundary)
        for values, times, boundary in zip(reads(register, factor), at, boundaries, strict=True)
    ]


def _plain(register: Register, at: Sequence[At], factor: Fraction) -> list[int | None] | None:
    """Return the same for the common register, one integer read at each boundary and no rollover; else None."""
    if register.enc != "int" or isinstance(register.mult, tuple) or not once(at):
        return None
    if any(register.flags) and any(flag & _ROLLOVER for flag in register.flags):
        return None
    mult = register.mult if factor is ONE else register.mult * factor
    if mult.denominator != 1:
        return None
    scale = mult.numerator
    return [
        None if raw is None or times is None else _parts(raw[0])[0] * scale
        for raw, times in zip(register.raw, at, strict=True)
    ]


def once(at: Sequence[At]) -> bool:
    """Return whether no boundary was read twice."""
    return set(map(len, filter(None, at))) <= {1}


def advances(levels: Sequence[int | None], flags: Sequence[int]) -> list[int | None]:
    """Return the n interval values of n + 1 boundary registers (rule 4). [counts]

    >>> advances([10, 25, None, 40], [0, 0, 0, 0])
    [15, None, None]
    """
    return [
        None if before is None or after is None or flag & _SEAM else after - before
        for before, after, flag in zip(levels[:-1], levels[1:], flags[1:], strict=True)
    ]


def values(register: Register, at: Sequence[At], boundaries: Sequence[int | None]) -> list[int | None]:
    """Return the interval values that the rule gives for signed reads. [counts]"""
    return advances(registers(register, at, boundaries), register.flags)


def bounds(register: Register, at: Sequence[At]) -> list[tuple[int, int] | None]:
    """Return what a one-way register can have been at each boundary, lowest and highest (rule 5). [counts]"""
    step = register.step or 0
    found: list[tuple[int, int] | None] = []
    for seen, times in zip(reads(register), at, strict=True):
        if seen is None or times is None:
            found.append(None)
        elif len(seen) == 2:
            found.append((seen[0].__floor__(), seen[1].__ceil__() + step))
        else:
            found.append((seen[0].__floor__(), seen[0].__ceil__() + step))
    return found
