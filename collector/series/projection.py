"""What one leaf after the other means for the series.

Rules of this file: only admitted batches enter; what is admitted but cannot be used (another version, a meter of
another agent, values that do not follow from the reads, a fork) becomes a finding, and enters when a later record
lets it in, counting from that record's position on. What a wrong clock labelled moves when an anchor of the same boot
says what time it was (`retimed`). What is labelled in the future of its arrival waits (`early`). Nothing here looks at
a clock.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from sqlalchemy import Connection, delete, insert, select

from collector.intake import adopt
from collector.intake.authentic import printable
from collector.intake.log import Entry
from collector.series import anchors, blocks, factors, findings, labels, meters, others, raw, retimed, suspects
from collector.series import early as wait
from collector.series.channels import RANKS, Numbers
from collector.series.early import Early
from collector.series.findings import Found
from collector.series.overtaken import BEHIND, Overtaken
from collector.series.raw import Tails
from collector.series.told import Told
from collector.store.schema import finding, ledger, ledger_bytes, raw_segment, stat_segment, unsure
from shared import batch as batches
from shared import envelope, factor, record, retiming, rotation
from shared.batch import Batch, KeyRotate
from shared.errors import Malformed, OffGrid, TrustError
from shared.factor import Correction
from shared.intervals import Block, Intervals
from shared.quantity import INT64_MAX
from shared.retiming import Anchor

MADE_BY = "series"
#: Intervals that an unsynchronised clock labels earlier than this were sealed by a clock that knew no time at all:
#: 2020-01-01, before the first agent. [UTC s]
SENSIBLE = 1_577_836_800
#: Why a ledger row stays out: rule and severity of its finding.
_OUT = {"fork": ("A2", "E"), "held": ("A2", "E"), "frozen": ("A2", "W"), "unreadable": ("A4", "W")}


@dataclass(frozen=True, slots=True)
class _Taken:
    """A batch of intervals that enters the series."""

    entry: Entry
    batch: Batch
    body: Intervals
    since: int  # the position from which it counts
    behind: int  # what its rank is worse by
    quantity: str | None = None  # the one that is meant, where not all are


def entries(connection: Connection, first: int, stop: int) -> list[Entry]:
    """Return the leaves of positions [first, stop)."""
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
        self.overtaken, self.early = Overtaken(connection), Early(connection)
        self.told = Told(connection, self.numbers)
        self._found: list[Found] = []
        boots = connection.execute(select(unsure.c.agent, unsure.c.boot).distinct())
        self._factors: list[Correction] | None = None
        self._unsure = {(row.agent, row.boot) for row in boots}

    def take(self, entry: Entry) -> None:
        """Add what one leaf of the log means."""
        if self._factors is None:
            self._factors = factors.read(self.connection, entry.position)
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
        self._found.append(Found(rule, severity, text, position, MADE_BY, agent=agent, **more))  # type: ignore[arg-type] # the caller names fields of Found

    def _batch(self, entry: Entry, text: str, since: int, only: str | None = None) -> None:
        """Add a batch; `since` is the position from which it counts, `only` the one meter that is meant."""
        try:
            found = batches.decode(envelope.payload(envelope.apart(text)))
            if only is None:
                self._hear(entry, found, since)
            if isinstance(found.body, Intervals):
                self._intervals(entry, found, found.body, since, only)
            elif isinstance(found.body, KeyRotate):
                self._hand_over(entry, found, found.body)
            elif isinstance(found.body, tuple):
                self._doubt(entry, found, only)
                self.told.take(found, entry.position, found.body)
        except OffGrid as error:
            self._find(entry, "A7", "E", f"batch {entry.seq} stays out of the series: {printable(str(error))}")
        except Malformed as error:
            self._find(entry, "A4", "W", f"batch {entry.seq} cannot be used by this version: {printable(str(error))}")

    def _hear(self, entry: Entry, batch: Batch, since: int) -> None:
        """Let what a clock says of the present put right what it, or a worse one, has said before in the same boot."""
        if wait.is_ahead(wait.said(batch), entry.received_at):
            self.early.relapsed(batch)
            return
        by = retiming.anchor(batch.clock)
        if by is not None:
            self._retime_boot(entry, batch, by, since)
        if since == entry.position:
            self._let_in(batch.agent, self.early.confirmed(batch, entry.received_at), since)

    def _hand_over(self, entry: Entry, batch: Batch, body: KeyRotate) -> None:
        """Note a change of the signing key that is none; what it changes is the intake's."""
        try:
            rotation.successor(batch.agent, batch.epoch, batch.seq, body)
        except TrustError as error:
            text = f"batch {entry.seq} hands over to a key that has not proved itself: {printable(str(error))}"
            self._find(entry, "A1", "E", text)

    def _intervals(self, entry: Entry, batch: Batch, body: Intervals, since: int, only: str | None) -> None:
        stop = body.start + body.n * body.length
        if stop > INT64_MAX // 1_000_000 or body.start < 0:
            raise Malformed("its intervals lie outside all time")
        if not all(batches.NAME.match(block.meter) for block in body.blocks):
            raise Malformed("a block names no meter")
        by = retiming.anchor(batch.clock)
        if by is None and only is not None:
            later = anchors.since(self.connection, entry.position, since)
            if later is not None and retiming.off(body, later[1]) is not None:
                self._place(self._taken(entry, batch, body, since), only, later[1])
                return
        self._doubt(entry, batch, only)
        if by is None and body.start < SENSIBLE:
            text = f"batch {entry.seq} was sealed by a clock that knew no time; it waits for an anchor of its boot"
            self._find(entry, "A8", "W", text, start=body.start, stop=stop)
            return
        if self.early.waits(entry.position) if only else self._comes_early(entry, batch, body):
            return
        self._place(self._taken(entry, batch, body, since), only)

    def _doubt(self, entry: Entry, batch: Batch, only: str | None) -> None:
        """Note a batch whose times a later anchor of its boot may move."""
        if retiming.anchor(batch.clock) is None and only is None:
            row = {"position": entry.position, "agent": batch.agent, "boot": batch.boot}
            self.connection.execute(insert(unsure).values(**row))
            self._unsure.add((batch.agent, batch.boot))

    def _comes_early(self, entry: Entry, batch: Batch, body: Intervals) -> bool:
        """Return whether a batch waits because it is labelled in the future; the first of its agent is a finding."""
        ahead = self.early.holds(entry, batch, body, anchors.own(batch, body))
        if ahead is not None and self.early.of(batch.agent) == [entry.position]:
            text, stop = (
                wait.sentence(batch, ahead, self.early.others(batch.agent, entry.received_at)),
                body.start + body.n * body.length,
            )
            self._find(entry, "A8", "W", text, start=body.start, stop=stop, observed=ahead, limit_=wait.MOST)
        return ahead is not None

    def _taken(self, entry: Entry, batch: Batch, body: Intervals, since: int) -> _Taken:
        return _Taken(entry, batch, body, since, BEHIND if self.overtaken.holds(entry) else 0)

    def _place(self, one: _Taken, only: str | None = None, by: Anchor | None = None) -> None:
        """Put a batch, or one meter of it, where its labels say, or an anchor: that it was sealed with, or a later."""
        by = by or anchors.own(one.batch, one.body)
        if only is None:
            self._expect(one.batch, one.body)
        for block in one.body.blocks:
            if only in (None, block.meter):
                self._block(one, block, by)

    def _expect(self, batch: Batch, body: Intervals) -> None:
        """Read at once where the series end that a batch goes on with."""
        for path in {block.source for block in body.blocks}:
            source = self.numbers.known_source(batch.agent, batch.epoch, path)
            if source is None:
                continue
            own = [block for block in body.blocks if block.source == path]
            for tails, part in ((self.registers, "registers"), (self.statistics, "stats")):
                names = ((block.meter, name) for block in own for name in getattr(block, part))
                tails.expect(source, self.numbers.known(batch.site, names))

    def _let_in(self, agent: str, positions: Sequence[int], since: int, *, doubted: bool = False) -> None:
        """Let in what waited because it was labelled in the future; if doubted, where no other clock has labelled."""
        for position in positions:
            for entry, batch, body in self._again(position):
                word = replace(batch, clock=replace(batch.clock, status="I")) if doubted else batch
                self._place(self._taken(entry, word, body, since), by=anchors.own(batch, body))
        self._waits_no_longer(agent, positions, since)

    def _waits_no_longer(self, agent: str, positions: Sequence[int], since: int) -> None:
        self.early.forget(positions)
        if not positions or self.early.of(agent):
            return
        self._flush()
        own = (finding.c.agent == agent) & finding.c.limit_.is_not(None) & finding.c.resolved_position.is_(None)
        told = select(finding.c.id).where(own, finding.c.rule == "A8", finding.c.made_by == MADE_BY)
        findings.resolve(self.connection, list(self.connection.execute(told).scalars()), since)

    def _again(self, position: int) -> Iterator[tuple[Entry, Batch, Intervals]]:
        """Give a batch of intervals that was taken before."""
        for entry, found in self._decoded(position):
            if isinstance(found.body, Intervals):
                yield entry, found, found.body

    def _decoded(self, position: int) -> Iterator[tuple[Entry, Batch]]:
        """Give a batch that was taken before, as far as this version can read it and its bytes are kept."""
        for entry in entries(self.connection, position, position + 1):
            with contextlib.suppress(Malformed):
                if entry.text is not None:
                    yield entry, batches.decode(envelope.payload(envelope.apart(entry.text)))

    def _retime_boot(self, entry: Entry, batch: Batch, by: Anchor, since: int) -> None:
        """Put what was sealed without a right clock where an anchor of the same boot says that it was."""
        if (batch.agent, batch.boot) not in self._unsure:
            return
        own = (unsure.c.agent == batch.agent) & (unsure.c.boot == batch.boot) & (unsure.c.position < entry.position)
        query = select(unsure.c.position).where(own).order_by(unsure.c.position)
        places = list(self.connection.execute(query).scalars())
        self._unsure.discard((batch.agent, batch.boot))
        self.write()
        self.connection.execute(delete(unsure).where(own))
        findings.settle(self.connection, "A8", MADE_BY, places, since)
        moved = []
        for old, found in (one for place in places for one in self._decoded(place)):
            body = found.body
            if isinstance(body, tuple):
                with contextlib.suppress(Malformed):  # which was a finding when it came
                    self.told.again(found, old.position, body, by)
            elif isinstance(body, Intervals) and retiming.off(body, by) is not None:
                self._move(self._taken(old, found, body, since), by)
                moved.append(old.position)
        self._waits_no_longer(batch.agent, moved, since)

    def _move(self, one: _Taken, by: Anchor) -> None:
        body = one.body
        for path in {block.source for block in body.blocks}:
            number = self.numbers.source(one.batch.agent, one.batch.epoch, path)
            stop = body.start + body.n * body.length
            raw.withdraw(self.connection, number, one.entry.position, body.start, stop, one.since)
        for block in body.blocks:
            self._block(one, block, by)

    def _block(self, one: _Taken, block: Block, by: Anchor | None) -> None:
        entry, batch, body, since = one.entry, one.batch, one.body, one.since
        stop = body.start + body.n * body.length
        start = body.start if by is None else retiming.true_start(body, by)
        rank = self.meters.rank(batch.site, block.meter, batch.agent, start, since)
        if rank is None:
            text = f"meter {block.meter!r} does not belong to agent {batch.agent!r} at that time"
            self._find(entry, "A3", "E", text, meter=block.meter, start=body.start, stop=stop)
            return
        source = self.numbers.source(batch.agent, batch.epoch, block.source)
        for piece in self._pieces(one, block, by, start):
            if one.quantity not in (None, piece.quantity):
                continue
            if piece.rule is not None:
                text = f"{block.meter}.{printable(piece.quantity)}: {printable(piece.text or '')}"
                self._find(entry, piece.rule, "E", text, meter=block.meter, start=body.start, stop=stop)
            if piece.segment is None:
                continue
            channel = self.numbers.channel(batch.site, piece.meter, piece.quantity)
            tails = self.statistics if piece.segment.enc == "stat" else self.registers
            tails.add(channel, source, piece.segment, since, rank + RANKS[block.source] + one.behind)

    def _pieces(self, one: _Taken, block: Block, by: Anchor | None, start: int) -> Iterator[blocks.Piece]:
        """Give what a block says, by the corrections that hold where its labels, or an anchor, say that it was."""
        body, site, known = one.body, one.batch.site, self._factors or ()

        def held(quantity: str) -> Fraction:
            return factor.at(known, site, block.meter, quantity, start)

        def spans(quantity: str) -> list[tuple[int, int, Fraction]]:
            if by is not None and retiming.shift(body, by) is None:
                return [(0, body.n, held(quantity))]
            return factor.runs(known, site, block.meter, quantity, start, body.length, body.n)

        found = blocks.pieces(one.batch, body, block, one.entry.position, one.since, spans)
        return found if by is None else retimed.pieces(found, body, block, by, held)

    def _record(self, entry: Entry, text: str) -> None:
        try:
            body = record.decode(envelope.payload(envelope.apart(text))).body
            if entry.kind == "meters":
                self._assign(meters.decode(body, entry.position), entry.position)
            elif entry.kind == "revocation":
                self._revoked(body, entry.position)
            elif entry.kind == "factor":
                self._correct(factor.decode(body, entry.position))
            elif entry.kind == "approval":
                self._heed(labels.decode(body), entry.position)
            elif entry.kind == "adoption":
                self._adopt(adopt.Adopted.of(body), entry.position)
            elif entry.kind == "outside":
                self._found += others.claim(self.meters, body, entry.position, MADE_BY)
        except Malformed as error:
            self._find(entry, "A4", "W", f"a record cannot be used by this version: {printable(str(error))}")

    def _heed(self, word: labels.Word | None, position: int) -> None:
        """Do as a person has said of labels that lay in the future."""
        if word is None:
            return
        places = self.early.of(word.agent, word.boots, before=position)
        if word.right:
            self._let_in(word.agent, places, position, doubted=True)
        else:
            self._waits_no_longer(word.agent, places, position)

    def _revoked(self, body: dict[str, object], position: int) -> None:
        """Note what a revoked key has signed since it may have been in other hands."""
        found = suspects.lost(body)
        if found is not None:
            suspects.mark(self.connection, self.numbers, found, position)

    def _correct(self, one: Correction) -> None:
        """Put the registers that a correction of a multiplier is about in the place of those that stand."""
        self._factors = [*(self._factors or []), one]
        self.write()
        meter = self.numbers.of_meter(one.site, one.meter)
        numbers = [number for quantity, number in meter.items() if one.quantity in (None, quantity)]
        for place in factors.batches_of(self.connection, self.numbers, one):
            for entry, batch, body in self._again(place):
                later = anchors.since(self.connection, place, one.position)
                by = anchors.own(batch, body)
                if by is None and later is not None and retiming.off(body, later[1]) is not None:
                    by = later[1]
                first, stop = retiming.placed(body, by)
                for path in {block.source for block in body.blocks if block.meter == one.meter}:
                    source = self.numbers.source(batch.agent, batch.epoch, path)
                    raw.withdraw(self.connection, source, place, first, stop, one.position, numbers)
                taken = replace(self._taken(entry, batch, body, one.position), quantity=one.quantity)
                self._place(taken, one.meter, by)

    def _assign(self, assignments: Sequence[meters.Assignment], position: int) -> None:
        """Load a meter table, and let in what had waited for it."""
        self.meters.load(assignments)
        self._flush()
        names = sorted({one.meter for one in assignments})
        waiting = select(finding.c.id, finding.c.position, finding.c.meter).where(
            finding.c.rule == "A3", finding.c.made_by == MADE_BY, finding.c.meter.in_(names),
            finding.c.resolved_position.is_(None),
        )  # fmt: skip
        rows = self.connection.execute(waiting.order_by(finding.c.position, finding.c.id)).all()
        findings.resolve(self.connection, [row.id for row in rows], position)
        for place, meter in dict.fromkeys((row.position, row.meter) for row in rows):
            for entry in entries(self.connection, place, place + 1):
                if entry.text is not None:
                    self._batch(entry, entry.text, position, only=meter)

    def _adopt(self, adopted: adopt.Adopted, position: int) -> None:
        """Let in what was kept out of an epoch that a person has adopted, or of its fork."""
        self._flush()
        positions = adopt.kept_out(self.connection, adopted, position)
        findings.settle(self.connection, "A2", MADE_BY, positions, position)
        for place in positions:
            for entry in entries(self.connection, place, place + 1):
                if entry.text is not None:
                    self._batch(entry, entry.text, position)

    def _flush(self) -> None:
        findings.write(self.connection, self._found)
        self._found = []

    def write(self) -> None:
        """Write everything that was added."""
        self.registers.write()
        self.statistics.write()
        self._flush()
        self.told.write()
