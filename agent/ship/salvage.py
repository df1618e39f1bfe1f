"""What of a damaged outbox can go on. Pure.

Rules of this file: a batch counts only if its signature proves it, or a proved successor names its hash; the chain goes
on only where nothing is missing between it and what the collector has; what lies beyond a hole is true but can never
continue that chain, so it is sealed again in the next epoch; what is lost is named.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agent.ship.mark import Marks, checksum
from agent.ship.pages import Record, records
from shared import batch, envelope, rotation
from shared.batch import Batch, Gap, Head, KeyRotate, Place
from shared.envelope import digest
from shared.errors import TrustError
from shared.intervals import Intervals
from shared.keys import Verifier

REASON = "outbox_damaged"
#: No time of ours is before 2020; what says so is damage. [UTC us]
_EARLIEST = 1_577_836_800_000_000


@dataclass(frozen=True, slots=True)
class Row:
    """One batch that is proved."""

    row: int
    head: Head
    text: str
    created: int
    acked: int | None


@dataclass(slots=True)
class Found:
    """What was read."""

    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    kept: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of it: rows that stay in their order, batches to seal again, the place that the next epoch names."""

    rows: tuple[Row, ...]
    again: tuple[str, ...]
    previous: Place | None
    lost: tuple[tuple[str, int, int], ...]  # epoch, first and last sequence
    gaps: tuple[Gap, ...]


def read(database: bytes, journal: bytes, *keys: Verifier) -> Found:
    """Return what is proved in the bytes of an outbox and its write-ahead log; `keys` are those of this gateway."""
    found, texts = Found(), dict[str, Record]()
    for one in records(database, journal):
        match one.values:
            case (None, str(), int(), str(), int(), str(text), None | int()):
                texts[text] = one  # the newest page comes last
            case (str(name), str(value), *rest):
                if rest and rest[0] == checksum(name, value):
                    found.kept[name] = json.loads(value)
    for row in _proved(texts, {key.kid: key for key in keys}):
        found.rows[row.head.epoch, row.head.seq] = row
    return found


def _proved(texts: Mapping[str, Record], ring: dict[str, Verifier]) -> Iterator[Row]:
    """Give the batches that the enrolled key signed, or one that it handed over to, or that those name."""
    left, named = dict(texts), set[bytes]()
    grows = True
    while grows:
        grows = False
        for text, record in list(left.items()):
            head = _believed(text, ring, named)
            if head is not None:
                del left[text]
                named.add(head.prev)
                grows = True
                yield _row(record, head, text)


def _believed(text: str, ring: dict[str, Verifier], named: set[bytes]) -> Head | None:
    try:
        if digest(text) in named:
            return batch.head(envelope.payload(envelope.apart(text)))
        payload = envelope.believe(text, envelope.BATCH, ring)
        head = batch.head(payload)
        if head.kind == "key_rotate":
            body = batch.decode(payload).body
            if isinstance(body, KeyRotate):
                following = rotation.successor(head.agent, head.epoch, head.seq, body)
                ring[following.kid] = following
    except (TrustError, UnicodeEncodeError):
        return None
    return head


def _row(record: Record, head: Head, text: str) -> Row:
    created, acked = record.values[4], record.values[6]
    assert isinstance(created, int)  # noqa: S101 - `read` took only such
    good = isinstance(acked, int) and acked >= _EARLIEST
    return Row(record.row, head, text, created, acked if good and isinstance(acked, int) else None)


def plan(found: Found, marks: Marks, now: int) -> Plan:
    """Return what becomes of it. now: [UTC s]"""
    stays, again, lost, previous = list[Row](), list[Row](), list[tuple[str, int, int]](), None
    for epoch in _epochs(found, marks):
        rows = {seq: row for (whose, seq), row in found.rows.items() if whose == epoch}
        place, top = _chain(epoch, rows, marks)
        acked = _acked(epoch, rows, marks)
        stays += [_marked(row, now if seq <= acked else None) for seq, row in sorted(rows.items()) if seq <= place.seq]
        again += [row for seq, row in sorted(rows.items()) if seq > place.seq]
        known = {*rows, *range(1, acked + 1)}
        lost += [(epoch, *span) for span in _spans(seq for seq in range(1, top + 1) if seq not in known)]
        previous = place if place.seq and place.hash else previous
    wall = _wall(found, now)
    return Plan(tuple(stays), tuple(row.text for row in again), previous, tuple(lost), tuple(_gaps(found, lost, wall)))


def _marked(row: Row, now: int | None) -> Row:
    """Return a row marked as all up to an acknowledged one are, or as waiting. now: [UTC s]"""
    return replace(row, acked=None if now is None else row.acked or now * 1_000_000)


def _epochs(found: Found, marks: Marks) -> list[str]:
    """Return the epochs in the order in which they were sealed."""
    order = {epoch: row.row for (epoch, _), row in sorted(found.rows.items(), key=lambda one: one[1].row)}
    newest = [one.epoch for one in (marks.acked, marks.head) if one is not None]
    return list(dict.fromkeys([*(one for one in order if one not in newest), *newest]))


def _acked(epoch: str, rows: Mapping[int, Row], marks: Marks) -> int:
    """Return up to where the collector has an epoch, as far as is known: its receipts are cumulative."""
    noted = marks.acked.seq if marks.acked is not None and marks.acked.epoch == epoch else 0
    return max((noted, *(seq for seq, row in rows.items() if row.acked is not None)))


def _chain(epoch: str, rows: Mapping[int, Row], marks: Marks) -> tuple[Place, int]:
    """Return the last place that can be continued, and the last that was ever sealed."""
    seq = _acked(epoch, rows, marks)
    noted = marks.acked is not None and (marks.acked.epoch, marks.acked.seq) == (epoch, seq)
    if seq in rows:
        hashed = digest(rows[seq].text)
    elif noted and marks.acked is not None:
        hashed = marks.acked.hash
    else:
        hashed = rows[seq + 1].head.prev if seq + 1 in rows else b""
    while seq + 1 in rows and rows[seq + 1].head.prev == hashed:
        seq, hashed = seq + 1, digest(rows[seq + 1].text)
    sealed = marks.head.seq if marks.head is not None and marks.head.epoch == epoch else 0
    return Place(epoch, seq, hashed), max((seq, sealed, *rows))


def _spans(seqs: Iterator[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for seq in seqs:
        if last is not None and seq == last + 1:
            last = seq
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = seq
    if first is not None and last is not None:
        yield first, last


def _wall(found: Found, now: int) -> int:
    """Return from when on the builder names by itself what is missing. [UTC s]"""
    state = found.kept.get("state")
    wall = state.get("wall") if isinstance(state, dict) else None
    return wall if isinstance(wall, int) else now


def _gaps(found: Found, lost: Sequence[tuple[str, int, int]], wall: int) -> Iterator[Gap]:
    """Give what the lost batches held, as far as the batches around them tell: the time between them, by register."""
    told = [(row.head.epoch, row.head.seq, body) for row in sorted(found.rows.values(), key=lambda one: one.row)
            if isinstance(body := decoded(row.text).body, Intervals)]  # fmt: skip
    for epoch, first, last in lost:
        ends, starts = dict[tuple[str, str], int](), dict[tuple[str, str], int]()
        for whose, seq, body in told:
            if whose == epoch and seq < first:
                ends |= dict.fromkeys(_registers(body), body.start + body.n * body.length)
            elif whose == epoch and seq > last:
                starts = dict.fromkeys(_registers(body), body.start) | starts
        for register, end in ends.items():
            stop = starts.get(register, wall)
            if stop > end:
                yield Gap(*register, end, stop, REASON)


def _registers(body: Intervals) -> Iterator[tuple[str, str]]:
    return ((block.meter, quantity) for block in body.blocks for quantity in block.registers)


def decoded(text: str) -> Batch:
    """Return what a proved batch says."""
    return batch.decode(envelope.payload(envelope.apart(text)))
