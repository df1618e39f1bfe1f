"""From one believed `intervals` batch to segments of registers and statistics. Pure.

Rules of this file: the arithmetic is that of `shared.registers` and no other; a value that does not follow from the
signed reads is used by nobody, neither as sent nor as computed (WIRE.md section 3); what leaves 64 bits is not
available.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd
from typing import NamedTuple

import numpy as np

from collector.intake.authentic import printable
from collector.series.codec import STAT, UNTOLD, Records, raw_records
from collector.series.raw import statistics
from collector.series.registers import Segment
from shared import factor
from shared import registers as rule
from shared.batch import Batch
from shared.intervals import Block, Intervals
from shared.quantity import INT64_MAX, INT64_MIN, QUANTITIES
from shared.registers import ONE, At, Factor, Mark, Modulus, Register

_ROLLOVER, _RECORDER = int(Mark.ROLLOVER), int(Mark.RECORDER)
_MOST_SAMPLES = 2**32 - 1
_MOST_US = 2**31 - 1
_NOTHING = (0, 0, 0)
_MARKS = 0xFFFF & ~int(Mark.RETIMED | Mark.RECORDER)  # those are ours to give


@dataclass(frozen=True, slots=True)
class Piece:
    """What one block says of one quantity: a segment, or why there is none."""

    meter: str
    quantity: str
    path: str
    segment: Segment | None
    rule: str | None = None  # of the finding
    text: str | None = None


def pieces(
    batch: Batch, body: Intervals, block: Block, position: int, since: int,
    spans: Callable[[str], Sequence[tuple[int, int, Fraction]]] | None = None,
) -> Iterator[Piece]:  # fmt: skip
    """Give what a block says of each of its quantities.

    Args:
        batch: The batch.
        body: Its body.
        block: One of its blocks.
        position: Of the batch in the log.
        since: The position from which on it counts.
        spans: By quantity, in which intervals which correction of the multiplier holds; none without it.
    """
    stamp = _Stamp((position, since), batch.clock.status != "S", _times(block.at, body.boundaries, body.length))
    for name in block.registers:
        held = [(0, body.n, ONE)] if spans is None else spans(name)
        yield from _register(body, block, name, stamp, held)
    for name, values in block.stats.items():
        if name not in QUANTITIES or QUANTITIES[name].kind != "statistic":
            yield _unknown(block, name)
            continue
        records = _statistic(values, position, since)
        yield Piece(block.meter, name, block.source, statistics(body.start, body.length, records))


def _unknown(block: Block, name: str) -> Piece:
    return Piece(
        block.meter, name, block.source, None, "A4", f"quantity {name[:60]!r} is not in the table of quantities"
    )


def _register(
    body: Intervals, block: Block, name: str, stamp: "_Stamp", spans: Sequence[tuple[int, int, Fraction]]
) -> Iterator[Piece]:  # fmt: skip
    if name not in QUANTITIES or QUANTITIES[name].kind != "register":
        yield _unknown(block, name)
        return
    register = block.registers[name]
    levels = rule.registers(register, block.at, body.boundaries)
    if rule.advances(levels, register.flags) != list(register.values):
        text = "the values that were sent do not follow from the signed reads; neither is used"
        yield Piece(block.meter, name, block.source, None, "G2", text)
        return
    serial = None if block.serial is None else printable(block.serial, 64)
    for first, part, own in factor.parts(block, name, spans):
        ends = body.boundaries[first : first + len(own.raw)]
        shown = levels if own is register else rule.registers(own, part.at, ends)
        told = stamp if part is block else stamp._replace(times=_times(part.at, ends, body.length))
        records = _records(part, own, shown, told)
        modulus, start = _modulus(own.mod, own.mult), body.start + first * body.length
        segment = Segment(start, body.length, serial, own.enc, _int64(own.step), modulus, records)
        yield Piece(block.meter, name, block.source, segment)


class _Stamp(NamedTuple):
    """What all registers of a block have in common."""

    places: tuple[int, int]  # position of the batch, and the one from which on it counts
    unsynchronised: bool
    times: Sequence[tuple[int, int]]  # of each boundary: how late its reads are, how much longer it lasted [us]


def _times(at: Sequence[At], boundaries: Sequence[int | None], length: int) -> list[tuple[int, int]]:
    """Return how late the reads of each boundary are, and what the interval before it lasted more than its label."""
    found, before = [], None
    for times, boundary in zip(at, boundaries, strict=True):
        late = longer = UNTOLD
        if boundary is not None and times is not None:
            late = min(abs(times[0] - boundary) if len(times) == 1 else times[1] - times[0], _MOST_US)
        if boundary is not None and before is not None:
            longer = max(-_MOST_US, min(boundary - before - length * 1_000_000, _MOST_US))
        found.append((late, longer))
        before = boundary
    return found


def _records(block: Block, register: Register, levels: Sequence[int | None], stamp: _Stamp) -> Records:
    counts = (0, *block.samples)
    if max(counts) > _MOST_SAMPLES or min(counts) < 0:
        counts = tuple(min(max(count, 0), _MOST_SAMPLES) for count in counts)
    own = 0 if block.source == "poll" else _RECORDER
    return raw_records(
        (*(one or _NOTHING), *stamp.places, 0, count, flag & _MARKS | own, one is not None, stamp.unsynchronised, *told)
        for one, flag, count, told in zip(
            _known(block, register, levels), register.flags, counts, stamp.times, strict=True
        )
    )


def _known(block: Block, register: Register, levels: Sequence[int | None]) -> list[tuple[int, int, int] | None]:
    """Return register, lowest and highest (rule 5) of each boundary, None where it is lacking or leaves 64 bits.

    For whole counts read once, without rollover, the lowest is what was read and the highest a step above.
    """
    mult, step = register.mult, register.step or 0
    rolls = any(register.flags) and any(flag & _ROLLOVER for flag in register.flags)
    if rolls or register.enc != "int" or isinstance(mult, tuple) or mult.denominator != 1 or not rule.once(block.at):
        return [_fitting(level, both) for level, both in zip(levels, rule.bounds(register, block.at), strict=True)]
    return [None if level is None else _fitting(level, (level, level + step)) for level in levels]


def _fitting(level: int | None, both: tuple[int, int] | None) -> tuple[int, int, int] | None:
    """Return register, lowest and highest; None where one is lacking or leaves 64 bits."""
    if level is None or both is None:
        return None
    low, high = both
    fits = INT64_MIN <= low <= INT64_MAX and INT64_MIN <= high <= INT64_MAX and INT64_MIN <= level <= INT64_MAX
    return (level, low, high) if fits else None


def _modulus(mod: Modulus, mult: Factor) -> int | None:
    """Return by how much registers of two batches may differ at the same boundary. [counts]"""
    if isinstance(mod, int) and isinstance(mult, Fraction) and mult.denominator == 1:  # as nearly always
        return _int64(abs(mod * mult.numerator))
    mods = mod if isinstance(mod, tuple) else (mod,)
    mults = mult if isinstance(mult, tuple) else (mult,)
    products = [one * factor for one, factor in zip(mods, mults, strict=True) if one]
    if not products or any(one.denominator != 1 for one in products):
        return None
    return _int64(gcd(*(one.numerator for one in products)))


def _statistic(values: Sequence[int | None], position: int, since: int) -> Records:
    records = np.zeros(len(values), STAT)
    fits = [value is not None and INT64_MIN <= value <= INT64_MAX for value in values]
    records["known"] = fits
    records["value"] = [value if fit else 0 for value, fit in zip(values, fits, strict=True)]
    records["position"], records["since"] = position, since
    return records


def _int64(number: int | None) -> int | None:
    return number if number is not None and 0 < number <= INT64_MAX else None
