"""Who may speak: enrolled keys as admission needs them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from collector.intake.admit import Key
from collector.store.schema import keyring, ledger_bytes
from shared.keys import Verifier, from_jwk

APPROVED, PENDING, REVOKED = "approved", "pending", "revoked"

# Built once: to build a statement costs more than to run it.
_AMONG = keyring.c.kid.in_(bindparam("kids", expanding=True))
_KEYS = select(keyring).where(_AMONG, keyring.c.role == "agent")
_STATES = select(keyring.c.kid, keyring.c.state).where(_AMONG)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A key, with what verifies its signatures."""

    key: Key
    verifier: Verifier


def of(connection: Connection, kids: Iterable[str]) -> dict[str, Enrolled]:
    """Return the keys of agents among some key ids, whatever their state."""
    wanted = set(kids)
    if not wanted:
        return {}
    rows = connection.execute(_KEYS, {"kids": list(wanted)})
    return {row.kid: _enrolled(row.kid, row.agent, row.site, row.state, row.enrolment_hash, row.jwk) for row in rows}


def _enrolled(kid: str, agent: str, site: str, state: str, enrolment: bytes | None, jwk: str) -> Enrolled:
    key = Key(kid, agent, site, state, None if enrolment is None else bytes(enrolment))
    return Enrolled(key, from_jwk(json.loads(jwk)))


def states(connection: Connection, kids: Iterable[str]) -> dict[str, str]:
    """Return the state of each key as it stands in this transaction."""
    wanted = set(kids)
    if not wanted:
        return {}
    rows = connection.execute(_STATES, {"kids": list(wanted)})
    return {row.kid: row.state for row in rows}


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of `agents list`."""

    kid: str
    agent: str
    site: str
    state: str
    assurance: str
    requested_at: int  # [UTC us]
    enrolment_position: int | None
    revoked_position: int | None


def listed(connection: Connection, agent: str | None = None) -> list[Listed]:
    """Return every key of agents, or of one agent, oldest request first."""
    names = tuple(Listed.__dataclass_fields__)
    query = select(*(keyring.c[name] for name in names)).where(keyring.c.role == "agent")
    query = query if agent is None else query.where(keyring.c.agent == agent)
    ordered = query.order_by(keyring.c.requested_at, keyring.c.kid)
    return [Listed(**row) for row in connection.execute(ordered).mappings()]


def enrolment(connection: Connection, kid: str) -> str | None:
    """Return the enrolment record of an approved key as signed; None while nobody has approved it."""
    query = (
        select(ledger_bytes.c.jws)
        .join(keyring, keyring.c.enrolment_position == ledger_bytes.c.position)
        .where(keyring.c.kid == kid, keyring.c.state == APPROVED)
    )
    return connection.execute(query).scalar_one_or_none()
