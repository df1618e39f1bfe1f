"""Finals that would come out otherwise today: each is a proposal for a correction, with every row and the difference.

Rules of this file: no final is touched; a person makes the correction with `release make`, or withdraws the proposal by
a signed record with a reason (`keep`), which counts for exactly these rows: other ones are proposed again.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from collector.intake import records
from collector.intake.log import Log
from collector.settle.changes import delta
from collector.settle.release import Made, changed_now, fetch
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
    def sha256(self) -> str:
        """Return what names exactly these differences."""
        told = json.dumps([*self.rows, self.lacking], separators=(",", ":"), sort_keys=True)
        return hashlib.sha256(told.encode("ascii")).hexdigest()

    @property
    def delta(self) -> dict[str, int]:
        """Return the exact difference by point; a row without a value counts nothing. [counts]"""
        return delta(self.rows)


def proposals(connection: Connection, log: Log) -> list[Proposal]:
    """Return the finals and corrections that stand and whose rows would differ now, oldest first.

    Those that a person has withdrawn are left out while nothing more has changed.
    """
    every = [_proposal(connection, log, fetch(connection, release_id)) for release_id in _standing(connection)]
    withdrawn = _withdrawn(connection, log)
    return [one for one in every if (one.rows or one.lacking) and (one.release_id, one.sha256) not in withdrawn]


def keep(connection: Connection, log: Log, release_id: str, *, reason: str, by: str, now: int) -> int:
    """Withdraw the proposal to correct a release; return the position of the signed record.

    Raises:
        ConfigError: nothing is proposed for it, or no reason is given.
    """
    if not reason.strip():
        raise ConfigError(f"say why release {release_id} is to stay as it is")
    own = [one for one in proposals(connection, log) if one.release_id == release_id]
    if not own:
        raise ConfigError(
            f"no correction of release {release_id!r} is proposed; see: wattseal collector release proposals"
        )
    body: dict[str, object] = {"release_id": release_id, "kept": reason, "against": own[0].sha256}
    return log.record(connection, "release", body, by=by, now=now)


def _withdrawn(connection: Connection, log: Log) -> set[tuple[str, str]]:
    bodies = (one.body for _, one in records.every(connection, "release", log.size(connection)))
    return {(str(body["release_id"]), str(body["against"])) for body in bodies if "against" in body}


def _proposal(connection: Connection, log: Log, made: Made) -> Proposal:
    try:
        rows, lacking = changed_now(connection, log, made), None
    except ConfigError as error:  # its points are of another length now, or gone
        rows, lacking = [], str(error)
    return Proposal(made.id, made.kind, made.start, made.stop, tuple(rows), lacking)


def _standing(connection: Connection) -> list[str]:
    """Return the ids of the newest final or correction of each period, set of points and party, oldest first."""
    query = (
        select(table.c.number, table.c.release_id, table.c.start, table.c.stop, table.c.points, table.c.party)
        .where(table.c.kind != "preliminary", table.c.withdrawn_position.is_(None))
        .order_by(table.c.number)
    )
    rows = connection.execute(query).all()
    newest = {(row.start, row.stop, row.points, row.party): (row.number, row.release_id) for row in rows}
    return [release_id for _, release_id in sorted(newest.values())]
