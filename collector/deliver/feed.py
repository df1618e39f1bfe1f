"""What happened to the releases of a party, in the order of the log: it is made, or it is withdrawn.

Rules of this file: the order is that of log positions, which are given one after the other under one lock, so that a
reader who goes on from the last position that it kept misses nothing and sees nothing twice.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, literal, select, union_all

from collector.intake import records
from collector.intake.log import Log
from collector.store.schema import release as table
from shared import lineage
from shared.errors import ConfigError
from shared.release import KINDS

_LONGEST = 40  # characters of a cursor
What = Literal["released", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a party is to know."""

    position: int  # of its record in the log
    what: What
    release_id: str
    kind: str
    start: int  # [UTC s]
    stop: int
    supersedes: str | None
    made_at: int  # of the release [UTC us]


def read(
    connection: Connection, party: str | None, after: int, most: int, since: int = 0, kinds: Sequence[str] = KINDS
) -> list[Happening]:
    """Return what happened after a log position, oldest first.

    Args:
        connection: A reading connection.
        party: Whose releases; None: those that are cut for nobody.
        after: The last position that is known; -1 at the beginning.
        most: How many at most.
        since: Only of releases made from then on. [UTC us]
        kinds: Of releases.
    """
    columns = table.c.release_id, table.c.kind, table.c.start, table.c.stop, table.c.supersedes, table.c.made_at
    whose = table.c.party.is_(None) if party is None else table.c.party == party
    meant = whose, table.c.made_at >= since, table.c.kind.in_(kinds)
    made = select(table.c.record_position.label("position"), literal("released").label("what"), *columns)
    gone = select(table.c.withdrawn_position, literal("withdrawn"), *columns)
    found = union_all(
        made.where(*meant, table.c.record_position > after),
        gone.where(*meant, table.c.withdrawn_position > after),
    ).subquery()
    rows = connection.execute(select(found).order_by(found.c.position).limit(most))
    return [Happening(*row) for row in rows]


def cursor(log: Log, position: int) -> str:
    """Return the place after a position, as a reader keeps it."""
    return f"{_generation(log)}.{position}"


def position(connection: Connection, log: Log, text: str | None) -> int:
    """Return the position after which a reader goes on; -1 without a cursor.

    A cursor of a log that was restored since goes on where the restored log begins: what was made again is told again.

    Raises:
        ConfigError: it is no cursor, or one of leaves that this log does not have.
    """
    if text is None:
        return -1
    generation, dot, place = text.partition(".")
    if not dot or not (generation.isdecimal() and (place.isdecimal() or place == "-1")) or len(text) > _LONGEST:
        raise ConfigError("cursor: not one of ours; take it from the answer before, or begin without one")
    size, known = log.size(connection), int(place)
    if int(generation) < _generation(log):
        restored = records.every(connection, "restore", size)
        newer = (at for at, one in restored if lineage.number(one.log) > int(generation))
        return min(known, next(newer, size) - 1)
    if int(generation) > _generation(log) or known >= size:
        raise ConfigError(
            f"cursor: log {log.id} has {size} entries, and it lies beyond them; ask the collector's operator whether a"
            " backup was restored, and begin without a cursor"
        )
    return known


def _generation(log: Log) -> int:
    return lineage.number(log.id)
