"""One released row, followed down: its formula, the intervals of its channels, the leaves and register reads behind."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from sqlalchemy import Connection

from collector.intake.log import Entry, Log
from collector.series import versions as series
from collector.settle import sources
from collector.settle.columns import method_of
from collector.settle.plainly import both
from collector.settle.release import Made
from collector.vee.series import HAS_VALUE
from shared import batch, envelope, factor, record
from shared.errors import ConfigError
from shared.intervals import Intervals
from shared.master import in_force
from shared.quantity import quantity
from shared.registers import Raw, Register, number
from shared.release import Row, instant
from shared.status import Status


def trace(connection: Connection, log: Log, made: Made, point: str, start: int) -> dict[str, Any]:
    """Return what a row of a release rests on. [UTC s]

    Returns:
        ``row``, ``formula``, ``channels`` (their intervals) and ``leaves`` (with the reads at the row's boundaries).

    Raises:
        ConfigError: the release has no such row.
    """
    row = next((one for one in made.each() if (one.point, one.start) == (point, start)), None)
    if row is None:
        raise ConfigError(f"release {made.id} has no row of {point} at {instant(start)}")
    versions = sources.points(connection, made.position).versions
    refs = sorted(sources.channels_of(versions, [point], start))
    positions = [at for first, last in row.evidence for at in range(first, last + 1)]
    entries = [entry for at in positions if (entry := log.entry(connection, at)) is not None]
    return {
        "release_id": made.id, "row": _row(row), "formula": in_force(versions, start)[point].text,
        "channels": [one for ref in refs for one in _intervals(connection, ref, row, made.position)],
        "leaves": [_leaf(entry, refs, row) for entry in entries],
    }  # fmt: skip


def _row(row: Row) -> dict[str, Any]:
    return {
        "point": row.point, "start": instant(row.start), "length_s": row.length_s, "value": row.value,
        "unit": row.unit, "status": row.status, "revision": row.revision,
    }  # fmt: skip


def _intervals(connection: Connection, ref: str, row: Row, size: int) -> Iterator[dict[str, Any]]:
    span, names = range(row.start, row.start + row.length_s), series.methods(connection)
    known = sources.numbers(connection)
    for length, channel in sorted(sources.channels(connection, known, [ref], span, size).get(ref, {}).items()):
        for at in range(len(channel.values)):
            status = Status(int(channel.status[at]))
            yield {
                "channel": ref, "start": instant(row.start + at * length), "length_s": length, "status": status.name,
                "value": int(channel.values[at]) if HAS_VALUE[status] else None, "unit": _unit(ref),
                "method": method_of(int(channel.methods[at]), names),
                "position": int(channel.positions[at]),
            }  # fmt: skip


def _leaf(entry: Entry, refs: list[str], row: Row) -> dict[str, Any]:
    told: dict[str, Any] = {"position": entry.position, "kind": entry.kind, "signed_by": entry.kid}
    if entry.text is None:
        return told | {"bytes": "no longer kept"}
    payload = envelope.payload(envelope.apart(entry.text))
    if entry.typ != "batch":
        signed = record.decode(payload)
        corrected = {"corrects": dict(signed.body)} if signed.kind == "factor" else {}
        return told | {"by": signed.by} | corrected
    told |= {"agent": entry.agent, "epoch": entry.epoch, "seq": entry.seq}
    body = batch.decode(payload).body
    return told | ({"reads": list(_reads(body, refs, row))} if isinstance(body, Intervals) else {})


def _reads(body: Intervals, refs: list[str], row: Row) -> Iterator[dict[str, Any]]:
    """Give the register reads of a batch at the boundaries of a row."""
    for block in body.blocks:
        for ref in refs:
            meter, _, quantity = ref.partition("/")[2].partition(".")
            register = block.registers.get(quantity)
            if block.meter != meter or register is None:
                continue
            for at, raw in enumerate(register.raw):
                boundary = body.start + at * body.length
                if row.start <= boundary <= row.start + row.length_s and raw is not None:
                    yield {
                        "channel": ref, "boundary": instant(boundary), "serial": block.serial, "source": block.source,
                        "raw": list(raw), "reads": [_shown(register, one) for one in raw], "unit": _unit(ref),
                    }  # fmt: skip


def _unit(ref: str) -> str:
    """Return the unit of a channel's counts."""
    return quantity(ref.rpartition(".")[2]).unit


def _shown(register: Register, raw: Raw) -> str:
    """Return what a register held, and what it is multiplied by: of each of its parts, where it is a sum of some."""
    parts = raw if isinstance(raw, tuple) else (raw,)
    factors = register.mult if isinstance(register.mult, tuple) else (register.mult,) * len(parts)
    numbers = [number(part, register.enc) for part in parts]
    return " + ".join(f"{_plain(held)} x {factor}" for held, factor in zip(numbers, factors, strict=True))


def _plain(held: Fraction) -> str:
    """Return an exact number of a register as a person reads it."""
    return f"{held}" if held.denominator == 1 else f"{float(held)!r}"


def lines(found: dict[str, Any]) -> Iterator[str]:
    """Give a trace as a person reads it."""
    row = found["row"]
    yield f"{row['point']} at {row['start']}: {_value(row)} {row['status']} = {found['formula']}"
    for one in found["channels"]:
        method = f" by {one['method']}" if one["method"] else ""
        yield f"  {one['channel']} {one['start']} {one['length_s']} s: {_value(one)} {one['status']}{method}"
    for leaf in found["leaves"]:
        who = f"{leaf['agent']} sequence {leaf['seq']}" if "agent" in leaf else leaf.get("by", leaf.get("bytes"))
        yield f"  position {leaf['position']}: {leaf['kind']}, {who}{_corrected(leaf)}"
        for read in leaf.get("reads", ()):
            yield f"    {read['channel']} at {read['boundary']}: register {' and '.join(read['reads'])} {read['unit']}"


def _value(one: dict[str, Any]) -> str:
    """Return a value in counts, and beside it what a person reads."""
    return "no value" if one["value"] is None else both(one["value"], one["unit"])


def _corrected(leaf: dict[str, Any]) -> str:
    """Return which multiplier a leaf corrects, by what and why; nothing where it corrects none."""
    if "corrects" not in leaf:
        return ""
    one = factor.decode(leaf["corrects"], leaf["position"])
    return f": {one.site}/{one.meter}.{one.quantity or '*'} times {one.factor} from {instant(one.start)} ({one.reason})"
