"""Who may speak: enrolled keys as admission needs them."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, text, update

from collector.intake.admit import Key, Turn
from collector.store.prepared import Prepared
from collector.store.schema import keyring, ledger_bytes
from shared.keys import Verifier, from_jwk, jwk

APPROVED, PENDING, REVOKED = "approved", "pending", "revoked"
#: A key that has handed over to another one, and one to which a batch hands over that is not admitted yet.
ROTATED, ANNOUNCED = "rotated", "announced"
#: Whose batches are looked at; which places they may sign is a matter of turns.
SPEAKING = frozenset({APPROVED, ROTATED, ANNOUNCED})

_AMONG = keyring.c.kid.in_(bindparam("kids", expanding=True))
_MEMBERS = (
    keyring.c.kid, keyring.c.agent, keyring.c.site, keyring.c.state, keyring.c.enrolment_hash, keyring.c.since_epoch,
    keyring.c.since_seq, keyring.c.since_position, keyring.c.until_epoch, keyring.c.until_seq,
    keyring.c.until_position,
)  # fmt: skip
_KEYS = Prepared(select(*_MEMBERS, keyring.c.jwk).where(_AMONG, keyring.c.role == text("'agent'")), expands="kids")
_BARE = Prepared(select(*_MEMBERS).where(_AMONG, keyring.c.role == text("'agent'")), expands="kids")


@dataclass(frozen=True, slots=True)
class Enrolled:
    """A key, with what verifies its signatures."""

    key: Key
    verifier: Verifier


def of(connection: Connection, kids: Iterable[str]) -> dict[str, Enrolled]:
    """Return the keys of agents among some key ids, whatever their state."""
    rows = _KEYS.among(connection, list(set(kids)))
    return {row.kid: Enrolled(_key(row), _verifier(row.jwk)) for row in rows}


@lru_cache(maxsize=10_000)
def _verifier(written: str) -> Verifier:
    """Return the public key of a JWK; to read one takes longer than to verify with it."""
    return from_jwk(json.loads(written))


def keys(connection: Connection, kids: Iterable[str]) -> dict[str, Key]:
    """Return the keys of agents among some key ids, as they stand in this transaction."""
    return {row.kid: _key(row) for row in _BARE.among(connection, list(set(kids)))}


def _key(row: Any) -> Key:  # noqa: ANN401 - a row
    enrolment = None if row.enrolment_hash is None else bytes(row.enrolment_hash)
    since = None if row.since_epoch is None else Turn(row.since_epoch, row.since_seq, row.since_position)
    until = None if row.until_epoch is None else Turn(row.until_epoch, row.until_seq, row.until_position)
    return Key(row.kid, row.agent, row.site, row.state, enrolment, since, until)


def put(connection: Connection, key: Key, public: Verifier, now: int) -> None:
    """Write a key that another key has named; what was announced of it before is replaced. now: [UTC us]

    Nobody has seen where it is, so it counts as software whatever its predecessor was.
    """
    connection.execute(delete(keyring).where(keyring.c.kid == key.kid, keyring.c.state == ANNOUNCED))
    since = key.since
    connection.execute(insert(keyring).values(
        kid=key.kid, agent=key.agent, site=key.site, jwk=json.dumps(jwk(public)), role="agent", assurance="software",
        state=key.state, requested_at=now, enrolment_hash=key.enrolment_hash,
        since_epoch=since and since.epoch, since_seq=since and since.seq, since_position=since and since.position,
    ))  # fmt: skip


def hand_over(connection: Connection, past: Key, following: Key) -> None:
    """Write that a key has handed over, and that the following one speaks by the same enrolment."""
    own = select(keyring.c.enrolment_position, keyring.c.reenrolment_position).where(keyring.c.kid == past.kid)
    row, until = connection.execute(own).one(), past.until
    connection.execute(
        update(keyring).where(keyring.c.kid == following.kid)
        .values(enrolment_position=row.enrolment_position, reenrolment_position=row.reenrolment_position)
    )  # fmt: skip
    connection.execute(
        update(keyring).where(keyring.c.kid == past.kid)
        .values(state=past.state, until_epoch=until and until.epoch, until_seq=until and until.seq,
                until_position=until and until.position)
    )  # fmt: skip


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
