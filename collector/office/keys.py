"""Keys by which a person or a program writes through the API: made and taken back by a person, each a record.

Rules of this file: a key is shown once and only its hash is kept; it ends by itself; making one and taking one back
are records in the log, because they say who may change numbers. Form of a key: `wsk_<id>_<secret>`, 256 random bits.
"""

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from collector.intake.enrol import token_hash
from collector.intake.log import Log
from collector.store.access import api_key as table
from shared.errors import ConfigError

#: What a key may be for, and what that lets its holder do.
SCOPES = {
    "points:write": "put points into force",
    "edits:write": "change, reject and estimate intervals, and propose what needs a second person",
    "edits:approve": "put another person's proposal into force",
    "releases:make": "make and withdraw releases",
    "deliveries:write": "let a delivery be tried again, and note what a party has answered",
}
#: Scopes whose work is not of one site.
_EVERYWHERE = frozenset({"points:write", "releases:make", "deliveries:write"})
LONGEST = 730  # of a key's life [days]
_DAY = 86_400_000_000  # [us]
_RECORD = "access"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who writes, and what they may."""

    key: str
    person: str
    scopes: tuple[str, ...]
    sites: tuple[str, ...] | None  # None: every site
    made_at: int  # [UTC us]
    made_by: str
    ends_at: int  # [UTC us]
    revoked_at: int | None  # [UTC us]
    position: int

    def may_on(self, site: str) -> bool:
        """Return whether the key is good for a site."""
        return self.sites is None or site in self.sites

    def state(self, now: int) -> str:
        """Return `good`, `ended` or `revoked`. now: [UTC us]"""
        if self.revoked_at is not None:
            return "revoked"
        return "good" if now < self.ends_at else "ended"


def make(
    connection: Connection, log: Log, person: str, scopes: Collection[str], *, sites: Collection[str] | None, days: int,
    by: str, now: int,
) -> str:  # fmt: skip
    """Return a new key of a person; it is shown once. [UTC us]

    Args:
        connection: A write transaction.
        log: The log.
        person: In whose name the key writes; two-person rules compare it.
        scopes: Some of `SCOPES`.
        sites: Where it may change intervals; None: everywhere.
        days: How long it lives. [d]
        by: Who makes it.
        now: Time of the record. [UTC us]

    Raises:
        ConfigError: a scope is not known or does not go with sites, or the life is too long.
    """
    wanted = _scopes(scopes, sites)
    if not 1 <= days <= LONGEST:
        raise ConfigError(f"a key lives 1 to {LONGEST} days; give it another life, and make a new one before it ends")
    if not person.strip() or not person.isprintable() or len(person) > 100:
        raise ConfigError("write in whose name the key writes, as one line of at most 100 characters")
    number, secret = secrets.token_hex(4), secrets.token_urlsafe(32)
    key = f"wsk_{number}_{secret}"
    where, ends = None if sites is None else sorted(set(sites)), now + days * _DAY
    body: dict[str, object] = {
        "key": number, "person": person, "scopes": wanted, "sites": where, "ends": ends // 1_000_000,
    }  # fmt: skip
    position = log.record(connection, _RECORD, body, by=by, now=now)
    connection.execute(
        insert(table).values(
            id=number, hash=token_hash(key), person=person, scopes=json.dumps(wanted),
            sites=None if where is None else json.dumps(where), made_at=now, made_by=by, ends_at=ends,
            position=position,
        )
    )  # fmt: skip
    return key


def _scopes(scopes: Collection[str], sites: Collection[str] | None) -> list[str]:
    unknown = sorted(set(scopes) - SCOPES.keys())
    if unknown or not scopes:
        raise ConfigError(f"no scope {', '.join(unknown) or 'is named'}; known: {', '.join(SCOPES)}")
    wide = sorted(set(scopes) & _EVERYWHERE)
    if sites is not None and wide:
        raise ConfigError(f"{', '.join(wide)}: is not of one site; make a key without sites for it")
    return sorted(set(scopes))


def revoke(connection: Connection, log: Log, number: str, *, by: str, now: int) -> int:
    """Take a key back; return the position of the record that says so. [UTC us]

    Raises:
        ConfigError: there is no such key, or it is taken back already.
    """
    found = connection.execute(select(table.c.revoked_at).where(table.c.id == number)).one_or_none()
    if found is None or found.revoked_at is not None:
        what = "no such key" if found is None else "it is taken back already"
        raise ConfigError(f"key {number[:80]!r}: {what}; `wattseal collector keys list` shows them")
    position = log.record(connection, _RECORD, {"key": number, "revoked": True}, by=by, now=now)
    connection.execute(update(table).where(table.c.id == number).values(revoked_at=now))
    return position


def every(connection: Connection) -> list[Holder]:
    """Return all keys that were ever made, oldest first."""
    return [_holder(row) for row in connection.execute(select(table).order_by(table.c.made_at, table.c.id)).all()]


def holder(connection: Connection, key: str, now: int) -> Holder | None:
    """Return whose key it is; None where it is nobody's, has ended or was taken back. [UTC us]"""
    row = connection.execute(select(table).where(table.c.hash == token_hash(key))).one_or_none()
    found = None if row is None else _holder(row)
    return found if found is not None and found.state(now) == "good" else None


def state(connection: Connection, number: str, now: int) -> str:
    """Return `good`, `ended` or `revoked` of a key that was made. [UTC us]"""
    return _holder(connection.execute(select(table).where(table.c.id == number)).one()).state(now)


def _holder(row: Row[Any]) -> Holder:
    return Holder(
        row.id, row.person, tuple(json.loads(row.scopes)), None if row.sites is None else tuple(json.loads(row.sites)),
        row.made_at, row.made_by, row.ends_at, row.revoked_at, row.position,
    )  # fmt: skip
