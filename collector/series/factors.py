"""Dated corrections of multipliers, as the projection knows them: those of records that it has passed."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, select

from collector.series.channels import Numbers
from collector.series.codec import RAW, unpack
from collector.store.schema import ledger, ledger_bytes, raw_segment
from shared import envelope, factor, record
from shared.errors import Malformed
from shared.factor import Correction


def read(connection: Connection, size: int) -> list[Correction]:
    """Return the corrections below a log size, in its order; what this version cannot read is left out."""
    query = (
        select(ledger.c.position, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.typ == "record", ledger.c.kind == "factor", ledger.c.position < size)
        .order_by(ledger.c.position)
    )
    return list(_decoded((int(row.position), str(row.jws)) for row in connection.execute(query)))


def _decoded(rows: Iterable[tuple[int, str]]) -> Iterator[Correction]:
    for position, text in rows:
        try:
            yield factor.decode(record.decode(envelope.payload(envelope.apart(text))).body, position)
        except Malformed:
            continue


def batches_of(connection: Connection, numbers: Numbers, one: Correction) -> list[int]:
    """Return the positions of the batches whose registers a correction changes, in the order of the log."""
    own = numbers.of_meter(one.site, one.meter)
    channels = [number for quantity, number in own.items() if one.quantity in (None, quantity)]
    query = select(raw_segment.c.start, raw_segment.c.length, raw_segment.c.blob).where(
        raw_segment.c.channel_id.in_(channels),
        raw_segment.c.start + raw_segment.c.n * raw_segment.c.length >= one.start,
    )
    if one.stop is not None:
        query = query.where(raw_segment.c.start <= one.stop)
    found: set[int] = set()
    for row in connection.execute(query):
        records = unpack(row.blob, RAW)
        found |= set(records["position"][records["known"] != 0].tolist())
    return sorted(found)
