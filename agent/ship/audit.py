"""Whether an outbox still holds what was written: looked at before each start.

Rules of this file: what is not acknowledged must prove itself and continue its chain, for nobody else has it; what the
next intervals build on must be as it was kept; nothing that was acknowledged may follow what was not; and the outbox
may not be older than the note beside it. Anything else is damage, and is salvaged rather than sent.
"""

import json
from collections.abc import Iterator

from agent.ship.mark import Marks, checksum
from agent.ship.outbox import Outbox
from shared import batch, envelope, rotation
from shared.batch import Head, KeyRotate, Seen
from shared.envelope import Envelope
from shared.errors import Damaged, TrustError
from shared.keys import Verifier

_EARLIEST = 1_577_836_800_000_000  # no time of ours is before 2020 [UTC us]


def check(outbox: Outbox, key: Verifier, marks: Marks, *own: Verifier) -> None:
    """Believe that an outbox is as it was left.

    Args:
        outbox: An open outbox whose pages SQLite has found good.
        key: The enrolled signing key.
        marks: The note beside it.
        own: The keys that followed the enrolled one, as far as they are known beside the outbox.

    Raises:
        Damaged: it is not.
    """
    _kept(outbox)
    if outbox.get("epoch") is None:
        if outbox.get("enrolment_pending") is None or outbox.count()["sealed"]:
            raise Damaged(f"{outbox.path}: the outbox does not know its epoch; it was emptied")
        return
    _flags(outbox)
    _waiting(outbox, {one.kid: one for one in (key, *own)})
    _newest(outbox, marks)


def _kept(outbox: Outbox) -> None:
    for name, value, total in outbox.rows("SELECT name, value, sum FROM kept"):
        if not _is_json(value) or total not in (None, checksum(name, value)):
            raise Damaged(f"{outbox.path}: the kept value {name!r} is not what was written")


def _is_json(value: str) -> bool:
    try:
        json.loads(value)
    except (ValueError, TypeError):
        return False
    return True


def _flags(outbox: Outbox) -> None:
    wrong = (
        "SELECT one.seq FROM batch one WHERE acked IS NOT NULL AND (acked < ? OR EXISTS"
        " (SELECT 1 FROM batch other WHERE other.acked IS NULL AND other.epoch = one.epoch AND other.seq < one.seq))"
    )
    found = outbox.rows(f"{wrong} LIMIT 1", (_EARLIEST,))
    if found:
        raise Damaged(f"{outbox.path}: batch {found[0][0]} is marked as acknowledged, and was not")


def _waiting(outbox: Outbox, ring: dict[str, Verifier]) -> None:
    """Believe the batches that nobody else has, and the newest, which the next one names."""
    before: tuple[str, int, bytes] | None = None
    told: Seen | None = None
    for epoch, seq, text in _unproved(outbox):
        try:
            found = envelope.apart(text)
            head = _head(found, ring)
        except (TrustError, ValueError, TypeError, AttributeError) as error:
            raise Damaged(f"{outbox.path}: batch {seq} does not prove itself ({error})") from error
        follows = before is None or before[0] != epoch or (seq, head.prev) == (before[1] + 1, before[2])
        if (head.epoch, head.seq) != (epoch, seq) or not follows:
            raise Damaged(f"{outbox.path}: batch {seq} stands where another one belongs")
        if head.seen is not None and head.seen != told:
            _witnessed(outbox, seq, head.seen)
            told = head.seen
        before = epoch, seq, found.digest


def _witnessed(outbox: Outbox, seq: int, told: Seen) -> None:
    """Believe a kept checkpoint that a batch reports under our signature: a damaged one would accuse the collector."""
    kept = outbox.seen(told.size).get(told.size)
    if kept is not None and kept.log == told.log and kept.root != told.root:
        raise Damaged(f"{outbox.path}: the checkpoint of {told.size} leaves is not the one that batch {seq} reports")


def _unproved(outbox: Outbox) -> Iterator[tuple[str, int, str]]:
    """Give them in order, a few at a time: a backlog may be larger than the memory."""
    query = (
        "SELECT id, epoch, seq, jws FROM batch"
        " WHERE id > ? AND (acked IS NULL OR id = (SELECT MAX(id) FROM batch)) ORDER BY id LIMIT 16"
    )
    last = 0
    while rows := outbox.rows(query, (last,)):
        for last, epoch, seq, text in rows:  # noqa: B007 - the last one is where the next few begin
            yield epoch, seq, text


def _head(found: Envelope, ring: dict[str, Verifier]) -> Head:
    """Return the head of a batch; one of a key whose beginning was pruned is believed by what follows it."""
    payload = envelope.believe_parts(found, envelope.BATCH, ring) if found.kid in ring else envelope.payload(found)
    head = batch.head(payload)
    body = batch.decode(payload).body if head.kind == "key_rotate" else None
    if isinstance(body, KeyRotate):
        following = rotation.successor(head.agent, head.epoch, head.seq, body)
        ring[following.kid] = following
    return head


def _newest(outbox: Outbox, marks: Marks) -> None:
    noted, head = marks.head, outbox.head()
    if noted is None:
        return
    known = {row[0] for row in outbox.rows("SELECT DISTINCT epoch FROM batch")} | {head.epoch}
    if head.previous_epoch is not None:
        known.add(head.previous_epoch.epoch)
    if noted.epoch not in known or (noted.epoch == head.epoch and noted.seq > head.seq):
        raise Damaged(f"{outbox.path}: the outbox is older than what was sealed: batch {noted.seq} is gone")
