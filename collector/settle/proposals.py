"""Finals that would come out otherwise today: each is a proposal for a correction, with every row and the difference.

Rules of this file: nothing is written and no final is touched; a person makes the correction with `release make`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.intake.log import Log
from collector.settle.release import Made, compare, kept, rows_now
from collector.store.schema import release as table
from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Proposal:
    """What has changed under a final release."""

    release_id: str
    kind: str
    start: int  # [UTC s]
    stop: int  # [UTC s]
    rows: tuple[dict[str, Any], ...]  # point, quantity, start, old, new
    lacking: str | None = None  # why it cannot be made again as it stands

    @property
    def delta(self) -> dict[str, int]:
        """Return the exact difference by point; a row without a value counts nothing. [counts]"""
        found: dict[str, int] = {}
        for row in self.rows:
            found[row["point"]] = found.get(row["point"], 0) + (row["new"] or 0) - (row["old"] or 0)
        return found


def proposals(connection: Connection, log: Log) -> list[Proposal]:
    """Return the finals and corrections that stand and whose rows would differ now, oldest first."""
    found = []
    for made in _standing(connection):
        one = _proposal(connection, log, made)
        if one.rows or one.lacking:
            found.append(one)
    return found


def _proposal(connection: Connection, log: Log, made: Made) -> Proposal:
    try:
        rows, lacking = compare(made.parsed, rows_now(connection, log, made)), None
    except ConfigError as error:  # its points are of another length now, or gone
        rows, lacking = [], str(error)
    return Proposal(made.id, made.kind, made.start, made.stop, tuple(rows), lacking)


def _standing(connection: Connection) -> Sequence[Made]:
    """Return the newest final or correction of each period, set of points and party."""
    query = (
        select(table)
        .where(table.c.kind != "preliminary", table.c.withdrawn_position.is_(None))
        .order_by(table.c.number)
    )
    newest = {
        (row["start"], row["stop"], row["points"], row["party"]): kept(dict(row))
        for row in connection.execute(query).mappings()
    }
    return sorted(newest.values(), key=lambda made: made.number)
