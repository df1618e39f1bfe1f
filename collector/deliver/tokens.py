"""Who may fetch the releases of a target: whoever shows a token that a person made; only its hash is kept."""

import secrets

from sqlalchemy import Connection, delete, insert, select

from collector.intake.enrol import token_hash
from collector.store.delivery import feed_token


def make(connection: Connection, target: str, *, by: str, now: int) -> str:
    """Return a new token of a target, with 256 random bits; it is shown once. [UTC us]"""
    token = f"{target}.{secrets.token_urlsafe(32)}"
    connection.execute(insert(feed_token).values(hash=token_hash(token), target=target, made_at=now, by=by))
    return token


def revoke(connection: Connection, target: str) -> int:
    """Take back all tokens of a target; return how many there were."""
    return connection.execute(delete(feed_token).where(feed_token.c.target == target)).rowcount


def owner(connection: Connection, token: str) -> str | None:
    """Return the target whose token this is, None if it is nobody's."""
    return connection.execute(
        select(feed_token.c.target).where(feed_token.c.hash == token_hash(token))
    ).scalar_one_or_none()
