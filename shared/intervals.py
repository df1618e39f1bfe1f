"""The body of an `intervals` batch (WIRE.md section 3): signed reads beside the values that follow from them."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import gcd
from typing import Any

from shared import registers as rule
from shared import strictjson
from shared.errors import Malformed, OffGrid
from shared.registers import At, Factor, Modulus, Raw, Register

BODY = ("length", "start", "n", "disclosure", "boundaries", "blocks")
BLOCK = ("meter", "serial", "serial_source", "source", "at", "registers", "stats", "samples")
#: A block that the meter itself had kept says by its own clock when (README, decision on recorder blocks).
KEPT_BLOCK = (*BLOCK, "stamps", "clock")
REGISTER = ("enc", "raw", "mult", "mod", "step", "flags", "values")
SERIAL_SOURCES = ("device", "config", "none")
SOURCES = ("poll", "recorder", "history")
#: A batch of more intervals than this is none of ours: a day of one-second lab intervals.
MOST = 86_400


@dataclass(frozen=True, slots=True)
class Block:
    """One block read of one meter: all its registers were read by one request at the same time."""

    meter: str
    serial: str | None
    serial_source: str  # device, config, none
    source: str  # poll, recorder, history
    at: tuple[At, ...]  # n + 1 [boot us]
    registers: dict[str, Register]
    stats: dict[str, tuple[int | None, ...]]  # n each
    samples: tuple[int, ...]  # n good polls
    #: Of a recorder or history: the meter's own labels of the reads in `at`, unchanged [UTC us by its clock].
    stamps: tuple[At, ...] = ()
    clock: tuple[int, int] = (0, 0)  # how far the meter's clock was ahead of ours, and within what [us]


@dataclass(frozen=True, slots=True)
class Intervals:
    """n consecutive intervals of some meters."""

    length: int  # [s]
    start: int  # [UTC s]
    n: int
    disclosure: str
    boundaries: tuple[int | None, ...]  # n + 1 [boot us]
    blocks: tuple[Block, ...]


def encode(body: Intervals) -> dict[str, object]:
    """Return the body as JSON values."""
    blocks = [_block_wire(block) for block in body.blocks]
    parts = (body.length, body.start, body.n, body.disclosure, body.boundaries, blocks)
    return dict(zip(BODY, parts, strict=True))


def _block_wire(block: Block) -> dict[str, object]:
    registers = {name: _register_wire(register) for name, register in block.registers.items()}
    parts = (
        block.meter, block.serial, block.serial_source, block.source, block.at, registers, block.stats, block.samples,
    )  # fmt: skip
    if block.source == "poll":
        return dict(zip(BLOCK, parts, strict=True))
    return dict(zip(KEPT_BLOCK, (*parts, block.stamps, block.clock), strict=True))


def _register_wire(register: Register) -> dict[str, object]:
    mult: object
    if isinstance(register.mult, tuple):
        mult = [[part.numerator, part.denominator] for part in register.mult]
    else:
        mult = [register.mult.numerator, register.mult.denominator]
    parts = (register.enc, register.raw, mult, register.mod, register.step, register.flags, register.values)
    return dict(zip(REGISTER, parts, strict=True))


def decode(value: object) -> Intervals:
    """Return the body of a believed batch.

    Raises:
        Malformed: lengths or types do not fit.
    """
    fields = strictjson.members(value, BODY, "body")
    length, start, n = (strictjson.integer(fields[key], key) for key in ("length", "start", "n"))
    if not (length > 0 and 0 < n <= MOST):
        raise Malformed(f"body: {n} intervals of {length} s are none")
    if start % length:
        raise OffGrid(f"body: intervals of {length} s from {start} begin {start % length} s after a boundary")
    boundaries = _optionals(fields["boundaries"], n + 1, "boundaries")
    blocks = tuple(_block(one, n) for one in strictjson.array(fields["blocks"], "blocks"))
    return Intervals(length, start, n, strictjson.text(fields["disclosure"], "disclosure", 64), boundaries, blocks)


def _block(value: object, n: int) -> Block:
    polled = not isinstance(value, dict) or value.get("source") not in SOURCES[1:]
    fields = strictjson.members(value, BLOCK if polled else KEPT_BLOCK, "block")
    meter = strictjson.text(fields["meter"], "block.meter", 64)
    serial = None if fields["serial"] is None else strictjson.text(fields["serial"], "block.serial", 64)
    if fields["serial_source"] not in ("device", "config", "none") or fields["source"] not in (
        "poll",
        "recorder",
        "history",
    ):
        raise Malformed(f"meter {meter!r}: serial_source or source is none of the published ones")
    at = _times(_sized(fields["at"], n + 1, "at"))
    return Block(
        meter, serial, fields["serial_source"], fields["source"], at,
        {name: _register(one, at, f"{meter}.{name}") for name, one in _items(fields["registers"], "registers")},
        {name: _optionals(one, n, name) for name, one in _items(fields["stats"], "stats")},
        strictjson.integers(_sized(fields["samples"], n, "samples"), "samples"),
        *(() if polled else _labels(fields, at, meter)),
    )  # fmt: skip


def _labels(fields: dict[str, Any], at: tuple[At, ...], meter: str) -> tuple[tuple[At, ...], tuple[int, int]]:
    """Return labels and clock of what a meter had kept; `at` is where its labels lie on the boot clock."""
    stamps = _times(_sized(fields["stamps"], len(at), "stamps"))
    ahead, within = strictjson.integers(_sized(fields["clock"], 2, "clock"), "clock")
    if [one and len(one) for one in stamps] != [one and len(one) for one in at] or within < 0:
        raise Malformed(f"meter {meter!r}: the meter's own stamps are not one for each read")
    moved = {
        stamp - time
        for own, ours in zip(stamps, at, strict=True)
        for stamp, time in zip(own or (), ours or (), strict=True)
    }
    if len(moved) > 1:
        raise Malformed(f"meter {meter!r}: times of reads are not the meter's own stamps, all moved alike")
    return stamps, (ahead, within)


def _times(entries: list[Any]) -> tuple[At, ...]:
    lone = _lone(entries)
    return tuple(zip(strictjson.integers(lone, "at"))) if lone else tuple(_at(one) for one in entries)


def _lone(entries: list[Any]) -> list[Any] | None:
    """Return what stands in arrays of one entry each, as nearly always; None where one has another form."""
    for entry in entries:
        if type(entry) is not list or len(entry) != 1:
            return None
    return [one for (one,) in entries]


def _at(value: object) -> At:
    if value is None:
        return None
    times = tuple(strictjson.integer(one, "at") for one in strictjson.array(value, "at"))
    if len(times) not in (1, 2) or (len(times) == 2 and times[0] >= times[1]):
        raise Malformed("at: not one read, nor two in order")
    return times


def _register(value: object, at: tuple[At, ...], where: str) -> Register:
    fields = strictjson.members(value, REGISTER, where)
    mult = _mult(fields["mult"], where)
    parts = len(mult) if isinstance(mult, tuple) else 0
    if fields["enc"] not in ("int", "f32", "f64"):
        raise Malformed(f"{where}: enc is none of int, f32, f64")
    raws = _sized(fields["raw"], len(at), where)
    return Register(
        fields["enc"],
        _column(raws, at, parts, where),
        mult,
        _mod(fields["mod"], parts, where),
        _optional(fields["step"], where),
        strictjson.integers(_sized(fields["flags"], len(at), where), where),
        _optionals(fields["values"], len(at) - 1, where),
    )


def _column(raws: list[Any], at: tuple[At, ...], parts: int, where: str) -> tuple[tuple[Raw, ...] | None, ...]:
    lone = None if parts or None in at or not rule.once(at) else _lone(raws)
    if lone:
        return tuple(zip(strictjson.integers(lone, where)))
    return tuple(_raws(raw, times, parts, where) for raw, times in zip(raws, at, strict=True))


def _raws(value: object, times: At, parts: int, where: str) -> tuple[Raw, ...] | None:
    if value is None:
        return None
    if times is None:
        raise Malformed(f"{where}: a raw value without a time")
    return tuple(_raw(one, parts, where) for one in _sized(value, len(times), where))


def _raw(value: object, parts: int, where: str) -> Raw:
    if not parts:
        return strictjson.integer(value, where)
    return tuple(strictjson.integer(one, where) for one in _sized(value, parts, where))


def _mult(value: object, where: str) -> Factor:
    entries = strictjson.array(value, where)
    if entries and isinstance(entries[0], list):
        return tuple(_fraction(one, where) for one in entries)
    return _fraction(entries, where)


def _fraction(value: object, where: str) -> Fraction:
    over, under = strictjson.integers(_sized(value, 2, where), where)
    if over <= 0 or under <= 0 or gcd(over, under) != 1:
        raise Malformed(f"{where}: mult is not a positive fraction in lowest terms")
    return _shared_fraction(over, under)


@lru_cache(maxsize=1024)
def _shared_fraction(over: int, under: int) -> Fraction:
    """Return one object for the few multipliers that there are: making one costs more than reading its register."""
    return Fraction(over, under)


def _mod(value: object, parts: int, where: str) -> Modulus:
    if value is None:
        return None
    if not parts:
        return strictjson.integer(value, where)
    return tuple(strictjson.integer(one, where) for one in _sized(value, parts, where))


def _items(value: object, where: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise Malformed(f"{where}: not an object")
    return iter(value.items())


def _sized(value: object, size: int, where: str) -> list[Any]:
    entries = value if type(value) is list else strictjson.array(value, where)
    if len(entries) != size:
        raise Malformed(f"{where}: {len(entries)} entries, not {size}")
    return entries


def _optional(value: object, where: str) -> int | None:
    return None if value is None else strictjson.integer(value, where)


def _optionals(value: object, size: int, where: str) -> tuple[int | None, ...]:
    return strictjson.optionals(_sized(value, size, where), where)


def disagreements(body: Intervals) -> list[str]:
    """Return the channels whose sent values are not those that the published rule gives."""
    found = []
    for block in body.blocks:
        for name, register in block.registers.items():
            if list(register.values) != rule.values(register, block.at, body.boundaries):
                found.append(f"{block.meter}.{name}")
    return found
