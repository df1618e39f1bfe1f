"""Raw segments in the database: grown at their end, read a month in a few rows.

A segment grows while its source goes on without a break, up to `MOST` intervals; so a month of five-minute values
is some 180 rows although an agent may seal every interval alone (facts/performance.md F and H).
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from sqlalchemy import Connection, Table, bindparam, insert, select, true, update

from collector.series.codec import RAW, STAT, Bools, Ints, Records, chained, pack, unpack
from collector.series.overtaken import BEHIND
from collector.series.registers import Registers, Segment, agree, empty, finer, join, same_register
from collector.series.registers import select as choose
from collector.store.prepared import Prepared
from collector.store.schema import channel, raw_segment, source, stat_segment
from shared.quantity import INT64_MAX, QUANTITIES
from shared.registers import Mark

MOST = 64
_SEAM = int(Mark.SEAM)
_REGISTER, _FLAGS, _KNOWN = (RAW.names.index(name) for name in ("register", "flags", "known"))  # type: ignore[union-attr] # it has names

# Built once: to build a statement costs more than to run it.
_OF_CHANNEL = raw_segment.c.channel_id == bindparam("channel")
_SEGMENTS = (
    select(raw_segment)
    .where(_OF_CHANNEL, raw_segment.c.length % bindparam("length") == 0)  # coarser ones know boundaries too
    .where(raw_segment.c.start <= bindparam("stop"), raw_segment.c.start >= bindparam("first"))
    .where(raw_segment.c.start + raw_segment.c.n * raw_segment.c.length >= bindparam("start"))
    .order_by(raw_segment.c.rank, raw_segment.c.source_id, raw_segment.c.start, raw_segment.c.id)
)
_STATISTICS = (
    select(stat_segment.c.start, stat_segment.c.blob)
    .join(source, source.c.id == stat_segment.c.source_id)
    .where(stat_segment.c.channel_id == bindparam("channel"), stat_segment.c.length == bindparam("length"))
    .where(stat_segment.c.start < bindparam("stop"), stat_segment.c.start >= bindparam("first"))
    .where(stat_segment.c.start + stat_segment.c.n * stat_segment.c.length > bindparam("start"))
    .order_by(source.c.rank.desc(), source.c.id.desc(), stat_segment.c.start)  # the preferred is laid over the others
)
_OF_LENGTH = _OF_CHANNEL & (raw_segment.c.length == bindparam("length"))
_FIRST = select(raw_segment.c.start).where(_OF_LENGTH).order_by(raw_segment.c.start).limit(1)
_LAST = select(raw_segment.c.start, raw_segment.c.n).where(_OF_LENGTH).order_by(raw_segment.c.start.desc()).limit(8)
_QUANTITY = select(channel.c.quantity).where(channel.c.id == bindparam("channel"))
_OTHER = raw_segment.alias()
_ABOVE = (  # one step in an index: however long the history, no segment is read
    select(_OTHER.c.length)
    .where(_OTHER.c.channel_id == channel.c.id, _OTHER.c.length > bindparam("above"))
    .order_by(_OTHER.c.length)
    .limit(1)
    .correlate(channel)
)
_NEXT_LENGTH = Prepared(
    select(channel.c.id.label("channel_id"), _ABOVE.scalar_subquery().label("length")).where(
        channel.c.id.in_(bindparam("channels", expanding=True))
    ),
    expands="channels",
)
_ASKED = 256  # channels at once


def _ends(table: Table) -> Prepared:
    """Return what gives the last segment of each of some channels of one source."""
    own = table.alias()
    last = (
        select(own.c.id)
        .where(own.c.channel_id == channel.c.id, own.c.source_id == bindparam("source"))
        .order_by(own.c.start.desc(), own.c.id.desc())
        .limit(1)
        .correlate(channel)
    )
    wanted = select(last.scalar_subquery()).where(channel.c.id.in_(bindparam("channels", expanding=True)))
    return Prepared(select(table).where(table.c.id.in_(wanted)), expands="channels")


_ENDS = {table.name: _ends(table) for table in (raw_segment, stat_segment)}
#: No segment is longer: a batch of 256 KiB cannot hold more intervals. [intervals]
MOST_SPAN = 16_384


class _Edge(NamedTuple):
    """What joining asks of a boundary; plain values, because numpy's are slow one by one."""

    register: int
    known: bool
    seam: bool

    @classmethod
    def of(cls, records: Records, at: int) -> "_Edge":
        """Return a boundary of RAW records; a statistic has none that matters."""
        if records.dtype is not RAW and records.dtype != RAW:
            return cls(0, known=True, seam=False)
        values: Any = records.item(at)  # all of it at once, as Python's own integers
        return cls(values[_REGISTER], values[_KNOWN] != 0, values[_FLAGS] & _SEAM != 0)


class _Kept:
    """The end of a series with its row; `id` is None while it has none. What is added is joined once, at the end."""

    def __init__(self, segment: Segment, position: int, row: int | None, rank: int = 0) -> None:
        self.base, self.position, self.id, self.rank = segment, position, row, rank
        self.changed = row is None
        self._added: list[Records] = []
        self._n = segment.n
        self._end = _Edge.of(segment.boundaries, -1)

    def extend(self, after: Segment, position: int) -> bool:
        """Return whether a segment could be added."""
        before = self.base
        if before.start + self._n * before.length != after.start or self._n + after.n > MOST:
            return False
        if before.step != after.step or not same_register(before, after):
            return False
        shift = 0 if before.enc == "stat" else _shift(self._end, after)
        if shift is None:
            return False
        rest = after.boundaries[1:]
        if not len(rest):  # one boundary alone, that is known already
            return True
        self._added.append(_shifted(rest, shift) if shift else rest)
        self._n, self._end = self._n + after.n, _Edge.of(self._added[-1], -1)
        self.position, self.changed = max(position, self.position), True
        return True

    @property
    def segment(self) -> Segment:
        """Return all of it."""
        if not self._added:
            return self.base
        return replace(self.base, boundaries=chained([self.base.boundaries, *self._added]))


class Tails:
    """The ends of series that one transaction makes longer; `write` puts everything into the database."""

    def __init__(self, connection: Connection, table: Table) -> None:
        self.connection, self.table = connection, table
        self._kind = RAW if table is raw_segment else STAT
        self._last: dict[tuple[int, int], _Kept | None] = {}
        self._done: list[tuple[tuple[int, int], _Kept]] = []

    def add(self, channel_id: int, source_id: int, segment: Segment, position: int, rank: int = 0) -> None:
        """Put a segment at the end of its series, or beside it where it does not continue it."""
        key = (channel_id, source_id)
        if key not in self._last:
            self.expect(source_id, (channel_id,))
        last = self._last[key]
        if last is not None and last.rank == rank and last.extend(segment, position):
            self._last[key] = last
            return
        if last is not None and last.changed:
            self._done.append((key, last))
        self._last[key] = _Kept(segment, position, None, rank)

    def expect(self, source_id: int, channels: Collection[int]) -> None:
        """Read at once where the series of some channels end."""
        asked = [number for number in channels if (number, source_id) not in self._last]
        self._last |= dict.fromkeys(((number, source_id) for number in asked), None)
        for row in _ENDS[self.table.name].among(self.connection, asked, {"source": source_id}):
            rank = row.rank if self._kind is RAW else 0
            self._last[row.channel_id, source_id] = _Kept(_segment(row, self._kind), row.position, row.id, rank)

    def write(self) -> None:
        """Write what was added."""
        changed = [(key, kept) for key, kept in self._last.items() if kept is not None and kept.changed]
        rows = [(key, kept, kept.segment) for key, kept in (*self._done, *changed)]
        fresh = [self._row(key, kept, whole) for key, kept, whole in rows if kept.id is None]
        longer = [{"row": kept.id, "n": whole.n, "position": kept.position, "blob": self._blob(whole)}
                  for _, kept, whole in rows if kept.id is not None]  # fmt: skip
        if fresh:
            self.connection.execute(insert(self.table), fresh)
        if longer:
            self.connection.execute(update(self.table).where(self.table.c.id == bindparam("row")), longer)
        self._last, self._done = {}, []

    def _blob(self, whole: Segment) -> bytes:
        return pack(whole.boundaries if self._kind is RAW else whole.boundaries[1:])

    def _row(self, key: tuple[int, int], kept: _Kept, one: Segment) -> dict[str, object]:
        row: dict[str, object] = {
            "channel_id": key[0], "source_id": key[1], "start": one.start, "length": one.length, "n": one.n,
            "position": kept.position, "blob": self._blob(one),
        }  # fmt: skip
        if self._kind is RAW:
            row |= {"rank": kept.rank, "serial": one.serial, "enc": one.enc, "step": one.step, "modulus": one.modulus}
        return row


def _segment(row: Any, kind: "np.dtype[Any]") -> Segment:  # noqa: ANN401 - a row of the driver's or of SQLAlchemy
    records = unpack(row.blob, kind)
    if kind is RAW:
        return Segment(row.start, row.length, row.serial, row.enc, row.step, row.modulus, records)
    return statistics(row.start, row.length, records)


def withdraw(
    connection: Connection, source_id: int, batch: int, first: int, stop: int, since: int,
    channels: Collection[int] | None = None,
) -> None:  # fmt: skip
    """Let what one batch said of boundaries count no more from a position on.

    Args:
        connection: A writing connection.
        source_id: Of the batch.
        batch: Its position in the log.
        first: Its first boundary. [UTC s]
        stop: Its last boundary. [UTC s]
        since: The position.
        channels: Only of these, and only their registers.
    """
    both = ((raw_segment, RAW), (stat_segment, STAT))
    for table, kind in both if channels is None else both[:1]:
        own = true() if channels is None else table.c.channel_id.in_(channels)
        rows = connection.execute(
            select(table.c.id, table.c.blob)
            .where(own)
            .where(table.c.source_id == source_id, table.c.start <= stop, table.c.position >= batch)
            .where(table.c.start + table.c.n * table.c.length >= first)
        ).all()
        for row in rows:
            records = unpack(row.blob, kind)
            said = (records["position"] == batch) & (records["known"] != 0) & (records["until"] == 0)
            if not said.any():
                continue
            records["until"][said] = since
            changed = {"blob": pack(records), "position": since}
            connection.execute(update(table).where(table.c.id == row.id).values(**changed))


def statistics(start: int, length: int, records: Records) -> Segment:
    """Return statistics of n intervals as a segment, so that they grow by the same rules; entry 0 stands for none."""
    return Segment(start, length, None, "stat", None, None, chained([np.zeros(1, STAT), records]))


def _shifted(records: Records, shift: int) -> Records:
    moved = records.copy()
    for name in ("register", "low", "high"):
        moved[name] += np.where(moved["known"], shift, 0)
    return moved


def extended(before: Segment, after: Segment) -> Segment | None:
    """Return two segments as one, None where they are no continuation or would be too long."""
    kept = _Kept(before, 0, None)
    return kept.segment if kept.extend(after, 0) else None


def _shift(end: _Edge, after: Segment) -> int | None:
    """Return what the later one's registers gain by what has rolled over before, None where they do not join."""
    begin = _Edge.of(after.boundaries, 0)
    if not end.known or not begin.known:
        return None
    level, value = end.register, begin.register
    if begin.seam and not end.seam:
        return None
    if level == value:
        return 0
    highest = int(after.boundaries["high"][after.boundaries["known"] != 0].max())
    if not agree(level, value, after.modulus) or highest + level - value > INT64_MAX:
        return None
    return level - value


def sources(
    connection: Connection, channel_id: int, start: int, stop: int, length: int, as_of: int | None = None
) -> list[Registers]:
    """Return the registers of each source of a channel over [start, stop), the preferred first.

    Args:
        connection: A reading connection.
        channel_id: Number of the channel.
        start: A multiple of the length. [UTC s]
        stop: The same. [UTC s]
        length: Of one interval. [s]
        as_of: Size of the log's tree; None for all that is known.
    """
    one_way = _one_way(connection, channel_id)
    asked = {"channel": channel_id, "length": length, "start": start, "stop": stop, "first": start - MOST_SPAN * length}
    rows = connection.execute(_SEGMENTS, asked).all()
    return [
        replace(
            join([finer(_segment(row, RAW), length) for row in own], start, stop, length, one_way=one_way, as_of=as_of),
            behind=rank >= BEHIND,
        )
        for (rank, _), own in groupby(rows, key=lambda row: (row.rank, row.source_id))
    ]


def _one_way(connection: Connection, channel_id: int) -> bool:
    name = connection.execute(_QUANTITY, {"channel": channel_id}).scalar_one()
    return QUANTITIES[name].one_way


def read(
    connection: Connection, channel_id: int, start: int, stop: int, length: int, as_of: int | None = None
) -> Registers:
    """Return a channel's register over [start, stop), chosen per boundary between its sources; see `sources`."""
    return chosen(connection, channel_id, sources(connection, channel_id, start, stop, length, as_of)) or empty(
        start, stop, length
    )


def chosen(connection: Connection, channel_id: int, found: Sequence[Registers]) -> Registers | None:
    """Return the register chosen per boundary between the sources of a channel, None where it has none."""
    return choose(found, one_way=_one_way(connection, channel_id)) if found else None


def read_statistic(
    connection: Connection, channel_id: int, start: int, stop: int, length: int, as_of: int | None = None
) -> tuple[Ints, Bools]:
    """Return the values of a statistic over [start, stop), and where there are any; see `sources`."""
    n = (stop - start) // length
    values, known = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    asked = {"channel": channel_id, "length": length, "start": start, "stop": stop, "first": start - MOST_SPAN * length}
    for row in connection.execute(_STATISTICS, asked):
        records, offset = unpack(row.blob, STAT), (row.start - start) // length
        here, until = records["known"] != 0, records["until"]
        if as_of is None:
            here &= until == 0
        else:
            here &= (records["since"] < as_of) & ((until == 0) | (until >= as_of))
        at = np.flatnonzero(here)
        at = at[(at + offset >= 0) & (at + offset < n)]
        values[at + offset], known[at + offset] = records["value"][at], True
    return values, known


def lengths(connection: Connection, channel_id: int) -> list[int]:
    """Return the interval lengths that a channel was ever sealed in, the shortest first. [s]"""
    return lengths_of(connection, [channel_id])[channel_id]


def lengths_of(connection: Connection, channels: Sequence[int]) -> dict[int, list[int]]:
    """Return the interval lengths that each channel was ever sealed in, the shortest first. [s]"""
    found: dict[int, list[int]] = {number: [] for number in channels}
    open_ = {0: list(channels)}
    while open_:
        above, some = open_.popitem()
        for at in range(0, len(some), _ASKED):
            for row in _NEXT_LENGTH.among(connection, some[at : at + _ASKED], {"above": above}):
                if row.length is not None:
                    found[row.channel_id].append(row.length)
                    open_.setdefault(row.length, []).append(row.channel_id)
    return found


def span(connection: Connection, channel_id: int, length: int) -> tuple[int, int] | None:
    """Return the first and the last second of what is known of a channel, None where nothing is. [UTC s]"""
    own = {"channel": channel_id, "length": length}
    first = connection.execute(_FIRST, own).scalar_one_or_none()
    if first is None:
        return None
    last = connection.execute(_LAST, own)
    return first, max(row.start + row.n * length for row in last)
