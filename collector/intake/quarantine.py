"""Where what cannot be believed is kept, for a person to look at; bounded in number and bytes, oldest out first."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, delete, func, insert, select, text

from collector.intake.authentic import Refused
from collector.store.prepared import Prepared
from collector.store.schema import ledger, quarantine
from shared.receipt import Rejected

MOST = 1000
MOST_BYTES = 64 * 1024 * 1024
#: Of what is over the limit only the beginning is kept.
_BEGINNING = 4096
_OVERSIZE = 262_144
_MOST_TOLD = 16

_REFUSED = Prepared(
    select(quarantine.c.sha256, quarantine.c.reason)
    .where(quarantine.c.agent_topic == bindparam("agent"))
    .where(~select(ledger.c.sha256).where(ledger.c.sha256 == quarantine.c.sha256).exists())
    .order_by(quarantine.c.id.desc())
    .limit(_MOST_TOLD)
)
_WHOSE = Prepared(
    select(quarantine.c.agent_topic)
    .where(quarantine.c.agent_topic.in_(bindparam("agents", expanding=True)))
    .distinct(),
    expands="agents",
)
_FORKED = Prepared(
    select(ledger.c.agent, ledger.c.epoch)
    .where(ledger.c.agent.in_(bindparam("agents", expanding=True)), ledger.c.state == text("'fork'"))
    .distinct(),
    expands="agents",
)
_FORKS = Prepared(
    select(ledger.c.sha256)
    .where(ledger.c.agent == bindparam("agent"), ledger.c.epoch == bindparam("epoch"))
    .where(ledger.c.state == text("'fork'"))
    .order_by(ledger.c.position.desc())
    .limit(_MOST_TOLD)
)
_AMONG = Prepared(
    select(ledger.c.sha256).where(
        ledger.c.message_hash.in_(bindparam("messages", expanding=True)), ledger.c.state == text("'fork'")
    ),
    expands="messages",
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


def refused_of(connection: Connection, agents: Sequence[str]) -> set[str]:
    """Return the agents among some of which anything was refused."""
    return {str(row.agent_topic) for row in _WHOSE.among(connection, agents)}


def forked_of(connection: Connection, agents: Sequence[str]) -> set[tuple[str, str]]:
    """Return the epochs of some agents that have forked, as (agent, epoch)."""
    return {(str(row.agent), str(row.epoch)) for row in _FORKED.among(connection, agents)}


def rejected(
    connection: Connection, agent: str, epoch: str, told: Sequence[bytes] = (), *, forked: bool, refused: bool
) -> tuple[Rejected, ...]:
    """Return what an agent must be told was not taken: the newest refused ones, and forks of its epoch.

    Those are the newest forks, and all that are among the messages `told` (hashes of header.payload). Nothing is
    looked for where its epoch has not forked, or nothing of it was refused.
    """
    found: list[Rejected] = []
    if refused:
        found += [Rejected(bytes(row.sha256), row.reason) for row in _REFUSED.rows(connection, {"agent": agent})]
    forks: dict[bytes, None] = {}
    if forked:
        forks = {bytes(row.sha256): None for row in _FORKS.rows(connection, {"agent": agent, "epoch": epoch})}
    if told and forked:
        forks |= {bytes(row.sha256): None for row in _AMONG.among(connection, told)}
    return (*found, *(Rejected(one, "fork") for one in forks))


def count(connection: Connection) -> int:
    """Return how many are kept."""
    return int(connection.execute(select(func.count()).select_from(quarantine)).scalar_one())
