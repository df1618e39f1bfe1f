"""Why an interval has the value that it has: every version of it, who made it and from what, and what is objected."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.series import channels, raw
from collector.series.channels import Channel
from collector.series.codec import VALUE, unpack
from collector.store.schema import blob, finding, ledger_bytes, method, version_segment
from shared import envelope, record, veeblob
from shared.errors import ConfigError
from shared.release import instant
from shared.status import Flags, Status, names


@dataclass(frozen=True, slots=True)
class Told:
    """One version of one interval."""

    position: int
    by: str
    made_by: str
    value: int | None  # [counts]
    status: str
    flags: tuple[str, ...]
    method: str | None
    why: dict[str, Any]  # of an edit: reason and text; of an estimate: inputs, range, back-test error


def interval(connection: Connection, name: str, at: int) -> tuple[int, list[Told], list[dict[str, Any]]]:
    """Return the interval's length, its versions, oldest first, and the findings that speak of it.

    Raises:
        ConfigError: no such channel or interval.
    """
    channel = channels.named(connection, name)
    length = _length(connection, channel, at)
    return length, _versions(connection, channel, at, length), _findings(connection, channel, at, length)


def _length(connection: Connection, channel: Channel, at: int) -> int:
    for length in raw.lengths(connection, channel.id):
        span = raw.span(connection, channel.id, length)
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
    found = []
    for row in connection.execute(query).all():
        one = unpack(row.blob, VALUE)[(at - row.start) // length]
        signed = record.decode(envelope.payload(envelope.apart(row.jws)))
        status = Status(int(one["status"]))
        found.append(
            Told(
                row.position, signed.by, row.made_by, None if status == Status.MISSING else int(one["value"]),
                status.name, tuple(names(Flags(int(one["flags"])))), methods.get(int(one["method"])),
                _why(connection, signed, channel.name, at),
            )
        )  # fmt: skip
    return found


def _why(connection: Connection, signed: record.Record, name: str, at: int) -> dict[str, Any]:
    """Return what a record says of an interval: who decided why, or from what it was estimated."""
    told = {key: signed.body[key] for key in ("reason", "text", "author", "undoes") if signed.body.get(key) is not None}
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


def text(name: str, at: int, versions: list[Told], findings: list[dict[str, Any]]) -> str:
    """Return it as a person reads it."""
    lines = [f"{name} at {instant(at)}"]
    for one in versions:
        value = "no value" if one.value is None else str(one.value)
        how = f", {one.method}" if one.method else ""
        lines.append(f"  position {one.position}: {value} {one.status}{how}, by {one.by}")
        lines += [f"    {key}: {json.dumps(told) if isinstance(told, dict) else told}" for key, told in one.why.items()]
    for one_ in findings:
        state = "open" if one_["settled"] is None else f"settled at {one_['settled']}"
        lines.append(f"  {one_['rule']} {one_['severity']} ({state}): {one_['text']}")
    return "\n".join(lines)
