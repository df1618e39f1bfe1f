"""The log checked against its own bytes: each leaf hash, each signature, and the root that it claims."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from collector.intake import retention
from collector.intake.log import Entry, Log
from collector.store.schema import blob, keyring
from shared import envelope, lineage, merkle, record
from shared.errors import TrustError
from shared.keys import Verifier, from_jwk
from shared.record import Record

_AT_ONCE = 1000


@dataclass(slots=True)
class Audit:
    """What an audit found; the first failure names the first bad entry."""

    size: int
    root: str
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Trusted:
    """The keys that may sign, by what they may sign."""

    agents: dict[str, Verifier]
    collectors: dict[str, Verifier]


def audit(connection: Connection, log: Log, collector_key: Verifier) -> Audit:
    """Return whether the log is what its bytes say: leaves, signatures, blobs, and where its generations begin."""
    trusted = _trusted(connection, collector_key)
    point = log.checkpoint(connection)
    report = Audit(point.size, point.root.hex())
    report.failures += _pages(connection)
    removed = retention.removals(connection)
    leaves: list[bytes] = []
    for entry in _entries(connection, log, point.size):
        fault = _gone(entry, removed) if entry.text is None else _fault(connection, entry, entry.text, leaves, trusted)
        if fault:
            report.failures.append(f"position {entry.position}: {fault}")
        leaves.append(entry.leaf_hash)
    if len(leaves) != point.size:
        report.failures.append(f"the log says that it holds {point.size} entries; {len(leaves)} are here")
    elif merkle.root_of(leaves) != point.root:
        report.failures.append("the root that the log keeps is not that of its entries")
    return report


def _pages(connection: Connection) -> list[str]:
    """Return what SQLite finds wrong with its own file: a lost page is in no leaf, and may be one of the series."""
    if connection.dialect.name != "sqlite":
        return []
    said = " ".join(str(connection.exec_driver_sql("PRAGMA quick_check(1)").scalar_one()).split())
    return [] if said == "ok" else [f"the database file is damaged ({said}); restore it from a backup"]


def _trusted(connection: Connection, collector_key: Verifier) -> _Trusted:
    rows = connection.execute(select(keyring.c.kid, keyring.c.jwk, keyring.c.role)).all()
    rings = {
        role: {row.kid: from_jwk(json.loads(row.jwk)) for row in rows if row.role == role}
        for role in ("agent", "collector")
    }
    return _Trusted(rings["agent"], rings["collector"] | {collector_key.kid: collector_key})


def _entries(connection: Connection, log: Log, size: int) -> Iterator[Entry]:
    for first in range(0, size, _AT_ONCE):
        yield from log.entries(connection, first, min(first + _AT_ONCE, size))


def _gone(entry: Entry, removed: list[retention.Removal]) -> str | None:
    covered = any(one.covers(entry.position, entry.received_at, entry.agent) for one in removed)
    return None if covered and entry.typ == "batch" else "its bytes are gone, and no retention record says so"


def _fault(
    connection: Connection, entry: Entry, text: str, leaves: Sequence[bytes], trusted: _Trusted
) -> str | None:  # fmt: skip
    if merkle.leaf_hash(text.encode("ascii", errors="replace")) != entry.leaf_hash:
        return "the bytes are not those of the leaf"
    try:
        if entry.typ == "batch":
            envelope.believe(text, envelope.BATCH, trusted.agents)
            return None
        return _contradiction(connection, record.believe(text, trusted.collectors), leaves)
    except TrustError as error:
        return str(error)


def _contradiction(connection: Connection, found: Record, leaves: Sequence[bytes]) -> str | None:
    """Return what a record says of the log or of a blob that is not so."""
    if found.kind == "restore":
        before = lineage.generation(found).before
        if before.size != len(leaves) or before.root != merkle.root_of(leaves):
            return f"it continues a tree of {before.size} leaves that is not the one before it"
    digest = found.body.get("sha256", found.body.get("proposed"))
    if found.kind in ("vee", "points", "edit", "approval", "outside") and isinstance(digest, str):
        octets = connection.execute(select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(digest))).scalar()
        if octets is None or hashlib.sha256(bytes(octets)).hexdigest() != digest:
            return "the blob that it commits to is not here, or was changed"
    return None
