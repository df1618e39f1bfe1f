"""Making a release: one position of the log, its rows, its signed manifest, its record in the log.

Rules of this file: everything admitted before the position is through VEE, or the release is refused; nothing that
was released changes, a later release supersedes it; no clock and no host value enters manifest or rows.
"""

import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as package_version
from itertools import pairwise
from typing import Any

from sqlalchemy import Connection, insert, select, update

from collector.config import Gate
from collector.intake import refill
from collector.intake.log import Log
from collector.settle import sources
from collector.settle.behind import Behind
from collector.settle.gate import hold
from collector.settle.rounding import DayCarry
from collector.settle.rows import results
from collector.store.schema import release as table
from collector.vee import calendar, parameters_log
from shared import envelope, release, strictjson
from shared.errors import ConfigError
from shared.keys import Signer
from shared.master import PointVersion, cuts
from shared.release import Row, instant
from shared.rounding import CARRY_DAY
from shared.status import MEASURED, Status

_OPEN = Gate()
VERSIONS = {"rules": "vee/1"}
_MEASURED = frozenset(status.name for status in MEASURED | {Status.CALCULATED, Status.EDITED})


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for."""

    start: int  # [UTC s]
    stop: int
    kind: str  # preliminary, final
    points: tuple[str, ...] = ()  # all when empty
    party: str | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A release as it is kept."""

    id: str
    number: int
    kind: str
    party: str | None
    start: int
    stop: int
    position: int
    manifest: bytes
    jws: str
    rows: bytes
    made_at: int  # when its record entered the log [UTC us]

    @property
    def parsed(self) -> list[Row]:
        """Return the rows."""
        return list(self.each())

    def each(self) -> Iterator[Row]:
        """Give the rows, one at a time."""
        return (release.parse(line.decode("ascii").rstrip("\n")) for line in io.BytesIO(self.rows))


def make(
    connection: Connection, log: Log, signer: Signer, asked: Request, *, timezone: str, now: int, gate: Gate = _OPEN
) -> Made:
    """Return a new release, or the standing one when nothing changed since it was made.

    Args:
        connection: A write transaction; the release and its record are in it.
        log: The log.
        signer: The collector's key.
        asked: Period, kind, points and party.
        timezone: For people who read the manifest.
        now: Time of the record. [UTC us]
        gate: What a final may lack.

    Raises:
        ConfigError: the period, points or kind do not fit, findings stand in the way, or too much lacks.
    """
    _refilled(connection, log)
    draft = _draft(connection, log, asked, timezone)
    before, older = draft.before, draft.older()
    rows = draft.rows(older)
    if before is not None and draft.repeats(before) and _same(rows, older):
        return before
    if draft.kind != "preliminary":
        _gate(connection, rows, draft.versions, asked)
        hold(rows, gate)
    octets = release.jsonl(rows)
    members = draft.manifest(rows, octets, _next(connection), older)
    manifest = release.manifest(members)
    jws = envelope.seal(manifest.decode("ascii"), envelope.RELEASE, signer)
    made = Made(
        str(members["release_id"]), int(members["number"]), draft.kind, asked.party, asked.start, asked.stop,
        draft.position, manifest, jws, octets, now,
    )  # fmt: skip
    _keep(connection, log, made, draft, now)
    return made


@dataclass(frozen=True, slots=True)
class _Draft:
    """A release on its way: what was asked, and what holds at its position."""

    connection: Connection
    log: Log
    asked: Request
    kind: str
    position: int
    points_position: int
    versions: Sequence[PointVersion]
    wanted: tuple[str, ...]
    before: Made | None
    timezone: str

    @property
    def rounding(self) -> str:
        """Return by which rule values are rounded: a correction keeps that of what it corrects."""
        return CARRY_DAY if self.before is None else str(manifest_of(self.before)["versions"]["rounding"])

    def repeats(self, before: Made) -> bool:
        """Return whether a release of the same kind stands already."""
        return (before.kind == "preliminary") == (self.kind == "preliminary")

    def older(self) -> list[Row]:
        """Return the rows of the release before; none where there is none."""
        return self.before.parsed if self.before else []

    def rows(self, older: Sequence[Row]) -> list[Row]:
        """Return the rows, in order, given those of the release before."""
        was = {(row.point, row.quantity, row.start): row for row in older}
        found: list[Row] = []
        carry = DayCarry(self.timezone) if self.rounding == CARRY_DAY else None
        for span in _spans(self.versions, self.asked):
            refs = sources.channels_of(self.versions, self.wanted, span.start)
            behind = Behind(self.connection, span, self.position, self.points_position, self.versions, refs)
            channels = sources.channels(self.connection, refs, span, self.position)
            for result in results(self.versions, self.wanted, channels, span, carry):
                found += result.rows(behind.of(result.point), was)
        return release.sort(found)

    def manifest(self, rows: Sequence[Row], octets: bytes, number: int, older: Sequence[Row]) -> dict[str, Any]:
        """Return the manifest's members; octets: rows.jsonl; older: the rows of the release before."""
        before, log = self.before, self.log
        unobserved = sum(row.status not in _MEASURED for row in rows)
        positions = {
            "points": self.points_position,
            "rule_set": _placed(parameters_log.read(self.connection, self.position).position),
            "calendar": _placed(calendar.read(self.connection, self.position).position),
        }
        software = {"software": f"wattseal/{package_version('wattseal')}"}
        return {
            "release_id": f"{log.collector}-{log.id.rpartition('/')[2]}-{number:06d}",
            "number": number,
            "kind": self.kind,
            "party": self.asked.party,
            "period": {"from": instant(self.asked.start), "to": instant(self.asked.stop)},
            "timezone": self.timezone,
            "tzdata": package_version("tzdata"),
            "position": self.position,
            "points": list(self.wanted),
            "counts": release.counts(rows),
            "expected": len(rows),
            "unobserved_fraction": release.fraction(unobserved, len(rows)),
            "versions": VERSIONS | {"rounding": self.rounding} | software | positions | self._losses(),
            "merkle_root": release.root(octets),
            "rows_sha256": release.sha256(octets),
            "supersedes": before.id if before else None,
            "delta": compare(older, rows) if before and self.kind == "correction" else None,
            "checkpoint": log.checkpoint(self.connection, self.position).text(),
            "consistency": _consistency(self.connection, log, self.asked.party, self.position, number),
        }

    def _losses(self) -> dict[str, str]:
        """Return by which rule losses are computed, where the release rests on any."""
        rest = sources.rest_on(self.versions, {"points": self.wanted})
        return {"losses": "rated-voltage/1"} if any(one.losses and one.id in rest for one in self.versions) else {}


def _placed(position: int) -> int | str:
    """Return the position of a record, or that there is none and defaults hold."""
    return position if position >= 0 else "none"


def draft_again(connection: Connection, log: Log, made: Made) -> "_Draft":
    """Return a release as it was before it was made: at its position, after what stood then."""
    manifest = manifest_of(made)
    kind = "final" if made.kind == "correction" else made.kind
    asked = Request(made.start, made.stop, kind, tuple(manifest["points"]), made.party)
    return _draft(connection, log, asked, manifest["timezone"], made)


def _draft(connection: Connection, log: Log, asked: Request, timezone: str, again: Made | None = None) -> _Draft:
    position = log.size(connection) if again is None else again.position
    found = sources.points(connection, position)
    versions = [one for one in found.versions if not one.parties or asked.party is None or asked.party in one.parties]
    wanted = _wanted(found.versions, versions, asked)
    before = _standing(connection, asked, wanted, again)
    kind = _kind(asked, before)
    return _Draft(connection, log, asked, kind, position, found.position, versions, wanted, before, timezone)


def _wanted(every: Sequence[PointVersion], versions: Sequence[PointVersion], asked: Request) -> tuple[str, ...]:
    known = {one.id for one in versions}
    if not known and every:
        raise ConfigError(f"party {asked.party!r} may see none of the points; name it in `parties` of points.toml")
    if not known:
        raise ConfigError("no points are loaded; write points.toml, then: wattseal collector points load points.toml")
    unknown = sorted(set(asked.points) - known)
    if unknown:
        raise ConfigError(f"no point {unknown[0]!r}; known: {', '.join(sorted(known))}")
    wanted = tuple(sorted(set(asked.points) or known))
    longest = max(one.length for one in versions if one.id in wanted)
    if asked.start >= asked.stop or asked.start % longest or asked.stop % longest:
        raise ConfigError(
            f"{instant(asked.start)} to {instant(asked.stop)} is no period of whole intervals of {longest} s"
        )
    return wanted


def _standing(connection: Connection, asked: Request, wanted: Sequence[str], again: Made | None) -> Made | None:
    """Return the release that a new one follows, or that an old one followed when it was made."""
    gone = table.c.withdrawn_position
    then = (
        (gone.is_(None),) if again is None else
        (gone.is_(None) | (gone >= again.position), table.c.number < again.number)
    )  # fmt: skip
    query = (
        select(table)
        .where(table.c.start == asked.start, table.c.stop == asked.stop, table.c.points == json.dumps(list(wanted)))
        .where(table.c.party == asked.party if asked.party else table.c.party.is_(None))
        .where(*then)
        .order_by(table.c.number.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else kept(dict(row))


def _kind(asked: Request, before: Made | None) -> str:
    if before is None or before.kind == "preliminary":
        return asked.kind
    if asked.kind == "preliminary":
        raise ConfigError(f"release {before.id} of this period is {before.kind}; ask for --kind final to correct it")
    return "correction"


def _spans(versions: Sequence[PointVersion], asked: Request) -> Iterator[range]:
    """Give the parts of the period in which no formula changes. [UTC s]"""
    longest = max(one.length for one in versions)
    for edge in cuts(versions, asked.start, asked.stop)[1:-1]:
        if edge % longest:
            raise ConfigError(f"a point begins or ends at {instant(edge)}, inside a row of {longest} s; load it anew")
    yield from (range(first, stop) for first, stop in pairwise(cuts(versions, asked.start, asked.stop)))


def _same(rows: Sequence[Row], older: Sequence[Row]) -> bool:
    def shown(row: Row) -> tuple[object, ...]:
        return row.point, row.quantity, row.start, row.value, row.status, row.qualities, row.method, row.flags

    return len(rows) == len(older) and all(shown(one) == shown(was) for one, was in zip(rows, older, strict=True))


def _refilled(connection: Connection, log: Log) -> None:
    names = refill.lacking(connection, log)
    if names:
        raise ConfigError(
            f"log {log.id} was restored, and these did not yet bring again what it lost: {', '.join(names[:20])};"
            " wait for them, or say with --before-refill REASON why you go on without"
        )


def _gate(connection: Connection, rows: Sequence[Row], versions: Sequence[PointVersion], asked: Request) -> None:
    points = {row.point for row in rows}
    refs = {ref for one in versions if one.id in points for ref in one.whole.refs if "/" in ref}
    blocking = sources.blocking(connection, refs, asked.start, asked.stop)
    if blocking:
        listed = "\n".join(f"  {line}" for line in blocking[:20])
        raise ConfigError(f"{len(blocking)} findings stand in the way of a final release:\n{listed}")


def _next(connection: Connection) -> int:
    newest = connection.execute(select(table.c.number).order_by(table.c.number.desc()).limit(1)).scalar_one_or_none()
    return 1 if newest is None else int(newest) + 1


def _consistency(
    connection: Connection, log: Log, party: str | None, position: int, number: int
) -> dict[str, Any] | None:
    """Return the proof from the party's previous release, whatever its period."""
    same = table.c.party == party if party else table.c.party.is_(None)
    newest = select(table.c.position).where(same, table.c.number < number).order_by(table.c.number.desc()).limit(1)
    old = connection.execute(newest).scalar_one_or_none()
    if old is None:
        return None
    return {"from": int(old), "hashes": [one.hex() for one in log.consistency(connection, int(old), position)]}


def _keep(connection: Connection, log: Log, made: Made, draft: _Draft, now: int) -> None:
    body: dict[str, object] = {"release_id": made.id, "manifest_sha256": release.sha256(made.manifest)}
    record_position = log.record(connection, "release", body, by=log.collector, now=now)
    connection.execute(
        insert(table).values(
            number=made.number, release_id=made.id, kind=made.kind, party=made.party, start=made.start, stop=made.stop,
            points=json.dumps(list(draft.wanted)), position=made.position, record_position=record_position,
            supersedes=draft.before.id if draft.before else None, made_at=now, withdrawn_position=None,
            manifest=made.manifest, jws=made.jws, rows=zlib.compress(made.rows, 6),
        )
    )  # fmt: skip


def kept(row: Mapping[str, Any]) -> Made:
    """Return a release from its row of the table."""
    return Made(
        row["release_id"], row["number"], row["kind"], row["party"], row["start"], row["stop"], row["position"],
        bytes(row["manifest"]), row["jws"], zlib.decompress(bytes(row["rows"])), row["made_at"],
    )  # fmt: skip


def rows_now(connection: Connection, log: Log, made: Made) -> list[Row]:
    """Return the rows that a standing release would have if it were made now; nothing is written."""
    manifest = manifest_of(made)
    asked = Request(made.start, made.stop, "final", tuple(manifest["points"]), made.party)
    draft = _draft(connection, log, asked, manifest["timezone"])
    return draft.rows(draft.older())


def fetch(connection: Connection, release_id: str) -> Made:
    """Return a release by its id.

    Raises:
        ConfigError: there is none.
    """
    row = connection.execute(select(table).where(table.c.release_id == release_id)).mappings().one_or_none()
    if row is None:
        raise ConfigError(f"no release {release_id!r}; `wattseal collector release list` shows them")
    return kept(dict(row))


def listed(connection: Connection, limit: int = 1000) -> list[dict[str, Any]]:
    """Return the releases, newest first, without their rows."""
    hidden = {"manifest", "jws", "rows", "points"}
    query = select(*(one for one in table.c if one.name not in hidden)).order_by(table.c.number.desc()).limit(limit)
    return [dict(row) for row in connection.execute(query).mappings()]


def withdraw(connection: Connection, log: Log, release_id: str, *, reason: str, by: str, now: int) -> int:
    """Return the position of the record that withdraws a release; its files stay what they are.

    Raises:
        ConfigError: there is none, or it is withdrawn already.
    """
    made = fetch(connection, release_id)
    body: dict[str, object] = {"release_id": made.id, "withdrawn": reason}
    position = log.record(connection, "release", body, by=by, now=now)
    done = connection.execute(
        update(table)
        .where(table.c.release_id == release_id, table.c.withdrawn_position.is_(None))
        .values(withdrawn_position=position)
    )
    if not done.rowcount:
        raise ConfigError(f"release {release_id} is withdrawn already")
    return position


def manifest_of(made: Made) -> dict[str, Any]:
    """Return the manifest as values."""
    members: dict[str, Any] = strictjson.loads(made.manifest)
    return members


def compare(older: Sequence[Row], newer: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows whose value or status differs, with both."""
    was = {(row.point, row.quantity, row.start): row for row in older}
    now = {(row.point, row.quantity, row.start): row for row in newer}
    found = []
    for key in sorted(was.keys() | now.keys()):
        old, new = was.get(key), now.get(key)
        if old is None or new is None or (old.value, old.status) != (new.value, new.status):
            values = {"old": old.value if old else None, "new": new.value if new else None}
            found.append({"point": key[0], "quantity": key[1], "start": instant(key[2])} | values)
    return found
