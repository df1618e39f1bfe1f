"""Generations of the log: taking it over, opening the next one after a restore, and telling the agents.

Rules of this file: a takeover and a new generation both raise the fencing number in their own transaction, so that of
two collectors that believe they lead exactly one signs; a new generation begins with the signed record of what it
continues (`shared.lineage`).
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import keyring, ledger, ledger_bytes
from shared import lineage, record
from shared.errors import ConfigError
from shared.receipt import Checkpoint

_RESTORES = (
    select(ledger.c.position, ledger_bytes.c.jws)
    .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
    .where(ledger.c.typ == "record", ledger.c.kind == "restore")
    .order_by(ledger.c.position)
)
_ENROLMENTS = (
    select(ledger.c.position, ledger_bytes.c.jws)
    .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
    .where(ledger.c.typ == "record", ledger.c.kind == "enrolment")
    .order_by(ledger.c.position)
)
_KEYS = select(keyring.c.kid, keyring.c.agent, keyring.c.enrolment_position, keyring.c.reenrolment_position).where(
    keyring.c.role == "agent", keyring.c.state.in_(("approved", "rotated"))
)


@dataclass(frozen=True, slots=True)
class Opened:
    """A new generation: its name, the position of its first leaf, and what it continues."""

    log: str
    position: int
    before: Checkpoint


def take_over(store: Store, log: Log) -> int:
    """Return the new fencing number of a log that is led from here on; what led it before stops at its next append."""
    with store.write() as connection:
        log.renew(connection, log.id)
    return log.fence


def restore(store: Store, log: Log, *, number: int | None, reason: str, by: str, now: int) -> Opened:
    """Open the next generation of a log whose database was restored from a backup.

    Args:
        store: The restored database.
        log: Its log.
        number: Of the generation; the next one where left out. It must be one that was never used.
        reason: What happened, for everyone who reads the log.
        by: The person who says so.
        now: Time. [UTC us]

    Raises:
        ConfigError: the number was used before.
    """
    present = lineage.number(log.id)
    wanted = present + 1 if number is None else number
    if wanted <= present:
        raise ConfigError(f"generation {wanted}: the log is at {present}; give a number that was never used")
    with store.write() as connection:
        log.lead(connection)
        before = log.checkpoint(connection)
        log.renew(connection, lineage.origin(log.collector, wanted))
        position = log.record(connection, "restore", lineage.body(before, reason), by=by, now=now)
    return Opened(log.id, position, before)


def announcements(connection: Connection) -> list[tuple[str, str]]:
    """Return what each agent has to know beside its receipts, as (agent, message); nothing for most.

    That is every restore since it was enrolled, and every record by which one key of the collector took over from
    another: an agent that was away during several needs them all, in their order.
    """
    keys = connection.execute(_KEYS).all()
    restores = [(row.position, str(row.jws)) for row in connection.execute(_RESTORES)]
    newer = _reenrolments(connection) if any(row.reenrolment_position is not None for row in keys) else {}
    found: dict[str, dict[int, str]] = {}
    for row in keys:
        since = -1 if row.enrolment_position is None else row.enrolment_position
        told = [one for one in (*restores, *newer.get(row.agent, ())) if one[0] > since]
        found.setdefault(row.agent, {}).update(told)
    return [
        (agent, lineage.announce([told[at] for at in sorted(told)])) for agent, told in sorted(found.items()) if told
    ]


def _reenrolments(connection: Connection) -> dict[str, list[tuple[int, str]]]:
    """Return the enrolment records of each agent by position: of all its keys, since it may have changed its own."""
    found: dict[str, list[tuple[int, str]]] = {}
    for row in connection.execute(_ENROLMENTS):
        agent = record.enrolment(lineage.opening(row.jws)).agent
        found.setdefault(agent, []).append((row.position, str(row.jws)))
    return found
