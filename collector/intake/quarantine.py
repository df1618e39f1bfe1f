"""Where what cannot be believed is kept, for a person to look at; bounded in number and bytes, oldest out first."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from collector.intake.authentic import Refused
from collector.store.schema import ledger, quarantine
from shared.receipt import Rejected

MOST = 1000
MOST_BYTES = 64 * 1024 * 1024
#: Of what is over the limit only the beginning is kept.
_BEGINNING = 4096
_OVERSIZE = 262_144
_MOST_TOLD = 16

# Built once: to build a statement costs more than to run it.
_REFUSED = (
    select(quarantine.c.sha256, quarantine.c.reason)
    .where(quarantine.c.agent_topic == bindparam("agent"))
    .where(~select(ledger.c.sha256).where(ledger.c.sha256 == quarantine.c.sha256).exists())
    .order_by(quarantine.c.id.desc())
    .limit(_MOST_TOLD)
)
_FORKS = (
    select(ledger.c.sha256)
    .where(ledger.c.agent == bindparam("agent"), ledger.c.epoch == bindparam("epoch"), ledger.c.state == "fork")
    .order_by(ledger.c.position.desc())
    .limit(_MOST_TOLD)
)
_AMONG = select(ledger.c.sha256).where(
    ledger.c.message_hash.in_(bindparam("messages", expanding=True)), ledger.c.state == "fork"
)


def keep(connection: Connection, refused: Sequence[Refused], now: int) -> None:
    """Write down what was refused, each once. now: [UTC us]"""
    rows = {hashlib.sha256(one.arrival.octets).digest(): one for one in refused}
    if not rows:
        return
    known = set(connection.execute(select(quarantine.c.sha256).where(quarantine.c.sha256.in_(list(rows)))).scalars())
    fresh = [_row(digest, one, now) for digest, one in rows.items() if digest not in {bytes(one) for one in known}]
    if fresh:
        connection.execute(insert(quarantine), fresh)
        _bound(connection)


def _row(digest: bytes, one: Refused, now: int) -> dict[str, object]:
    octets = one.arrival.octets
    kept = octets if len(octets) <= _OVERSIZE else octets[:_BEGINNING]
    return {
        "received_at": now, "agent_topic": one.agent, "reason": one.reason, "detail": one.detail, "jws": kept,
        "size": len(kept), "sha256": digest,
    }  # fmt: skip


def _bound(connection: Connection) -> None:
    count, size = connection.execute(select(func.count(), func.sum(quarantine.c.size))).one()
    if count <= MOST and size <= MOST_BYTES:
        return
    newest = connection.execute(select(quarantine.c.id, quarantine.c.size).order_by(quarantine.c.id.desc())).all()
    total, first = 0, newest[0].id
    for row in newest[:MOST]:
        total += row.size
        if total > MOST_BYTES:
            break
        first = row.id
    connection.execute(delete(quarantine).where(quarantine.c.id < first))


def rejected(connection: Connection, agent: str, epoch: str, told: Sequence[bytes] = ()) -> tuple[Rejected, ...]:
    """Return what an agent must be told was not taken: the newest refused ones, and forks of its epoch.

    Those are the newest forks, and all that are among the messages `told` (hashes of header.payload).
    """
    refused = connection.execute(_REFUSED, {"agent": agent})
    forks = {bytes(one): None for one in connection.execute(_FORKS, {"agent": agent, "epoch": epoch}).scalars()}
    if told:
        forks |= {bytes(one): None for one in connection.execute(_AMONG, {"messages": list(told)}).scalars()}
    return (
        *(Rejected(bytes(row.sha256), row.reason) for row in refused), *(Rejected(one, "fork") for one in forks),
    )  # fmt: skip


def count(connection: Connection) -> int:
    """Return how many are kept."""
    return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())
