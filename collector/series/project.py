"""The series as a projection of the ledger: read in order from a cursor, droppable, built again the same."""

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from collector.series.projection import MADE_BY, Projection, entries
from collector.store.engine import Store
from collector.store.schema import SERIES, cursor, finding, ledger
from shared.errors import ConfigError

NAME = "series"
_RETENTION = select(ledger.c.position).where(ledger.c.typ == "record", ledger.c.kind == "retention").limit(1)


@dataclass(frozen=True, slots=True)
class Progress:
    """Positions [first, stop) have become series."""

    first: int
    stop: int


def catch_up(store: Store, limit: int = 500) -> Progress:
    """Return which positions were read into the series: at most `limit` that were not there yet.

    Raises:
        StoreError: the database refuses; nothing has changed.
    """
    with store.write() as connection:
        return advance(connection, limit)


def advance(connection: Connection, limit: int = 500) -> Progress:
    """Return which positions a transaction reads into the series; see `catch_up`."""
    first = _cursor(connection)
    found = entries(connection, first, first + limit)
    if not found:
        return Progress(first, first)
    projection = Projection(connection)
    for entry in found:
        projection.take(entry)
    projection.write()
    stop = found[-1].position + 1
    connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=stop))
    return Progress(first, stop)


def rebuild(store: Store) -> None:
    """Forget the series and its own findings; `catch_up` then builds them again from the ledger.

    Raises:
        ConfigError: bytes of batches were removed by a retention record: what they meant stands only in the series.
    """
    with store.write() as connection:
        _cursor(connection)
        gone = connection.execute(_RETENTION).scalar_one_or_none()
        if gone is not None:
            raise ConfigError(f"the series cannot be built again: position {gone} removed bytes that they rest on")
        for table in SERIES:
            connection.execute(delete(table))
        connection.execute(delete(finding).where(finding.c.made_by == MADE_BY))
        connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=0))


def _cursor(connection: Connection) -> int:
    """Return the next position to read, locked so that two programs do not read the same."""
    query = select(cursor.c.position).where(cursor.c.name == NAME)
    found = connection.execute(query.with_for_update()).scalar_one_or_none()
    if found is None:
        connection.execute(insert(cursor).values(name=NAME, position=0))
    return found or 0
