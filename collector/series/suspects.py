"""What a key has signed since somebody else may have had it: spans of channels, from the revocation's position on.

Where another gateway's read was used for a boundary, nothing rests on the doubted key.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, insert, select

from collector.series.channels import Numbers
from collector.series.codec import Bools
from collector.series.early import is_ahead, said
from collector.series.registers import Registers
from collector.store.schema import ledger, ledger_bytes, suspect
from shared import batch as batches
from shared import envelope, retiming
from shared.batch import Batch
from shared.errors import Malformed
from shared.intervals import Intervals
from shared.retiming import Anchor

Span = tuple[int, int, int, int, int]  # channel, length [s], start, stop [UTC s], position of the first batch


@dataclass(frozen=True, slots=True)
class Lost:
    """A key that is revoked, and since when it may have been in other hands."""

    kid: str
    since: int  # [UTC us]


@dataclass(frozen=True, slots=True)
class _Signed:
    """A batch of a key."""

    position: int
    received: int  # [UTC us]
    batch: Batch


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
    for at, one in enumerate(signed):
        batch = one.batch
        if isinstance(batch.body, Intervals) and max(one.received, batch.created) >= found.since:
            count += 1
            by = _moved_by(batch, batch.body, signed[at:])
            spans.update((*span, one.position) for span in _spans(numbers, batch, batch.body, by))
    rows = [
        {"channel_id": channel, "length": length, "start": start, "stop": stop, "position": position,
         "kid": found.kid, "first": first}
        for channel, length, start, stop, first in _joined(spans)
    ]  # fmt: skip
    if rows:
        connection.execute(insert(suspect), rows)
    return count


def _signed(connection: Connection, kid: str, position: int) -> Iterator[_Signed]:
    """Give each batch of a key, as far as it can be read."""
    query = (
        select(ledger.c.position, ledger.c.received_at, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.kid == kid, ledger.c.typ == "batch", ledger.c.position < position)
        .order_by(ledger.c.position)
    )
    for row in connection.execute(query):
        try:
            found = batches.decode(envelope.payload(envelope.apart(str(row.jws))))
        except Malformed:
            continue  # it gave no number
        yield _Signed(row.position, row.received_at, found)


def _moved_by(batch: Batch, body: Intervals, following: Iterable[_Signed]) -> Anchor | None:
    """Return the anchor that has moved the labels of a batch, None where they stand: its own, or a later one."""
    by = retiming.anchor(batch.clock)
    if by is not None and not retiming.unsure(batch.clock):
        return None
    same = (one.batch for one in following
            if (one.batch.agent, one.batch.boot) == (batch.agent, batch.boot)
            and not is_ahead(said(one.batch), one.received))  # fmt: skip
    by = by or next((found for one in same if (found := retiming.anchor(one.clock)) is not None), None)
    return None if by is None or retiming.off(body, by) is None else by


def _spans(
    numbers: Numbers, batch: Batch, body: Intervals, by: Anchor | None
) -> Iterator[tuple[int, int, int, int]]:  # fmt: skip
    start, stop = retiming.placed(body, by)
    for block in body.blocks:
        if batches.NAME.match(block.meter):
            for quantity in block.registers:
                yield numbers.channel(batch.site, block.meter, quantity), body.length, start, stop


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Give spans that touch or overlap as one."""
    last: Span | None = None
    for channel, length, start, stop, first in sorted(spans):
        if last is not None and last[:2] == (channel, length) and start <= last[3]:
            last = (channel, length, last[2], max(stop, last[3]), min(first, last[4]))
            continue
        if last is not None:
            yield last
        last = (channel, length, start, stop, first)
    if last is not None:
        yield last


def touched(connection: Connection, first: int) -> dict[tuple[int, int], int]:
    """Return the first second that became suspect at or after a position, by channel and length. [UTC s]"""
    query = select(suspect.c.channel_id, suspect.c.length, func.min(suspect.c.start).label("start"))
    rows = connection.execute(
        query.where(suspect.c.position >= first).group_by(suspect.c.channel_id, suspect.c.length)
    )  # fmt: skip
    return {(row.channel_id, row.length): row.start for row in rows}


def read(connection: Connection, channel: int, seen: Registers) -> Bools:
    """Return which intervals of a channel are suspect: those that rest on a read which a doubted key has signed."""
    found = np.zeros(seen.n, dtype=np.bool_)
    own = (suspect.c.channel_id == channel) & (suspect.c.length == seen.length)
    span = (suspect.c.start < seen.start + seen.n * seen.length) & (suspect.c.stop > seen.start)
    for row in connection.execute(select(suspect).where(own & span)):
        here = slice(max(row.start - seen.start, 0) // seen.length, max(row.stop - seen.start, 0) // seen.length)
        found[here] |= True if row.kid is None else _rest_on(connection, row.kid, row.first, seen)[here]
    return found


def _rest_on(connection: Connection, kid: str, first: int, seen: Registers) -> Bools:
    """Return which intervals begin or end with a read that a key has signed at or after a position."""
    last = int(seen.positions.max(initial=-1))
    signed = select(ledger.c.position).where(
        ledger.c.kid == kid, ledger.c.typ == "batch", ledger.c.position >= first, ledger.c.position <= last
    )
    doubted = np.isin(seen.positions, list(connection.execute(signed).scalars()))
    return doubted[1:] | doubted[:-1]
