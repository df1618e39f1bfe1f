"""Which later batch told what time it was in a boot: for what was let in after that, and for its evidence."""

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, select

from collector.intake.admit import State
from collector.series.early import is_ahead, said
from collector.store.schema import ledger, ledger_bytes
from shared import batch as batches
from shared import envelope, retiming
from shared.batch import Batch
from shared.errors import Malformed
from shared.intervals import Intervals
from shared.retiming import Anchor

_STATES = (State.ADMITTED, State.HELD, State.FROZEN)
_AT_ONCE = 200


def own(batch: Batch, body: Intervals) -> Anchor | None:
    """Return the anchor of a batch whose clock stepped while it was open, where its labels are wrong by it."""
    by = retiming.anchor(batch.clock)
    return by if by is not None and retiming.unsure(batch.clock) and retiming.off(body, by) is not None else None


def since(connection: Connection, position: int, before: int) -> tuple[int, Anchor] | None:
    """Return the first anchor of a batch's boot that came after it and before a position, with its own position."""
    first = next(_batches(connection, ledger.c.position == position), None)
    if first is None:
        return None
    agent, boot = first[2].agent, first[2].boot
    while position < before:
        own = (ledger.c.agent == agent) & (ledger.c.position > position) & (ledger.c.position < before)
        found = list(_batches(connection, own & ledger.c.state.in_(_STATES)))
        for place, received, one in found:
            by = None if is_ahead(said(one), received) else retiming.anchor(one.clock)
            if one.boot != boot:
                return None
            if by is not None:
                return place, by
        position = found[-1][0] if found else before
    return None


def behind_record(connection: Connection, position: int, let_in: int) -> int | None:
    """Return where the anchor stands that moved a batch which a record let in later; None where no record did."""
    typ = connection.execute(select(ledger.c.typ).where(ledger.c.position == let_in)).scalar_one_or_none()
    found = None if typ != "record" else since(connection, position, let_in)
    return None if found is None else found[0]


def _batches(connection: Connection, where: ColumnElement[bool]) -> Iterator[tuple[int, int, Batch]]:
    """Give position, time of arrival [UTC us] and content of the next batches, as far as they can be read."""
    query = (
        select(ledger.c.position, ledger.c.received_at, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(where, ledger.c.typ == "batch")
        .order_by(ledger.c.position)
        .limit(_AT_ONCE)
    )
    for row in connection.execute(query).all():
        try:
            yield row.position, row.received_at, batches.decode(envelope.payload(envelope.apart(row.jws)))
        except Malformed:
            continue
