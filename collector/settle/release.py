"""Making a release: one position of the log, its rows, its signed manifest, its record in the log.

Rules of this file: everything admitted before the position is through VEE, or the release is refused; nothing that
was released changes, a later release supersedes it; no clock and no host value enters manifest or rows.
"""

import json
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
from collector.settle.changes import Changes
from collector.settle.computing import Basis, Computing
from collector.settle.gate import hold
from collector.settle.rounding import Carry
from collector.settle.written import Kept, Written, whole
from collector.store.schema import release as table
from collector.vee import calendar, parameters_log
from collector.vee.run import alone
from shared import envelope, release, rounding, strictjson
from shared.errors import ConfigError
from shared.keys import Signer
from shared.master import PointVersion, cuts
from shared.release import Row, instant

_OPEN = Gate()
VERSIONS = {"rules": "vee/1"}


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
    packed: bytes  # rows.jsonl, zlib: that of a month of many points is large
    made_at: int  # when its record entered the log [UTC us]

    @property
    def rows(self) -> bytes:
        """Return rows.jsonl."""
        return whole(self.packed)

    @property
    def parsed(self) -> list[Row]:
        """Return the rows."""
        return list(self.each())

    def each(self) -> Iterator[Row]:
        """Give the rows, one at a time."""
        return iter(Kept(self.packed))


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
    alone(connection)  # over PostgreSQL another program could judge intervals, or make this release, in between
    _refilled(connection, log)
    draft = _draft(connection, log, asked, timezone)
    written, changes = draft.written()
    if draft.before is not None and draft.repeats(draft.before) and changes.none:
        return draft.before
    if draft.kind != "preliminary":
        _gate(connection, written.points, draft.versions, asked)
        hold(written.short, gate)
    members = draft.manifest(written, changes, _next(connection))
    manifest = release.manifest(members)
    jws = envelope.seal(manifest.decode("ascii"), envelope.RELEASE, signer)
    made = Made(
        str(members["release_id"]), int(members["number"]), draft.kind, asked.party, asked.start, asked.stop,
        draft.position, manifest, jws, written.packed(), now,
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
    newest: bool  # whether its position is that of the log now
    otherwise: str  # the rule of rounding of points that state none: a correction keeps that of what it corrects

    def repeats(self, before: Made) -> bool:
        """Return whether a release of the same kind stands already."""
        return (before.kind == "preliminary") == (self.kind == "preliminary")

    def written(self) -> tuple[Written, Changes]:
        """Return the rows, and what they change in those of the release before."""
        basis = Basis(
            connection=self.connection, versions=self.versions, wanted=self.wanted,
            spans=list(_spans(self.versions, self.asked)), position=self.position,
            points_position=self.points_position, newest=self.newest, carry=Carry(self.timezone, self.otherwise),
        )  # fmt: skip
        written, changes = Written(), Changes(None if self.before is None else self.before.each())
        for _, found in Computing(basis).each(changes.older):
            for told in found:
                written.add(told)
            changes.add(found)
        return written, changes

    def manifest(self, written: Written, changes: Changes, number: int) -> dict[str, Any]:
        """Return the manifest's members."""
        before, log, short = self.before, self.log, written.short
        positions = {
            "points": self.points_position,
            "rule_set": _placed(parameters_log.read(self.connection, self.position).position),
            "calendar": _placed(calendar.read(self.connection, self.position).position),
        }
        software = {"software": f"wattseal/{package_version('wattseal')}"}
        points = sources.entries(self.versions, self.wanted, self.asked.start, self.asked.stop)
        rules = (one.rounding or self.otherwise for one in points)
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
            "counts": written.counts,
            "expected": short.rows,
            "unobserved_fraction": release.fraction(short.unseen.count, short.rows),
            "versions": VERSIONS | {"rounding": rounding.named(rules)} | software | positions | self._losses(),
            "merkle_root": written.root,
            "rows_sha256": written.sha256,
            "supersedes": before.id if before else None,
            "delta": changes.delta if before and self.kind == "correction" else None,
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
    versions = sources.seen_by(found.versions, asked.party)
    wanted = _wanted(found.versions, versions, asked)
    before = _standing(connection, asked, wanted, again)
    kind = _kind(asked, before)
    follows = again or before
    rule = rounding.default("" if follows is None else manifest_of(follows)["versions"]["rounding"])
    return _Draft(
        connection, log, asked, kind, position, found.position, versions, wanted, before, timezone, again is None, rule
    )  # fmt: skip


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


def _refilled(connection: Connection, log: Log) -> None:
    names = refill.lacking(connection, log)
    if names:
        raise ConfigError(
            f"log {log.id} was restored, and these did not yet bring again what it lost: {', '.join(names[:20])};"
            " wait for them, or say with --before-refill REASON why you go on without"
        )


def _gate(connection: Connection, points: set[str], versions: Sequence[PointVersion], asked: Request) -> None:
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
            manifest=made.manifest, jws=made.jws, rows=made.packed,
        )
    )  # fmt: skip


def kept(row: Mapping[str, Any]) -> Made:
    """Return a release from its row of the table."""
    return Made(
        row["release_id"], row["number"], row["kind"], row["party"], row["start"], row["stop"], row["position"],
        bytes(row["manifest"]), row["jws"], bytes(row["rows"]), row["made_at"],
    )  # fmt: skip


def changed_now(connection: Connection, log: Log, made: Made) -> list[dict[str, Any]]:
    """Return the rows of a standing release that would have another value or status if it were made now."""
    manifest = manifest_of(made)
    asked = Request(made.start, made.stop, "final", tuple(manifest["points"]), made.party)
    return _draft(connection, log, asked, manifest["timezone"]).written()[1].delta


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
