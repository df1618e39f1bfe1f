"""Brings VEE up to the end of the ledger: reads what is new, judges it, appends versions by a signed record.

Rules of this file: versions, their record, their findings and the cursor are one transaction; nothing is written where
nothing changed; what a record commits to is a blob that anyone can hash.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, insert, select, update

from collector.intake.log import Log
from collector.series import blobs, channels, project, raw, seams, suspects, versions
from collector.series.channels import Channel
from collector.series.registers import Registers
from collector.series.versions import Version
from collector.store.engine import Store
from collector.store.schema import cursor, finding, raw_segment
from collector.vee import authored, calendar, grids, parameters_log
from collector.vee.calendar import Calendar
from collector.vee.catalogue import RULES
from collector.vee.judge import Around, Standing, Verdict, judge
from collector.vee.parameters import Parameters, since_of
from collector.vee.policy import Policy, policies
from collector.vee.series import Finding
from collector.vee.surroundings import Surroundings
from shared import veeblob
from shared.clock import Clock
from shared.status import Status
from shared.veeblob import Span

NAME = "vee"
MADE_BY = "vee/1"
HISTORY = 56 * 86_400  # what estimates look back on [s]
TOGETHER = 64  # channels that are judged in one transaction
#: Spans longer than this are written in several lines. [intervals]
MOST = 8192


def _quiet(done: int, of: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did."""

    position: int
    channels: int
    versions: int
    findings: int


def catch_up(
    store: Store, log: Log, clock: Clock, *, again: int | None = None, told: Callable[[int, int], None] = _quiet
) -> Done:  # fmt: skip
    """Return what was done to bring series and versions up to the end of the ledger.

    Channels are judged a few at a time, each few in a transaction of its own, so that batches go on coming in between;
    after a crash those that were done are found unchanged and the rest follows.

    Args:
        store: The database.
        log: The log.
        clock: For the time of records.
        again: Everything from here on is judged anew, and estimates are made with what is known now. [UTC s]
        told: Is told after each few how many channels are done, and of how many.

    Raises:
        StoreError: the database refuses; what was done before it stands.
    """
    while project.catch_up(store).stop < _size(store, log):
        pass
    with store.write() as connection:
        first, stop = _cursor(connection, NAME), _cursor(connection, project.NAME)
        if first >= stop and again is None:
            return Done(stop, 0, 0, 0)
        masters = Masters.read(connection, stop)
        todo = list(Run(connection, log, stop, again, masters).touched(first))
    done = Done(stop, 0, 0, 0)
    for at in range(0, len(todo), TOGETHER):
        done = _judged(store, log, clock, done, todo[at : at + TOGETHER], masters, again)
        told(min(at + TOGETHER, len(todo)), len(todo))
    with store.write() as connection:
        newest = max(_cursor(connection, NAME), stop)
        connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=newest))
    return done


def _judged(
    store: Store, log: Log, clock: Clock, done: Done, some: Sequence[tuple[Channel, int, int]], masters: "Masters",
    again: int | None,
) -> Done:  # fmt: skip
    with store.write() as connection:
        alone(connection)
        run = Run(connection, log, done.position, again, masters)
        for channel, length, dirty in some:
            run.judge(channel, length, dirty)
        run.write(clock.wall())
    return Done(
        done.position, done.channels + run.channels, done.versions + len(run.spans), done.findings + run.findings
    )


def alone(connection: Connection) -> None:
    """Let one transaction at a time look at versions and write what follows from them, whichever program it is of."""
    _cursor(connection, NAME)


def _size(store: Store, log: Log) -> int:
    with store.read() as connection:
        return log.size(connection)


def _cursor(connection: Connection, name: str) -> int:
    found = connection.execute(select(cursor.c.position).where(cursor.c.name == name).with_for_update())
    position = found.scalar_one_or_none()
    if position is None:
        connection.execute(insert(cursor).values(name=name, position=0))
    return position or 0


@dataclass(frozen=True, slots=True)
class Masters:
    """Master data as of a log size: read once, for they cannot change any more."""

    policies: Mapping[tuple[str, str], Policy]
    parameters: Parameters
    calendar: Calendar

    @classmethod
    def read(cls, connection: Connection, size: int) -> "Masters":
        """Return what holds below a log size."""
        return cls(policies(connection, size), parameters_log.read(connection, size), calendar.read(connection, size))


class Run:
    """One run over the channels that new leaves have touched."""

    def __init__(
        self, connection: Connection, log: Log, size: int, again: int | None = None, masters: Masters | None = None
    ) -> None:  # fmt: skip
        self.connection, self.log, self.size, self.again = connection, log, size, again
        known = Masters.read(connection, size) if masters is None else masters
        self.policies, self.parameters, self.calendar = known.policies, known.parameters, known.calendar
        self.around = Surroundings(connection, size, self.parameters)
        self.spans: list[Span] = []
        self.versions: list[Version] = []
        self.channels = self.findings = 0
        self._found: list[tuple[Channel, int, int, list[dict[str, Any]]]] = []

    def touched(self, first: int) -> Iterator[tuple[Channel, int, int]]:
        """Give channels with the interval length and the second from which on they have something new. [s, UTC s]"""
        query = (
            select(raw_segment.c.channel_id, raw_segment.c.length, func.min(raw_segment.c.start).label("start"))
            .where(raw_segment.c.position >= first)
            .group_by(raw_segment.c.channel_id, raw_segment.c.length)
            .order_by(raw_segment.c.channel_id, raw_segment.c.length)
        )
        known = {one.id: one for one in channels.every(self.connection)}
        dirty = {(row.channel_id, row.length): int(row.start) for row in self.connection.execute(query)}
        for key, start in (
            *suspects.touched(self.connection, first).items(),
            *self._set_anew(first),
            *authored.touched(self.connection, first).items(),
            *(() if self.again is None else self._from(self.again)),
        ):
            dirty[key] = min(start, dirty.get(key, start))
        self._below(dirty)
        self._beside(dirty, known)
        for (number, length), start in sorted(dirty.items()):
            yield known[number], length, start

    def _set_anew(self, first: int) -> Iterator[tuple[tuple[int, int], int]]:
        """Give channel, length and second from which on parameters that came at or after a position change them."""
        if self.parameters.position < first:
            return
        since = since_of(parameters_log.read(self.connection, first), self.parameters)
        if since is not None:
            yield from self._from(since)

    def _from(self, since: int) -> Iterator[tuple[tuple[int, int], int]]:
        """Give channel and length of all that reaches beyond a second, and from where on it does. [UTC s]"""
        table = raw_segment
        first, stop = func.min(table.c.start), func.max(table.c.start + table.c.n * table.c.length)
        query = select(table.c.channel_id, table.c.length, first, stop).group_by(table.c.channel_id, table.c.length)
        for number, length, start, end in self.connection.execute(query).all():
            if end > since:
                yield (number, length), max(int(start), since)

    def _below(self, dirty: dict[tuple[int, int], int]) -> None:
        """Add the finer intervals of channels with new registers at coarser boundaries: their estimates must obey."""
        for (number, length), start in list(dirty.items()):
            for finer in grids.below(self.connection, number, length, start):
                dirty[number, finer] = min(start, dirty.get((number, finer), start))

    def _beside(self, dirty: dict[tuple[int, int], int], known: dict[int, Channel]) -> None:
        """Add the channels whose findings look at those that have something new: main meters, nodes, siblings."""
        numbers = {one.name: one.id for one in known.values()}
        for (number, length), start in list(dirty.items()):
            for name in self.around.related(known[number]):
                key = (numbers[name], length)
                dirty[key] = min(start, dirty.get(key, start))

    def judge(self, channel: Channel, length: int, dirty: int) -> None:
        """Judge one channel from a second on."""
        span = raw.span(self.connection, channel.id, length)
        if span is None or max(span[0], dirty) >= span[1]:
            return
        self.channels += 1
        start = max(span[0], (dirty - HISTORY) // length * length)
        seen = raw.read(self.connection, channel.id, start, span[1], length)
        standing, positions = self._standing(channel, start, span[1], length)
        first = _widened((dirty - start) // length, standing)
        policy = self.policies.get((channel.site, channel.meter), Policy())
        torn = seams.read(self.connection, channel.id, start, span[1])
        doubted = suspects.read(self.connection, channel.id, seen)
        settings = self.parameters.settings(channel.site, policy.role, channel.meter, channel.quantity)
        around = Around(
            self.around.of(channel, policy, seen, first), settings, self.calendar.of(channel.site),
            cache(partial(self.neighbours, channel, policy, seen)),
            partial(self.parameters.method, channel.site, policy.role, channel.meter, channel.quantity),
            anew=self.again is not None,
        )  # fmt: skip
        verdict = judge(seen, standing, policy, channel.quantity, first, torn, doubted, around)
        for begin, end in _changed(verdict, standing, positions, first):
            self._write(channel, seen, verdict, begin, end)
        rows = [self._row(channel, seen, one) for one in verdict.findings]
        self._found.append((channel, seen.start + first * length, span[1], rows))

    def neighbours(self, channel: Channel, policy: Policy, seen: Registers) -> dict[str, Any]:
        """Return other energies of the site that the same parties may see: their names stand in the estimate."""
        group = {place for place, one in self.policies.items() if one.disclosure == policy.disclosure}
        found = self.around.neighbours(channel, seen, group)
        return {
            "neighbours": {name: one.values for name, one in found.items()},
            "neighbours_known": {name: one.known for name, one in found.items()},
        }

    def _standing(
        self, channel: Channel, start: int, stop: int, length: int
    ) -> tuple[Standing, "np.ndarray[Any, Any]"]:
        found = versions.read(self.connection, channel.id, start, stop, length)
        methods = [found.methods.get(code) for code in found.method.tolist()]
        return Standing(found.values, found.status, found.flags.astype(np.int64), methods), found.positions

    def _write(self, channel: Channel, seen: Registers, verdict: Verdict, begin: int, end: int) -> None:
        at, start, stop = slice(begin, end), seen.start + begin * seen.length, seen.start + end * seen.length
        status = verdict.status[at]
        values = [
            None if code == Status.MISSING else value
            for code, value in zip(status.tolist(), verdict.values[at].tolist(), strict=True)
        ]
        estimates = tuple(one for one in verdict.estimates if start <= int(str(one["first"])) < stop)
        self.spans.append(
            Span(
                channel.name, start, seen.length, tuple(values), tuple(status.tolist()),
                tuple(verdict.flags[at].tolist()), tuple(verdict.methods[at]), MADE_BY, estimates,
            )
        )  # fmt: skip
        self.versions.append(
            Version(
                channel_id=channel.id, start=start, length=seen.length, values=verdict.values[at], status=status,
                flags=verdict.flags[at].astype(np.uint32), methods=verdict.methods[at], made_by=MADE_BY,
            )
        )  # fmt: skip

    def _row(self, channel: Channel, seen: Registers, one: Finding) -> dict[str, Any]:
        return {
            "channel_id": channel.id, "agent": None, "meter": channel.meter, "rule": one.rule, "severity": one.severity,
            "start": seen.start + one.first * seen.length, "stop": seen.start + one.stop * seen.length,
            "observed": one.observed, "limit_": one.limit, "text": one.text, "made_by": NAME,
            "rule_version": one.version, "rules_position": self.parameters.position,
        }  # fmt: skip

    def write(self, now: int) -> None:
        """Write a record for each disclosure group, its blob, the versions, and the findings that came or went."""
        position = self.size - 1
        pairs = list(zip(self.spans, self.versions, strict=True))
        for group in sorted({self._group(span) for span in self.spans}):
            own = [pair for pair in pairs if self._group(pair[0]) == group]
            position = self._record([span for span, _ in own], [version for _, version in own], now)
        for channel, start, stop, rows in self._found:
            self._settle(channel, start, stop, rows, position)

    def _group(self, span: Span) -> str:
        """Return which group of parties may see a channel: evidence for one shows no other."""
        site, _, rest = span.channel.partition("/")
        return self.policies.get((site, rest.rpartition(".")[0]), Policy()).disclosure

    def _record(self, spans: list[Span], made: list[Version], now: int) -> int:
        octets = veeblob.encode(spans)
        digest = hashlib.sha256(octets)
        set_ = self.parameters.position
        body: dict[str, object] = {
            "sha256": digest.hexdigest(),
            "rules": None if set_ < 0 else set_,
            "versions": _versions(),
        }
        position = self.log.record(self.connection, "vee", body, by=MADE_BY, now=now)
        blobs.keep(self.connection, octets, position)
        versions.append(self.connection, made, position)
        return position

    def _settle(self, channel: Channel, start: int, stop: int, rows: list[dict[str, Any]], position: int) -> None:
        """Add findings that are new, and settle those that no longer hold."""
        own = (finding.c.channel_id == channel.id) & (finding.c.made_by == NAME) & finding.c.resolved_position.is_(None)
        span = (finding.c.stop >= start) & (finding.c.start < stop)  # one that ends there may have been cut there
        open_ = {_key(row): row["id"] for row in self.connection.execute(select(finding).where(own & span)).mappings()}
        fresh = [row | {"position": position} for row in rows if _key(row) not in open_]
        gone = [number for key, number in open_.items() if key not in {_key(row) for row in rows}]
        if fresh:
            self.connection.execute(insert(finding), fresh)
        if gone:
            settled = update(finding).where(finding.c.id.in_(gone)).values(resolved_position=position)
            self.connection.execute(settled)
        self.findings += len(fresh)


@lru_cache(maxsize=1)
def _versions() -> dict[str, int]:
    """Return the version of each rule: with the position of the `rules` record it says how intervals were judged."""
    return {name: RULES.get(name).version for name in RULES.names()}


def _key(row: Any) -> tuple[object, ...]:  # noqa: ANN401 - a row of the table, or what becomes one
    return row["rule"], row["severity"], row["start"], row["stop"], row["observed"], row["limit_"]


def _widened(first: int, standing: Standing) -> int:
    """Return the first interval to judge: a gap before the new data belongs to it, whether open or estimated."""
    while first > 0 and standing.status[first - 1] in (Status.MISSING, Status.ESTIMATED):
        first -= 1
    return first


def _changed(
    verdict: Verdict, standing: Standing, positions: "np.ndarray[Any, Any]", first: int
) -> Iterator[tuple[int, int]]:
    """Give the spans whose versions are new or differ from those that stand."""
    methods = np.array([a != b for a, b in zip(verdict.methods, standing.methods, strict=True)], dtype=np.bool_)
    differs = (verdict.status != standing.status) | (verdict.flags != standing.flags) | methods | (positions < 0)
    differs |= (verdict.values != standing.values) & (verdict.status != Status.MISSING)
    differs[:first] = False
    edges = np.flatnonzero(np.diff(np.concatenate([[False], differs, [False]]).astype(np.int8)))
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        for at in range(begin, end, MOST):
            yield at, min(at + MOST, end)


def standing(connection: Connection, log: Log) -> dict[str, Any]:
    """Return how far validation is, and how many findings of which severity stand open."""
    position = connection.execute(select(cursor.c.position).where(cursor.c.name == NAME)).scalar_one_or_none() or 0
    query = (
        select(finding.c.severity, func.count())
        .where(finding.c.resolved_position.is_(None))
        .group_by(finding.c.severity)
    )
    open_ = {severity: int(count) for severity, count in connection.execute(query)}
    return {"position": position, "size": log.size(connection), "open": open_}
