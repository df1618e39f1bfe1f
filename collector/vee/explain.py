"""Why an interval has the value that it has: every version of it, who made it and from what, and what is objected."""

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.intake import records
from collector.series import channels, others, raw
from collector.series.channels import Channel
from collector.series.codec import VALUE, unpack
from collector.store.schema import blob, finding, ledger_bytes, method, version_segment
from collector.vee import grids
from shared import envelope, factor, record, veeblob
from shared.errors import ConfigError, Malformed
from shared.quantity import INT64_MAX, QUANTITIES, amount
from shared.release import instant
from shared.status import Flags, Status, names

#: What a record's body says for itself: of a change, and of another's file.
_TOLD = ("reason", "text", "author", "undoes", "file", "file_sha256")


@dataclass(frozen=True, slots=True)
class Told:
    """One version of one interval."""

    position: int
    time: str  # of its record
    by: str
    made_by: str
    value: int | None  # [counts]
    amount: str | None  # the same as a person reads it
    status: str
    flags: tuple[str, ...]
    method: str | None
    #: Of an edit: reason, text; of an estimate: inputs, range, back-test error; the record of a corrected multiplier.
    why: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Explained:
    """Why an interval has its value."""

    channel: str
    start: int  # [UTC s]
    length: int  # [s]
    unit: str  # of one count
    versions: tuple[Told, ...]  # oldest first
    findings: tuple[dict[str, Any], ...]
    instead: tuple[int, int] | None  # start and length of the interval that a release takes, where it is another


def interval(connection: Connection, name: str, at: int) -> Explained:
    """Return what is known of the interval that begins at an instant. [UTC s]

    Where the channel was sealed in several lengths and more than one interval begins there, it is the one that a
    release takes.

    Raises:
        ConfigError: no such channel or interval.
    """
    channel = channels.named(connection, name)
    taken = grids.taken(connection, channel.id, at)
    length = _length(connection, channel, at, taken)
    instead = None if taken in (None, length) else (at // taken * taken, taken)
    versions = _versions(connection, channel, at, length)
    findings = _findings(connection, channel, at, length)
    return Explained(
        name, at, length, QUANTITIES[channel.quantity].unit, tuple(versions), tuple(findings), instead
    )  # fmt: skip


def _length(connection: Connection, channel: Channel, at: int, taken: int | None) -> int:
    """Return the length of the interval that begins at an instant: the one that a release takes, or the finest."""
    for lengths, spans in ((raw.lengths, raw.span), (others.lengths, others.span)):
        for length in sorted(lengths(connection, channel.id), key=lambda length: (length != taken, length)):
            span = spans(connection, channel.id, length)
            if span is not None and span[0] <= at < span[1] and at % length == 0:
                return length
    raise ConfigError(f"{channel.name}: no interval begins at {instant(at)}")


def _versions(connection: Connection, channel: Channel, at: int, length: int) -> list[Told]:
    table = version_segment
    query = (
        select(table.c.position, table.c.start, table.c.made_by, table.c.blob, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == table.c.position)
        .where(table.c.channel_id == channel.id, table.c.length == length, table.c.start <= at)
        .where(table.c.start + table.c.n * table.c.length > at)
        .order_by(table.c.position, table.c.rank)
    )
    methods = {row.code: row.name for row in connection.execute(select(method))}
    corrections, unit = _corrections(connection, channel, at), QUANTITIES[channel.quantity].unit
    found = []
    for row in connection.execute(query).all():
        one = unpack(row.blob, VALUE)[(at - row.start) // length]
        signed = record.decode(envelope.payload(envelope.apart(row.jws)))
        status = Status(int(one["status"]))
        value = None if status == Status.MISSING else int(one["value"])
        corrected = [told for told in corrections if told["position"] < row.position]
        why = _why(connection, signed, channel.name, at) | ({"correction": corrected[-1]} if corrected else {})
        found.append(
            Told(
                row.position, instant(signed.time // 1_000_000), signed.by, row.made_by, value,
                None if value is None else amount(value, unit), status.name, tuple(names(Flags(int(one["flags"])))),
                methods.get(int(one["method"])), why,
            )
        )  # fmt: skip
    return found


def _corrections(connection: Connection, channel: Channel, at: int) -> list[dict[str, Any]]:
    """Return the corrected multipliers of a channel at an instant, oldest first: the newest of them holds."""
    found = []
    for position, signed in records.every(connection, "factor", INT64_MAX):
        with contextlib.suppress(Malformed):
            one = factor.decode(signed.body, position)
            if one.covers(channel.site, channel.meter, channel.quantity, at):
                found.append({
                    "position": position, "factor": str(one.factor), "by": signed.by,
                    "time": instant(signed.time // 1_000_000), "reason": one.reason,
                })  # fmt: skip
    return found


def _why(connection: Connection, signed: record.Record, name: str, at: int) -> dict[str, Any]:
    """Return what a record says of an interval: who decided why, or from what it was estimated."""
    told = {key: signed.body[key] for key in _TOLD if signed.body.get(key) is not None}
    digest = signed.body.get("sha256")
    octets = None
    if isinstance(digest, str):
        octets = connection.execute(select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(digest))).scalar()
    for span in veeblob.decode(bytes(octets)) if octets is not None else ():
        for estimate in span.estimates if span.channel == name else ():
            if int(str(estimate["first"])) <= at < int(str(estimate["stop"])):
                told["estimate"] = estimate
    return told


def _findings(connection: Connection, channel: Channel, at: int, length: int) -> list[dict[str, Any]]:
    query = (
        select(finding)
        .where(finding.c.channel_id == channel.id, finding.c.start < at + length, finding.c.stop > at)
        .order_by(finding.c.position, finding.c.id)
    )
    return [
        {"rule": row.rule, "severity": row.severity, "text": row.text, "position": row.position,
         "observed": row.observed, "limit": row.limit_, "settled": row.resolved_position}
        for row in connection.execute(query)
    ]  # fmt: skip


def text(told: Explained) -> str:
    """Return it as a person reads it."""
    lines = [f"{told.channel} at {instant(told.start)}, {told.length} s"]
    for one in told.versions:
        value = "no value" if one.value is None else f"{one.amount} ({one.value} {told.unit})"
        how = f", {one.method}" if one.method else ""
        lines.append(f"  position {one.position}, {one.time}: {value} {one.status}{how}, by {one.by}")
        lines += [f"    {_reason(key, why)}" for key, why in one.why.items()]
    for one_ in told.findings:
        state = "open" if one_["settled"] is None else f"settled at {one_['settled']}"
        lines.append(f"  {one_['rule']} {one_['severity']} ({state}): {one_['text']}")
    if told.instead is not None:
        start, length = told.instead
        lines.append(f"  a release takes the interval of {length} s from {instant(start)} instead")
    return "\n".join(lines)


def _reason(key: str, why: Any) -> str:  # noqa: ANN401 - a value of `Told.why`
    if key == "correction":
        return (
            f"multiplier corrected by {why['factor']}: record {why['position']}, {why['by']},"
            f" {why['time']}: {why['reason']}"
        )
    return f"{key}: {json.dumps(why) if isinstance(why, dict) else why}"
