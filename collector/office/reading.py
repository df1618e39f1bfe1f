"""A channel's intervals for whoever asks: versions, and where VEE was not yet the register's own values.

Rules of this file: what no version speaks of and no register gives is MISSING; a raw value is RAW, whatever it looks
like; nothing is estimated here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select, union

from collector.office import terms
from collector.office.columns import Columns
from collector.series import factors, raw, versions
from collector.series.channels import Channel
from collector.series.codec import Bools, Ints
from collector.series.registers import interval_flags
from collector.series.versions import Values
from collector.store.prepared import Prepared
from collector.store.schema import channel as table
from collector.store.schema import raw_segment, stat_segment, version_segment
from collector.vee.series import HAS_VALUE
from shared.quantity import INT64_MAX
from shared.status import Status

# Prepared: to build a statement costs more than to run it.
_NUMBER = Prepared(
    select(table.c.id).where(
        table.c.site == bindparam("own_site"), table.c.meter == bindparam("own_meter"),
        table.c.quantity == bindparam("own_quantity"),
    )
)  # fmt: skip
_LENGTHS = Prepared(
    union(*(
        select(one.c.length).where(one.c.channel_id == bindparam("own"))
        for one in (raw_segment, stat_segment, version_segment)
    ))
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """Intervals of one length over [start, stop), as the tree of a size tells them; None is all that is known."""

    start: int  # [UTC s]
    stop: int
    length: int  # [s]
    as_of: int | None = None


def number_of(connection: Connection, channel: terms.Channel) -> int | None:
    """Return the number of a channel in the database, None where nothing was ever heard of it."""
    own = {"own_site": channel.site, "own_meter": channel.meter, "own_quantity": channel.quantity.name}
    found = _NUMBER.rows(connection, own)
    return int(found[0].id) if found else None


def lengths(connection: Connection, number: int) -> list[int]:
    """Return the lengths of a channel's intervals, the shortest first. [s]"""
    return sorted(row.length for row in _LENGTHS.rows(connection, {"own": number}))


def read(connection: Connection, channel: terms.Channel, number: int, span: Span, position: int) -> Columns:
    """Return the intervals of a channel, whose number in the database is known."""
    found = versions.read(connection, number, span.start, span.stop, span.length, span.as_of)
    status, flags, values = found.status, found.flags, found.values
    fresh, counts, marks = _unversioned(connection, channel, number, span, found)
    if fresh.any():
        values[fresh], status[fresh], flags[fresh] = counts[fresh], Status.RAW, marks[fresh]
    return Columns(
        channel.text, channel.quantity.unit, span.start, span.length, position, values, HAS_VALUE.take(status), status,
        found.methods, found.method, flags,
    )  # fmt: skip


def _unversioned(
    connection: Connection, channel: terms.Channel, number: int, span: Span, found: Values
) -> tuple[Bools, Ints, NDArray[np.uint32]]:
    """Return where only the register speaks, and its values and flags."""
    without = found.positions < 0
    if not without.any():
        return without, found.values, found.flags
    if channel.quantity.kind == "statistic":
        sent = raw.read_statistic(connection, number, span.start, span.stop, span.length, span.as_of)
        size = INT64_MAX if span.as_of is None else span.as_of
        own = Channel(number, channel.site, channel.meter, channel.quantity.name)
        counts, known = factors.of_statistic(factors.read(connection, size), own, span.start, span.length, *sent)
        return without & known, counts, np.zeros(len(counts), np.uint32)
    register = raw.read(connection, number, span.start, span.stop, span.length, span.as_of)
    flags = interval_flags(register).astype(np.uint32)
    return without & register.values_known, register.values, flags
