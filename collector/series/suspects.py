"""What a key has signed since somebody else may have had it: spans of channels, from the revocation's position on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, insert, select

from collector.series.channels import Numbers
from collector.series.codec import Bools
from collector.series.early import is_ahead, said
from collector.store.schema import ledger, ledger_bytes, suspect
from shared import batch as batches
from shared import envelope, retiming
from shared.batch import Batch
from shared.errors import Malformed
from shared.intervals import Intervals
from shared.retiming import Anchor

Span = tuple[int, int, int, int]  # channel, length [s], start, stop [UTC s]


@dataclass(frozen=True, slots=True)
class Lost:
    """A key that is revoked, and since when it may have been in other hands."""

    kid: str
    since: int  # [UTC us]


def lost(body: dict[str, object]) -> Lost | None:
    """Return what a revocation record says of the time before it; None where it says nothing.

    Raises:
        Malformed: it says it in no form that this version knows.
    """
    kid, since = body.get("kid"), body.get("compromised_since")
    if since is None:
        return None
    if not isinstance(kid, str) or not isinstance(since, int) or since < 0:
        raise Malformed("a revocation names no key, or no time since which it was compromised")
    return Lost(kid, since)


def mark(connection: Connection, numbers: Numbers, found: Lost, position: int) -> int:
    """Note all intervals whose batch that key signed and that was created or received since; return how many batches.

    The clock of whoever has the key says nothing: what was received since then counts whenever it claims to be from.
    """
    spans: set[Span] = set()
    count = 0
    signed = list(_signed(connection, found.kid, position))
    for at, (received, batch) in enumerate(signed):
        if isinstance(batch.body, Intervals) and max(received, batch.created) >= found.since:
            count += 1
            by = _moved_by(batch, batch.body, signed[at:])
            spans.update(_spans(numbers, batch, batch.body, by))
    rows = [
        {"channel_id": channel, "length": length, "start": start, "stop": stop, "position": position}
        for channel, length, start, stop in _joined(spans)
    ]
    if rows:
        connection.execute(insert(suspect), rows)
    return count


def _signed(connection: Connection, kid: str, position: int) -> Iterator[tuple[int, Batch]]:
    """Give when each batch of a key was received, and what it says. [UTC us]"""
    query = (
        select(ledger.c.received_at, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.kid == kid, ledger.c.typ == "batch", ledger.c.position < position)
        .order_by(ledger.c.position)
    )
    for row in connection.execute(query):
        try:
            yield row.received_at, batches.decode(envelope.payload(envelope.apart(str(row.jws))))
        except Malformed:
            continue  # it gave no number


def _moved_by(batch: Batch, body: Intervals, following: Iterable[tuple[int, Batch]]) -> Anchor | None:
    """Return the anchor that has moved the labels of a batch, None where they stand: its own, or a later one."""
    by = retiming.anchor(batch.clock)
    if by is not None and not retiming.unsure(batch.clock):
        return None
    same = (one for received, one in following
            if (one.agent, one.boot) == (batch.agent, batch.boot) and not is_ahead(said(one), received))  # fmt: skip
    by = by or next((found for one in same if (found := retiming.anchor(one.clock)) is not None), None)
    return None if by is None or retiming.off(body, by) is None else by


def _spans(numbers: Numbers, batch: Batch, body: Intervals, by: Anchor | None) -> Iterator[Span]:
    start, stop = retiming.placed(body, by)
    for block in body.blocks:
        if batches.NAME.match(block.meter):
            for quantity in block.registers:
                yield numbers.channel(batch.site, block.meter, quantity), body.length, start, stop


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Give spans that touch or overlap as one."""
    last: Span | None = None
    for channel, length, start, stop in sorted(spans):
        if last is not None and last[:2] == (channel, length) and start <= last[3]:
            last = (channel, length, last[2], max(stop, last[3]))
            continue
        if last is not None:
            yield last
        last = (channel, length, start, stop)
    if last is not None:
        yield last


def touched(connection: Connection, first: int) -> dict[tuple[int, int], int]:
    """Return the first second that became suspect at or after a position, by channel and length. [UTC s]"""
    query = select(suspect.c.channel_id, suspect.c.length, func.min(suspect.c.start).label("start"))
    rows = connection.execute(
        query.where(suspect.c.position >= first).group_by(suspect.c.channel_id, suspect.c.length)
    )  # fmt: skip
    return {(row.channel_id, row.length): row.start for row in rows}


def read(connection: Connection, channel: int, start: int, stop: int, length: int) -> Bools:
    """Return which intervals of a span are suspect. [UTC s]"""
    found = np.zeros((stop - start) // length, dtype=np.bool_)
    own = (suspect.c.channel_id == channel) & (suspect.c.length == length)
    span = (suspect.c.start < stop) & (suspect.c.stop > start)
    for row in connection.execute(select(suspect.c.start, suspect.c.stop).where(own & span)):
        found[max(row.start - start, 0) // length : max(row.stop - start, 0) // length] = True
    return found
