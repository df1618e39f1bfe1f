"""The collector's key gives way to the next one, also when it is lost and agents are offline.

Rules of this file: every enrolment names the next key beforehand, so that agents believe it when the present one is
gone; a change writes an enrolment record for every approved key, signed by a key that its agent already believes,
and raises the fence, so that whoever still signs with the former key stops. Former keys stay known for old leaves.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import keyring, ledger_bytes
from shared import lineage, record
from shared.keys import Signer, Verifier, from_jwk, jwk

PRESENT, FORMER = "present", "former"


@dataclass(frozen=True, slots=True)
class Succession:
    """The agents that will believe the new key as soon as they are told, and those that must be enrolled again."""

    told: tuple[str, ...]
    lost: tuple[str, ...]


def succeed(
    store: Store, log: Log, *, new: Signer, following: Verifier, former: Signer | Verifier, by: str, now: int
) -> Succession:
    """Make a new key the collector's, and return which agents can follow.

    Args:
        store: The collector's database.
        log: Its log; from here on it signs with the new key.
        new: The key that takes over.
        following: The public half of the one that will take over from it.
        former: The key until now; only its public half where the private one is lost.
        by: The person.
        now: Time. [UTC us]
    """
    told, lost = [], []
    with store.write() as connection:
        if _present(connection) == new.kid:  # written down before; only the files had still to be moved
            return Succession((), ())
        log.renew(connection, log.id)
        _know(connection, log.collector, former if isinstance(former, Verifier) else former.verifier, FORMER, now)
        _know(connection, log.collector, new.verifier, PRESENT, now)
        tail = log.tail(connection, now)
        for row in connection.execute(select(keyring).where(keyring.c.role == "agent", keyring.c.state == "approved")):
            signer = _believed(connection, row.reenrolment_position or row.enrolment_position, new, former)
            if signer is None:
                lost.append(row.agent)
                continue
            body = {
                "agent": row.agent, "site": row.site, "key": json.loads(row.jwk), "assurance": row.assurance,
                "collector_key": jwk(new.verifier), "next_collector_key": jwk(following),
            }  # fmt: skip
            position = log.add_record(tail, "enrolment", body, by=by, signer=signer)
            own = update(keyring).where(keyring.c.kid == row.kid)
            connection.execute(own.values(reenrolment_position=position))
            told.append(row.agent)
        tail.flush()
    log.signer = new
    return Succession(tuple(sorted(told)), tuple(sorted(lost)))


def _believed(connection: Connection, position: int, new: Signer, former: Signer | Verifier) -> Signer | None:
    """Return the signer that an agent believes by its newest record; None where there is no such key any more."""
    text = connection.execute(select(ledger_bytes.c.jws).where(ledger_bytes.c.position == position)).scalar_one()
    found = record.enrolment(lineage.opening(text))
    if found.next_collector_key is not None and found.next_collector_key.kid == new.kid:
        return new
    return None if isinstance(former, Verifier) else former


def _present(connection: Connection) -> str | None:
    own = keyring.c.role == "collector", keyring.c.state == PRESENT
    return connection.execute(select(keyring.c.kid).where(*own)).scalar_one_or_none()


def _know(connection: Connection, collector: str, key: Verifier, state: str, now: int) -> None:
    """Keep a key of the collector, for leaves that it signed."""
    known = connection.execute(select(keyring.c.kid).where(keyring.c.kid == key.kid)).scalar_one_or_none()
    if known is not None:
        connection.execute(update(keyring).where(keyring.c.kid == key.kid).values(state=state))
        return
    connection.execute(
        insert(keyring).values(
            kid=key.kid, agent=collector, site="", jwk=json.dumps(jwk(key)), role="collector", assurance="software",
            state=state, requested_at=now,
        )
    )  # fmt: skip


def known(connection: Connection) -> dict[str, Verifier]:
    """Return every key that was the collector's, as far as one took over from another; by key id."""
    rows = connection.execute(select(keyring.c.kid, keyring.c.jwk).where(keyring.c.role == "collector"))
    return {row.kid: from_jwk(json.loads(row.jwk)) for row in rows}
