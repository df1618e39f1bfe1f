"""After a restore: which agents have not yet brought again what the log has lost, and a person's word to go on without.

Nothing is released before every agent has refilled the log, or before a signed `approval` names those that will not.
"""

from sqlalchemy import Connection, func, select

from collector.intake.log import Log
from collector.store.schema import agent, keyring, ledger, ledger_bytes
from shared import envelope, lineage, record

WHAT = "release_before_refill"
_NEWEST = select(func.max(ledger.c.position)).where(ledger.c.typ == "record", ledger.c.kind == "restore")
_APPROVALS = (
    select(ledger_bytes.c.jws)
    .join(ledger, ledger.c.position == ledger_bytes.c.position)
    .where(ledger.c.typ == "record", ledger.c.kind == "approval")
)


def lacking(connection: Connection, log: Log) -> list[str]:
    """Return the agents that were enrolled before the restore and have not refilled the log, nor been excepted.

    An agent has, once a batch was admitted that it sealed after it had heard of this generation: all that it sealed
    before stands before it in its chain. Always empty where the log was never restored.
    """
    number = lineage.number(log.id)
    opened = connection.execute(_NEWEST).scalar_one()
    if number == 1 or opened is None:
        return []
    known = (
        select(keyring.c.agent)
        .outerjoin(agent, agent.c.agent == keyring.c.agent)
        .where(keyring.c.role == "agent", keyring.c.state == "approved", keyring.c.enrolment_position < opened)
        .where(func.coalesce(agent.c.followed, 0) < number)
        .distinct()
    )
    return sorted(set(connection.execute(known).scalars()) - _excepted(connection, log))


def _excepted(connection: Connection, log: Log) -> set[str]:
    found: set[str] = set()
    for text in connection.execute(_APPROVALS).scalars():
        body = record.decode(envelope.payload(envelope.apart(text))).body
        names = body.get("agents")
        if body.get("what") == WHAT and body.get("log") == log.id and isinstance(names, list):
            found.update(str(name) for name in names)
    return found


def go_on_without(connection: Connection, log: Log, *, reason: str, by: str, now: int) -> list[str]:
    """Return the agents for which a person does not wait any longer, once that is signed; empty if all are here.

    Args:
        connection: A write transaction.
        log: The restored log.
        reason: Why; it goes into the signed record.
        by: The person.
        now: Time. [UTC us]
    """
    names = lacking(connection, log)
    if names:
        body: dict[str, object] = {"what": WHAT, "log": log.id, "agents": names, "reason": reason}
        log.record(connection, "approval", body, by=by, now=now)
    return names
