"""Records of a kind, as the log has them: the newest below a size, or all of them."""

from collections.abc import Iterator

from sqlalchemy import Connection, Select, select

from collector.store.schema import ledger, ledger_bytes
from shared import envelope, record
from shared.record import Record


def newest(connection: Connection, kind: str, size: int) -> tuple[int, Record] | None:
    """Return the newest record of a kind below a log size with its position, None where there is none."""
    row = connection.execute(_of(kind, size).order_by(ledger.c.position.desc()).limit(1)).one_or_none()
    return None if row is None else (int(row.position), record.decode(envelope.payload(envelope.apart(row.jws))))


def every(connection: Connection, kind: str, size: int) -> Iterator[tuple[int, Record]]:
    """Give the records of a kind below a log size with their positions, oldest first."""
    for row in connection.execute(_of(kind, size).order_by(ledger.c.position)):
        yield int(row.position), record.decode(envelope.payload(envelope.apart(row.jws)))


def _of(kind: str, size: int) -> Select[tuple[int, str]]:
    return (
        select(ledger.c.position, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.typ == "record", ledger.c.kind == kind, ledger.c.position < size)
    )
