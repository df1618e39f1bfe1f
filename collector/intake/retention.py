"""Bytes of old batches go, by a signed record; their leaves, every proof and what they meant stay.

Rules of this file: records never go; a batch goes only once it is read into the series, and never while a person or a
later anchor may still let it in; the record that says so stands in the log in the same transaction.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, delete, func, select

from collector.intake.admit import State
from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import cursor, ledger, ledger_bytes, unsure
from shared import envelope, record
from shared.errors import ConfigError

BODY = ("before", "agent", "leaves", "bytes", "reason")
_RECORDS = (
    select(ledger.c.position, ledger_bytes.c.jws)
    .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
    .where(ledger.c.typ == "record", ledger.c.kind == "retention")
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What a record removed, and its position."""

    position: int
    leaves: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Removal:
    """What a retention record covers: batches before a position that were received before a time. [UTC us]"""

    position: int
    before: int
    agent: str | None  # None: of every agent

    def covers(self, position: int, received_at: int, agent: str | None) -> bool:
        """Return whether the bytes of a batch may be gone by this record."""
        return position < self.position and received_at < self.before and self.agent in (None, agent)


def forget(
    store: Store, log: Log, *, before: int, agent: str | None, reason: str, by: str, now: int
) -> Forgotten:  # fmt: skip
    """Remove the bytes of the batches that were received before a time, and return how many.

    Args:
        store: The collector's database.
        log: Its log.
        before: Time of reception. [UTC us]
        agent: Only of this agent; of all where left out.
        reason: Which rule or order asks for it; it goes into the signed record.
        by: The person.
        now: Time. [UTC us]

    Raises:
        ConfigError: there is nothing to remove.
    """
    with store.write() as connection:
        tail = log.tail(connection, now)
        going = _going(connection, before, agent)
        size = func.coalesce(func.sum(func.length(ledger_bytes.c.jws)), 0)
        leaves, octets = connection.execute(select(func.count(), size).where(ledger_bytes.c.position.in_(going))).one()
        if not leaves:
            raise ConfigError("there are no bytes of admitted batches from before that time; nothing was removed")
        values = (before, agent, int(leaves), int(octets), reason)
        position = log.add_record(tail, "retention", dict(zip(BODY, values, strict=True)), by=by)
        connection.execute(delete(ledger_bytes).where(ledger_bytes.c.position.in_(going)))
        tail.flush()
    return Forgotten(position, int(leaves), int(octets))


def _going(connection: Connection, before: int, agent: str | None) -> Select[tuple[int]]:
    read = connection.execute(select(cursor.c.position).where(cursor.c.name == "series")).scalar_one_or_none() or 0
    own = [
        ledger.c.typ == "batch", ledger.c.state == State.ADMITTED, ledger.c.received_at < before,
        ledger.c.position < read, ledger.c.position.not_in(select(unsure.c.position)),
    ]  # fmt: skip
    if agent is not None:
        own.append(ledger.c.agent == agent)
    return select(ledger.c.position).where(and_(*own))


def removals(connection: Connection) -> list[Removal]:
    """Return what retention records of the log cover."""
    found = []
    for row in connection.execute(_RECORDS):
        body = record.decode(envelope.payload(envelope.apart(row.jws))).body
        agent = body.get("agent")
        found.append(Removal(row.position, int(str(body["before"])), None if agent is None else str(agent)))
    return found
