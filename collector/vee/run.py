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
from sqlalchemy.exc import SQLAlchemyError

from collector.intake.log import Log
from collector.series import blobs, project, raw, seams, suspects, versions
from collector.series.channels import Channel
from collector.series.registers import Registers, empty
from collector.series.versions import Version
from collector.store.engine import Store
from collector.store.schema import cursor, finding
from collector.vee import against, faults, finals, grids
from collector.vee.against import Held, Main
from collector.vee.agenda import Agenda
from collector.vee.anew import Anew
from collector.vee.catalogue import RULES
from collector.vee.faults import Fault
from collector.vee.finals import Final
from collector.vee.inputs import Before, Column
from collector.vee.judge import MADE, Around, Standing, Verdict, judge
from collector.vee.leaves import Leaves
from collector.vee.masters import Masters
from collector.vee.policy import Policy
from collector.vee.series import HAS_VALUE, Finding
from collector.vee.surroundings import Surroundings
from shared import veeblob
from shared.clock import Clock
from shared.quantity import INT64_MAX
from shared.release import instant
from shared.status import Status
from shared.veeblob import Span

NAME = "vee"
MADE_BY = "vee/2"
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
        if first >= stop and again is None and not faults.waits_for_us(connection):
            return Done(stop, 0, 0, 0)
        masters = Masters.read(connection, stop)
        anew = None if again is None else Anew(again, INT64_MAX, f"asked for anew from {instant(again)}")
        todo = list(Run(connection, log, stop, anew, masters).agenda.touched(first))
    done = Done(stop, 0, 0, 0)
    for at in range(0, len(todo), TOGETHER):
        done = _judged(store, log, clock, done, todo[at : at + TOGETHER], masters, anew)
        told(min(at + TOGETHER, len(todo)), len(todo))
    with store.write() as connection:
        newest = max(_cursor(connection, NAME), stop)
        connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=newest))
    return done


def _judged(
    store: Store, log: Log, clock: Clock, done: Done, some: Sequence[tuple[Channel, int, int]], masters: Masters,
    anew: Anew | None,
) -> Done:  # fmt: skip
    with store.write() as connection:
        alone(connection)
        run = Run(connection, log, done.position, anew, masters)
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


class Run:
    """One run over the channels that new leaves have touched."""

    def __init__(
        self, connection: Connection, log: Log, size: int, anew: Anew | None = None, masters: Masters | None = None
    ) -> None:  # fmt: skip
        self.connection, self.log, self.size, self.anew = connection, log, size, anew
        self.masters = Masters.read(connection, size) if masters is None else masters
        self.policies, self.parameters, self.calendar = (
            self.masters.policies, self.masters.parameters, self.masters.calendar,
        )  # fmt: skip
        self.around = Surroundings(connection, size, self.parameters, Leaves(connection, self.masters.configured))
        self.spans: list[Span] = []
        self.versions: list[Version] = []
        self.channels = self.findings = 0
        self._found: list[tuple[Channel, int, int, list[dict[str, Any]]]] = []
        self._judged: list[tuple[int, int]] = []
        self._faults: list[Fault] = []
        self._final_since: dict[int, list[Final]] = {}

    @property
    def agenda(self) -> Agenda:
        """Return what is to be judged."""
        again = None if self.anew is None else self.anew.start
        return Agenda(self.connection, self.masters, self.around.related, again)

    def judge(self, channel: Channel, length: int, dirty: int) -> None:
        """Judge one channel from a second on; one that cannot be judged keeps what it has, and a finding says so."""
        span = raw.span(self.connection, channel.id, length)
        if span is None or max(span[0], dirty) >= span[1]:
            self._judged.append((channel.id, length))  # there is nothing of it
            return
        self.channels += 1
        try:
            self._judge(channel, length, dirty, span)
            self._judged.append((channel.id, length))
        except SQLAlchemyError:
            raise  # of the whole database
        except Exception as error:  # noqa: BLE001 - the boundary of one channel: the others must go on
            self._faults.append(Fault(channel, length, dirty, span[1], error))

    def _judge(self, channel: Channel, length: int, dirty: int, span: tuple[int, int]) -> None:
        dirty = max(dirty, span[0])
        start = max(span[0], (dirty - HISTORY) // length * length)
        sources = raw.sources(self.connection, channel.id, start, span[1], length)
        seen = raw.chosen(self.connection, channel.id, sources) or empty(start, span[1], length)
        standing, positions = self._standing(channel, start, span[1], length)
        first, policy = _widened((dirty - start) // length, standing), self.masters.policy(channel)
        torn = seams.read(self.connection, channel.id, start, span[1])
        doubted = suspects.read(self.connection, channel.id, seen)
        told = self.around.of(channel, policy, seen, first, sources) | {
            "now": self.masters.now, "before": self._before(channel, seen, standing, positions, first),
        }  # fmt: skip
        around = Around(
            told, self.parameters.settings(channel.site, policy.role, channel.meter, channel.quantity),
            self.calendar.of(channel.site), cache(partial(self.neighbours, channel, policy, seen)),
            partial(self.parameters.method, channel.site, policy.role, channel.meter, channel.quantity),
            cache(partial(self.around.outage, channel, seen)), anew=self.anew,
            covered=grids.covered(self.connection, channel.id, seen),
        )  # fmt: skip
        verdict = judge(seen, standing, policy, channel.quantity, first, torn, doubted, around)
        rows = [_row(channel, seen, one) | self._by for one in verdict.findings]
        main = Main(channel, policy, seen, verdict, around.settings)
        for held in against.held(
            self.connection, main, self.parameters.checks, self.around.known, seen.start + first * length
        ):
            rows += [_row(channel, held, one) | self._by for one in held.findings]
        made = [_made(channel, seen, verdict, *part) for part in _changed(verdict, standing, positions, first)]
        self.spans += [span_ for span_, _ in made]
        self.versions += [version for _, version in made]
        self._found.append((channel, seen.start + first * length, span[1], rows))

    def _before(
        self, channel: Channel, seen: Registers, standing: Standing, positions: "np.ndarray[Any, Any]", first: int
    ) -> Before | None:  # fmt: skip
        """Return what stands, and of finals what they went out with; None where nothing does."""
        known = (positions >= 0) & HAS_VALUE[standing.status]
        final, values, told = finals.released(self.connection, self._finals(seen, first), channel, seen)
        if not (known[first:].any() or final.any()):
            return None
        old = Column(np.where(final, values, standing.values), np.where(final, told, known))
        return Before(old, np.isin(standing.status, MADE), final, np.ones(seen.n, dtype=np.bool_))

    def _finals(self, seen: Registers, first: int) -> list[Final]:
        """Return the finals that reach into what may change."""
        since = seen.start + first * seen.length
        if since not in self._final_since:
            self._final_since[since] = finals.read(self.connection, self.size, since)
        return self._final_since[since]

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

    @property
    def _by(self) -> dict[str, Any]:
        """Return by what findings are made."""
        return {"made_by": NAME, "rules_position": self.parameters.position}

    def write(self, now: int) -> None:
        """Write a record for each disclosure group, its blob, the versions, and the findings that came or went."""
        position = self.size - 1
        pairs = list(zip(self.spans, self.versions, strict=True))
        for group in sorted({self._group(span) for span in self.spans}):
            own = [pair for pair in pairs if self._group(pair[0]) == group]
            position = self._record([span for span, _ in own], [version for _, version in own], now)
        for channel, start, stop, rows in self._found:
            self._settle(channel, start, stop, rows, position)
        self.findings += faults.settle(self.connection, self._judged, self._faults, position)

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
        fresh = [row | _placed(row, position) for row in rows if _key(row) not in open_]
        gone = [number for key, number in open_.items() if key not in {_key(row) for row in rows}]
        if fresh:
            self.connection.execute(insert(finding), fresh)
        if gone:
            settled = update(finding).where(finding.c.id.in_(gone)).values(resolved_position=position)
            self.connection.execute(settled)
        self.findings += len(fresh)


def _row(channel: Channel, grid: Registers | Held, one: Finding) -> dict[str, Any]:
    """Return a finding on some grid as a row of the table."""
    return {
        "channel_id": channel.id, "agent": None, "meter": channel.meter, "rule": one.rule, "severity": one.severity,
        "start": grid.start + one.first * grid.length, "stop": grid.start + one.stop * grid.length,
        "observed": one.observed, "limit_": one.limit, "text": one.text, "rule_version": one.version,
    }  # fmt: skip


def _placed(row: Mapping[str, Any], position: int) -> dict[str, int | None]:
    """Return from where to where a finding holds: that something was replaced is over as soon as it is told."""
    return {"position": position, "resolved_position": position if row["rule"] == "I1" else None}


@lru_cache(maxsize=1)
def _versions() -> dict[str, int]:
    """Return the version of each rule: with the position of the `rules` record it says how intervals were judged."""
    return {name: RULES.get(name).version for name in RULES.names()}


def _made(channel: Channel, seen: Registers, verdict: Verdict, begin: int, end: int) -> tuple[Span, Version]:
    """Return a part of a verdict as the record commits to it, and as the store keeps it."""
    at, start, stop = slice(begin, end), seen.start + begin * seen.length, seen.start + end * seen.length
    status = verdict.status[at]
    values = [
        None if code == Status.MISSING else value
        for code, value in zip(status.tolist(), verdict.values[at].tolist(), strict=True)
    ]
    estimates = tuple(one for one in verdict.estimates if start <= int(str(one["first"])) < stop)
    span = Span(
        channel.name, start, seen.length, tuple(values), tuple(status.tolist()),
        tuple(verdict.flags[at].tolist()), tuple(verdict.methods[at]), MADE_BY, estimates,
    )  # fmt: skip
    version = Version(
        channel_id=channel.id, start=start, length=seen.length, values=verdict.values[at], status=status,
        flags=verdict.flags[at].astype(np.uint32), methods=verdict.methods[at], made_by=MADE_BY,
    )  # fmt: skip
    return span, version


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
