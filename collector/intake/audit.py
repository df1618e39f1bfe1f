"""The log checked against its own bytes: each leaf hash, each signature, and the root that it claims."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from collector.intake import retention
from collector.intake.log import Entry, Log
from collector.store.schema import keyring
from shared import envelope, merkle
from shared.errors import TrustError
from shared.keys import Verifier, from_jwk

_AT_ONCE = 1000


@dataclass(slots=True)
class Audit:
    """What an audit found; the first failure names the first bad entry."""

    size: int
    root: str
    failures: list[str] = field(default_factory=list)


def audit(connection: Connection, log: Log, collector_key: Verifier) -> Audit:
    """Return whether the log is what its bytes say."""
    ring = {row.kid: from_jwk(json.loads(row.jwk)) for row in connection.execute(select(keyring.c.kid, keyring.c.jwk))}
    ring[collector_key.kid] = collector_key
    point = log.checkpoint(connection)
    report = Audit(point.size, point.root.hex())
    removed = retention.removals(connection)
    leaves = []
    for entry in _entries(connection, log, point.size):
        leaves.append(entry.leaf_hash)
        fault = _fault(entry, ring) if entry.text is not None else _gone(entry, removed)
        if fault:
            report.failures.append(f"position {entry.position}: {fault}")
    if len(leaves) != point.size:
        report.failures.append(f"the log says that it holds {point.size} entries; {len(leaves)} are here")
    elif merkle.root_of(leaves) != point.root:
        report.failures.append("the root that the log keeps is not that of its entries")
    return report


def _entries(connection: Connection, log: Log, size: int) -> Iterator[Entry]:
    for first in range(0, size, _AT_ONCE):
        yield from log.entries(connection, first, min(first + _AT_ONCE, size))


def _gone(entry: Entry, removed: list[retention.Removal]) -> str | None:
    covered = any(one.covers(entry.position, entry.received_at, entry.agent) for one in removed)
    return None if covered and entry.typ == "batch" else "its bytes are gone, and no retention record says so"


def _fault(entry: Entry, ring: dict[str, Verifier]) -> str | None:
    octets = (entry.text or "").encode("ascii", errors="replace")
    if hashlib.sha256(b"\x00" + octets).digest() != entry.leaf_hash:
        return "the bytes are not those of the leaf"
    try:
        envelope.believe(entry.text or "", envelope.BATCH if entry.typ == "batch" else envelope.RECORD, ring)
    except TrustError as error:
        return str(error)
    return None
