"""What `vee`, `edit` and `approval` records commit to: kept once, whoever says the same again."""

import hashlib

from sqlalchemy import Connection, insert, select

from collector.store.schema import blob


def keep(connection: Connection, octets: bytes, position: int) -> None:
    """Keep bytes that the record of a position commits to; those that are here already stay as they are."""
    digest = hashlib.sha256(octets).digest()
    if connection.execute(select(blob.c.position).where(blob.c.sha256 == digest)).one_or_none() is None:
        connection.execute(insert(blob).values(sha256=digest, position=position, bytes=octets))


def read(connection: Connection, name: str) -> bytes:
    """Return the bytes of a SHA-256 in hexadecimal."""
    return bytes(connection.execute(select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(name))).scalar_one())
