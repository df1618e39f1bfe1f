"""What a key has signed since somebody else may have had it: spans of channels, from the revocation's position on."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, insert, select

from collector.series.channels import Numbers
from collector.series.codec import Bools
from collector.store.schema import ledger, ledger_bytes, suspect
from shared import batch as batches
from shared import envelope
from shared.batch import Batch
from shared.errors import Malformed
from shared.intervals import Intervals

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
    for batch, body in _signed(connection, found, position):
        count += 1
        spans.update(_spans(numbers, batch, body))
    rows = [
        {"channel_id": channel, "length": length, "start": start, "stop": stop, "position": position}
        for channel, length, start, stop in _joined(spans)
    ]
    if rows:
        connection.execute(insert(suspect), rows)
    return count


def _signed(connection: Connection, found: Lost, position: int) -> Iterator[tuple[Batch, Intervals]]:
    query = (
        select(ledger.c.received_at, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.kid == found.kid, ledger.c.typ == "batch", ledger.c.position < position)
        .order_by(ledger.c.position)
    )
    for row in connection.execute(query):
        try:
            one = batches.decode(envelope.payload(envelope.apart(str(row.jws))))
        except Malformed:
            continue  # it gave no number
        if isinstance(one.body, Intervals) and max(row.received_at, one.created) >= found.since:
            yield one, one.body


def _spans(numbers: Numbers, batch: Batch, body: Intervals) -> Iterator[Span]:
    stop = body.start + body.n * body.length
    for block in body.blocks:
        if batches.NAME.match(block.meter):
            for quantity in block.registers:
                yield numbers.channel(batch.site, block.meter, quantity), body.length, body.start, stop


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
