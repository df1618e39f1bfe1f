"""Dated corrections of multipliers, as the projection knows them: those of records that it has passed."""

import contextlib

from sqlalchemy import Connection, select

from collector.intake import records
from collector.series.channels import Numbers
from collector.series.codec import RAW, unpack
from collector.store.schema import raw_segment
from shared import factor
from shared.errors import Malformed
from shared.factor import Correction


def read(connection: Connection, size: int) -> list[Correction]:
    """Return the corrections below a log size, in its order; what this version cannot read is left out."""
    found = []
    for position, one in records.every(connection, "factor", size):
        with contextlib.suppress(Malformed):
            found.append(factor.decode(one.body, position))
    return found


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
        boundaries = unpack(row.blob, RAW)
        found |= set(boundaries["position"][boundaries["known"] != 0].tolist())
    return sorted(found)
