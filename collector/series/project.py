"""The series as a projection of the ledger: read in order from a cursor, droppable, built again the same.

Rules of this file: only admitted batches enter; what is admitted but cannot be used (another version, a meter of
another agent, values that do not follow from the reads, a fork) becomes a finding, and enters when a later record
lets it in, counting from that record's position on. What a wrong clock labelled moves when an anchor of the same boot
says what time it was (`retimed`). Nothing here looks at a clock.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from collector.intake.authentic import printable
from collector.intake.log import Entry
from collector.series import blocks, findings, meters, raw, retimed, seams, suspects
from collector.series.channels import RANKS, Numbers
from collector.series.findings import Found
from collector.series.overtaken import BEHIND, Overtaken
from collector.series.raw import Tails
from collector.store.engine import Store
from collector.store.schema import (
    SERIES,
    cursor,
    event,
    finding,
    ledger,
    ledger_bytes,
    raw_segment,
    seam,
    stat_segment,
    unsure,
)
from shared import batch as batches
from shared import envelope, record, retiming, rotation
from shared.batch import Batch, Event, Gap, KeyRotate
from shared.errors import ConfigError, Malformed, TrustError
from shared.intervals import Block, Intervals
from shared.quantity import INT64_MAX
from shared.retiming import Anchor

NAME = "series"
_MADE_BY = "series"
#: Intervals that an unsynchronised clock labels earlier than this were sealed by a clock that knew no time at all:
#: 2020-01-01, before the first agent. [UTC s]
SENSIBLE = 1_577_836_800
_RETENTION = select(ledger.c.position).where(ledger.c.typ == "record", ledger.c.kind == "retention").limit(1)
#: Why a ledger row stays out: rule and severity of its finding.
_OUT = {"fork": ("A2", "E"), "held": ("A2", "E"), "frozen": ("A2", "W"), "unreadable": ("A4", "W")}


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
        first = _cursor(connection)
        entries = _entries(connection, first, first + limit)
        if entries:
            projection = Projection(connection)
            for entry in entries:
                projection.take(entry)
            projection.write()
            stop = entries[-1].position + 1
            connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=stop))
            return Progress(first, stop)
    return Progress(first, first)


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
        connection.execute(delete(finding).where(finding.c.made_by == _MADE_BY))
        connection.execute(update(cursor).where(cursor.c.name == NAME).values(position=0))


def _cursor(connection: Connection) -> int:
    """Return the next position to read, locked so that two programs do not read the same."""
    query = select(cursor.c.position).where(cursor.c.name == NAME)
    found = connection.execute(query.with_for_update()).scalar_one_or_none()
    if found is None:
        connection.execute(insert(cursor).values(name=NAME, position=0))
    return found or 0


def _entries(connection: Connection, first: int, stop: int) -> list[Entry]:
    names = [name for name in Entry.__dataclass_fields__ if name != "text"]
    rows = connection.execute(
        select(*(ledger.c[name] for name in names), ledger_bytes.c.jws.label("text"))
        .outerjoin(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.position >= first, ledger.c.position < stop)
        .order_by(ledger.c.position)
    )
    return [Entry(**row) for row in rows.mappings()]


class Projection:
    """What one transaction adds to the series."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.numbers, self.meters = Numbers(connection), meters.Table(connection)
        self.registers, self.statistics = Tails(connection, raw_segment), Tails(connection, stat_segment)
        self.overtaken = Overtaken(connection)
        self._found: list[Found] = []
        self._events: list[dict[str, object]] = []
        boots = connection.execute(select(unsure.c.agent, unsure.c.boot).distinct())
        self._unsure = {(row.agent, row.boot) for row in boots}

    def take(self, entry: Entry) -> None:
        """Add what one leaf of the log means."""
        if entry.text is None:
            return  # its bytes are gone by a signed record; what it meant stays in the segments of before
        if entry.typ == "record":
            self._record(entry, entry.text)
        elif entry.state == "admitted":
            self._batch(entry, entry.text, entry.position)
            self._tell_overtaken(entry)
        else:
            rule, severity = _OUT.get(entry.state, ("A2", "E"))
            text = f"batch {entry.seq} of epoch {(entry.epoch or '?')[:8]} is kept out: {entry.reason}"
            self._find(entry, rule, severity, text)

    def _tell_overtaken(self, entry: Entry) -> None:
        if self.overtaken.holds(entry) and self.overtaken.is_new(entry):
            text = (
                f"batches of epoch {(entry.epoch or '')[:8]} came after the gateway had begun another one, as from a"
                " disk that was replaced: they count only where the newer epoch says nothing"
            )
            self._find(entry, "A2", "W", text)

    def _find(self, entry: Entry, rule: str, severity: str, text: str, **more: object) -> None:
        agent, position = entry.agent, entry.position
        self._found.append(Found(rule, severity, text, position, _MADE_BY, agent=agent, **more))  # type: ignore[arg-type] # the caller names fields of Found

    def _batch(self, entry: Entry, text: str, since: int, only: str | None = None) -> None:
        """Add a batch; `since` is the position from which it counts, `only` the one meter that is meant."""
        try:
            found = batches.decode(envelope.payload(envelope.apart(text)))
            by = retiming.anchor(found.clock)
            if by is not None and only is None:
                self._retime_boot(found, by, entry.position)
            if isinstance(found.body, Intervals):
                self._intervals(entry, found, found.body, since, only)
            elif isinstance(found.body, KeyRotate):
                self._hand_over(entry, found, found.body)
            elif isinstance(found.body, tuple):
                self._events += [_event(found, entry.position, one) for one in found.body]
                self._seams(found, entry.position, found.body)
        except Malformed as error:
            self._find(entry, "A4", "W", f"batch {entry.seq} cannot be used by this version: {printable(str(error))}")

    def _hand_over(self, entry: Entry, batch: Batch, body: KeyRotate) -> None:
        """Note a change of the signing key that is none; what it changes is the intake's."""
        try:
            rotation.successor(batch.agent, batch.epoch, batch.seq, body)
        except TrustError as error:
            text = f"batch {entry.seq} hands over to a key that has not proved itself: {printable(str(error))}"
            self._find(entry, "A1", "E", text)

    def _seams(self, batch: Batch, position: int, body: Sequence[Event | Gap]) -> None:
        """Note the reads on either side of where a register ended."""
        for one in body:
            if not isinstance(one, Event) or one.event not in seams.EVENTS or one.meter is None:
                continue
            if not batches.NAME.match(one.meter):
                continue
            for name, last_at, last, first_at, first in seams.of_event(one.detail):
                number = self.numbers.channel(batch.site, one.meter, name)
                places = {"last_at": _fitting(wall(batch, last_at)), "first_at": _fitting(wall(batch, first_at))}
                row = {"channel_id": number, "position": position, "last": last, "first": first, **places}
                self.connection.execute(insert(seam).values(**row))

    def _intervals(self, entry: Entry, batch: Batch, body: Intervals, since: int, only: str | None) -> None:
        by = retiming.anchor(batch.clock)
        if by is None and only is None:
            row = {"position": entry.position, "agent": batch.agent, "boot": batch.boot}
            self.connection.execute(insert(unsure).values(**row))
            self._unsure.add((batch.agent, batch.boot))
        if by is None and body.start < SENSIBLE:
            text = f"batch {entry.seq} was sealed by a clock that knew no time; it waits for an anchor of its boot"
            self._find(entry, "A8", "W", text, start=body.start, stop=body.start + body.n * body.length)
            return
        stepped = by is not None and retiming.unsure(batch.clock)  # while the batch was open
        wrong = stepped and by is not None and retiming.off(body, by) is not None
        for block in body.blocks:
            if only in (None, block.meter):
                self._block(entry, batch, body, block, since, by if wrong else None)

    def _retime_boot(self, batch: Batch, by: Anchor, position: int) -> None:
        """Put what was sealed without a right clock where an anchor of the same boot says that it was."""
        if (batch.agent, batch.boot) not in self._unsure:
            return
        own = (unsure.c.agent == batch.agent) & (unsure.c.boot == batch.boot) & (unsure.c.position < position)
        query = select(unsure.c.position).where(own).order_by(unsure.c.position)
        places = list(self.connection.execute(query).scalars())
        self._unsure.discard((batch.agent, batch.boot))
        self.write()
        self.connection.execute(delete(unsure).where(own))
        held = select(finding.c.id).where(
            finding.c.position.in_(places), finding.c.rule == "A8", finding.c.made_by == _MADE_BY
        )
        findings.resolve(self.connection, list(self.connection.execute(held).scalars()), position)
        for entry in (one for place in places for one in _entries(self.connection, place, place + 1)):
            found = batches.decode(envelope.payload(envelope.apart(entry.text or "")))
            if isinstance(found.body, Intervals) and retiming.off(found.body, by) is not None:
                self._move(entry, found, found.body, by, position)

    def _move(self, entry: Entry, batch: Batch, body: Intervals, by: Anchor, since: int) -> None:
        stop = body.start + body.n * body.length
        for path in {block.source for block in body.blocks}:
            number = self.numbers.source(batch.agent, batch.epoch, path)
            raw.withdraw(self.connection, number, entry.position, body.start, stop, since)
        for block in body.blocks:
            self._block(entry, batch, body, block, since, by)

    def _block(
        self, entry: Entry, batch: Batch, body: Intervals, block: Block, since: int, by: Anchor | None
    ) -> None:  # fmt: skip
        stop = body.start + body.n * body.length
        if stop > INT64_MAX // 1_000_000 or body.start < 0 or not batches.NAME.match(block.meter):
            raise Malformed("a block lies outside all time, or names no meter")
        start = body.start if by is None else retiming.true_start(body, by)
        rank = self.meters.rank(batch.site, block.meter, batch.agent, start, since)
        if rank is None:
            text = f"meter {block.meter!r} does not belong to agent {batch.agent!r} at that time"
            self._find(entry, "A3", "E", text, meter=block.meter, start=body.start, stop=stop)
            return
        source = self.numbers.source(batch.agent, batch.epoch, block.source)
        found = blocks.pieces(batch, body, block, entry.position, since)
        if by is not None:
            found = retimed.pieces(found, body, block, by)
        for piece in found:
            if piece.rule is not None:
                text = f"{block.meter}.{printable(piece.quantity)}: {printable(piece.text or '')}"
                self._find(entry, piece.rule, "E", text, meter=block.meter, start=body.start, stop=stop)
            if piece.segment is None:
                continue
            channel = self.numbers.channel(batch.site, piece.meter, piece.quantity)
            tails = self.statistics if piece.segment.enc == "stat" else self.registers
            behind = BEHIND if self.overtaken.holds(entry) else 0
            tails.add(channel, source, piece.segment, since, rank + RANKS[block.source] + behind)

    def _record(self, entry: Entry, text: str) -> None:
        try:
            body = record.decode(envelope.payload(envelope.apart(text))).body
            if entry.kind == "meters":
                self._assign(meters.decode(body, entry.position), entry.position)
            elif entry.kind == "revocation":
                self._revoked(body, entry.position)
            elif entry.kind == "adoption":
                self._adopt(str(body.get("agent")), str(body.get("epoch")), entry.position)
        except Malformed as error:
            self._find(entry, "A4", "W", f"a record cannot be used by this version: {printable(str(error))}")

    def _revoked(self, body: dict[str, object], position: int) -> None:
        """Note what a revoked key has signed since it may have been in other hands."""
        found = suspects.lost(body)
        if found is not None:
            suspects.mark(self.connection, self.numbers, found, position)

    def _assign(self, assignments: Sequence[meters.Assignment], position: int) -> None:
        """Load a meter table, and let in what had waited for it."""
        self.meters.load(assignments)
        self._flush()
        names = sorted({one.meter for one in assignments})
        waiting = select(finding.c.id, finding.c.position, finding.c.meter).where(
            finding.c.rule == "A3", finding.c.made_by == _MADE_BY, finding.c.meter.in_(names),
            finding.c.resolved_position.is_(None),
        )  # fmt: skip
        rows = self.connection.execute(waiting.order_by(finding.c.position, finding.c.id)).all()
        findings.resolve(self.connection, [row.id for row in rows], position)
        for row in rows:
            for entry in _entries(self.connection, row.position, row.position + 1):
                self._batch(entry, entry.text or "", position, only=row.meter)

    def _adopt(self, agent: str, epoch: str, position: int) -> None:
        """Let in what was kept out of an epoch that a person has adopted."""
        self._flush()
        places = select(ledger.c.position).where(
            ledger.c.agent == agent, ledger.c.epoch == epoch, ledger.c.state.in_(("held", "frozen")),
            ledger.c.position < position,
        )  # fmt: skip
        positions = list(self.connection.execute(places.order_by(ledger.c.position)).scalars())
        settled = select(finding.c.id).where(
            finding.c.position.in_(positions), finding.c.rule == "A2", finding.c.made_by == _MADE_BY
        )
        findings.resolve(self.connection, list(self.connection.execute(settled).scalars()), position)
        for place in positions:
            for entry in _entries(self.connection, place, place + 1):
                self._batch(entry, entry.text or "", position)

    def _flush(self) -> None:
        findings.write(self.connection, self._found)
        self._found = []

    def write(self) -> None:
        """Write everything that was added."""
        self.registers.write()
        self.statistics.write()
        self._flush()
        if self._events:
            self.connection.execute(insert(event), self._events)
            self._events = []


def _event(batch: Batch, position: int, one: Event | Gap) -> dict[str, object]:
    row: dict[str, object] = {"position": position, "agent": batch.agent}
    if isinstance(one, Gap):
        detail = {"quantity": one.quantity, "from": one.start, "to": one.stop, "reason": one.reason}
        return row | {
            "meter": one.meter,
            "event": "gap",
            "at": _fitting(one.start * 1_000_000),
            "detail": json.dumps(detail),
        }
    at = _fitting(wall(batch, one.first))
    return row | {"meter": one.meter, "event": printable(one.event), "at": at, "detail": json.dumps(one.detail)}


def wall(batch: Batch, boot: int) -> int:
    """Return UTC of an instant on the boot clock of a batch, by its nearest anchor. [UTC us]"""
    if not batch.clock.anchors:
        return batch.created
    anchor = min(batch.clock.anchors, key=lambda one: abs(one[0] - boot))
    return boot - anchor[0] + anchor[1]


def _fitting(number: int) -> int:
    return max(-INT64_MAX, min(INT64_MAX, number))
