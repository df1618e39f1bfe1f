"""Versions of interval values: what VEE and people made of the reads, appended and never changed.

Rules of this file: a version stands from the position of the record that wrote it; the one with the higher
(position, rank) wins; `as_of` a tree size gives what was known when the log had that size, bit for bit. The table
`current` is a projection of all of them, a UTC day in a row, for the common question.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from collector.series.codec import VALUE, Ints, Records, pack, unpack
from collector.series.laid import laid, latest
from collector.store import schema
from collector.store.prepared import Prepared
from shared.status import Status

DAY = 86_400
#: No version segment is longer. [intervals]
MOST = 16_384
_TABLE = schema.version_segment

# Built once: to build a statement costs more than to run it.
_METHODS = Prepared(select(schema.method.c.code, schema.method.c.name))
_OF_MANY = Prepared(
    select(_TABLE.c.channel_id, _TABLE.c.start, _TABLE.c.blob)
    .where(_TABLE.c.channel_id.in_(bindparam("channels", expanding=True)), _TABLE.c.length == bindparam("length"))
    .where(_TABLE.c.position < bindparam("as_of"))
    .where(_TABLE.c.start < bindparam("stop"), _TABLE.c.start > bindparam("first"))
    .where(_TABLE.c.start + _TABLE.c.n * _TABLE.c.length > bindparam("start"))
    .order_by(_TABLE.c.position, _TABLE.c.rank, _TABLE.c.id),
    expands="channels",
)
_NOW_OF_MANY = Prepared(
    select(schema.current.c.channel_id, schema.current.c.day.label("start"), schema.current.c.blob)
    .where(schema.current.c.channel_id.in_(bindparam("channels", expanding=True)))
    .where(schema.current.c.length == bindparam("length"))
    .where(schema.current.c.day >= bindparam("first"), schema.current.c.day < bindparam("stop")),
    expands="channels",
)
#: The index leads to it at once, however many versions there are.
_NEXT = (
    select(_TABLE.c.length)
    .where(_TABLE.c.channel_id == schema.channel.c.id, _TABLE.c.length > bindparam("above"))
    .where(_TABLE.c.position < bindparam("as_of"))
    .order_by(_TABLE.c.length)
    .limit(1)
    .correlate(schema.channel)
)
_NEXT_LENGTH = Prepared(
    select(schema.channel.c.id.label("channel_id"), _NEXT.scalar_subquery().label("length")).where(
        schema.channel.c.id.in_(bindparam("channels", expanding=True))
    ),
    expands="channels",
)


class _Day(NamedTuple):
    """Of which channel and day what is believed stands in a row of `current`."""

    of_channel: int
    own_length: int  # [s]
    from_day: int  # its first second [UTC s]


_OWN = (
    (schema.current.c.channel_id == bindparam("of_channel"))
    & (schema.current.c.length == bindparam("own_length"))
    & (schema.current.c.day == bindparam("from_day"))
)
_DAY = Prepared(select(schema.current.c.blob).where(_OWN))
_OLD_DAY = Prepared(update(schema.current).where(_OWN).values(blob=bindparam("packed")))
_NEW_DAY = Prepared(
    insert(schema.current).values(
        channel_id=bindparam("of_channel"),
        length=bindparam("own_length"),
        day=bindparam("from_day"),
        blob=bindparam("packed"),
    )
)
_MOST_DAYS = 4096  # held before they are written

#: Of each field what stands where there is no version.
_NOTHING = (("value", 0), ("status", int(Status.MISSING)), ("flags", 0), ("method", 0), ("position", -1))
#: Values that are laid at once, and channels that are asked for at once.
_AT_ONCE, _ASKED = 500_000, 256


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Version:
    """New values of consecutive intervals of one channel."""

    channel_id: int
    start: int  # [UTC s]
    length: int  # [s]
    values: Ints  # [counts]; ignored where the status is MISSING
    status: NDArray[np.uint8]
    flags: NDArray[np.uint32]
    methods: Sequence[str | None]  # by interval, None where no method was used
    made_by: str
    rank: int = 0  # order among versions of one position
    supersedes: int | None = None
    withdraws: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Values:
    """What is believed of a channel's intervals over [start, start + n * length)."""

    start: int  # [UTC s]
    length: int  # [s]
    values: Ints
    status: NDArray[np.uint8]  # MISSING where there is no version either
    flags: NDArray[np.uint32]
    method: NDArray[np.uint16]  # 0 where none, else a key of `methods`
    positions: Ints  # of the version; -1 where there is none
    methods: dict[int, str]

    @property
    def n(self) -> int:
        """Return the number of intervals."""
        return len(self.values)


def append(connection: Connection, versions: Iterable[Version], position: int) -> None:
    """Write versions that a record at a position made, and bring `current` to them."""
    made = list(versions)
    codes = _Codes(connection)
    packed = [(one, _records(one, codes, position)) for one in made]
    if not packed:
        return
    connection.execute(insert(_TABLE), [_row(one, records, position) for one, records in packed])
    current = _Current(connection)
    for one, records in sorted(packed, key=lambda pair: pair[0].rank):
        current.lay(one, records)
    current.write()


class _Codes:
    """The numbers of method names."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.known: dict[str, int] = {row.name: row.code for row in connection.execute(select(schema.method))}

    def of(self, name: str | None) -> int:
        """Return the number of a method, a new one for a new name."""
        if name is None:
            return 0
        if name not in self.known:
            self.known[name] = max(self.known.values(), default=0) + 1
            self.connection.execute(insert(schema.method).values(code=self.known[name], name=name))
        return self.known[name]


def _records(one: Version, codes: _Codes, position: int) -> Records:
    records = np.zeros(len(one.values), VALUE)
    records["status"], records["flags"], records["position"] = one.status, one.flags, position
    records["value"] = np.where(one.status == Status.MISSING, 0, one.values)
    records["method"] = [codes.of(name) for name in one.methods]
    return records


def _row(one: Version, records: Records, position: int) -> dict[str, object]:
    return {
        "channel_id": one.channel_id, "start": one.start, "length": one.length, "n": len(records),
        "position": position, "rank": one.rank, "made_by": one.made_by, "supersedes": one.supersedes,
        "withdraws": one.withdraws, "blob": pack(records),
    }  # fmt: skip


def _blank(n: int) -> Records:
    records = np.zeros(n, VALUE)
    records["status"], records["position"] = Status.MISSING, -1
    return records


class _Current:
    """Days of `current` that versions are laid over; each is read and written once."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._days: dict[_Day, Records] = {}
        self._there = set[_Day]()

    def lay(self, one: Version, records: Records) -> None:
        """Put a version over what is believed."""
        stop = one.start + len(records) * one.length
        for day in range(one.start // DAY * DAY, stop, DAY):
            _lay(self._day(_Day(one.channel_id, one.length, day)), day, records, one.start, one.length)
        if len(self._days) > _MOST_DAYS:
            self.write()

    def _day(self, key: _Day) -> Records:
        if key not in self._days:
            found = _DAY.rows(self.connection, key._asdict())
            self._days[key] = unpack(found[0].blob, VALUE) if found else _blank(DAY // key.own_length)
            self._there |= {key} if found else set()
        return self._days[key]

    def write(self) -> None:
        """Write the days that have changed."""
        for statement, there in ((_NEW_DAY, False), (_OLD_DAY, True)):
            own = [
                {**key._asdict(), "packed": pack(whole)}
                for key, whole in self._days.items() if (key in self._there) is there
            ]  # fmt: skip
            if own:
                statement.run(self.connection, own)
        self._days, self._there = {}, set()


def _lay(into: Records, start: int, records: Records, first: int, length: int) -> None:
    """Put records over a span, as far as they lie in it."""
    offset = (first - start) // length
    begin, end = max(0, -offset), min(len(records), len(into) - offset)
    if begin < end:
        into[offset + begin : offset + end] = records[begin:end]


def read(
    connection: Connection, channel_id: int, start: int, stop: int, length: int, as_of: int | None = None
) -> Values:
    """Return what is believed of [start, stop), or was when the log had a size.

    Args:
        connection: A reading connection.
        channel_id: Number of the channel.
        start: A multiple of the length. [UTC s]
        stop: The same. [UTC s]
        length: Of one interval. [s]
        as_of: Size of the log's tree; None for now. A time becomes a size by `Log.size_at`.
    """
    [(_, found)] = read_many(connection, [channel_id], start, stop, length, as_of)
    return found


def read_many(
    connection: Connection, channels: Sequence[int], start: int, stop: int, length: int, as_of: int | None
) -> Iterator[tuple[int, Values]]:
    """Give each channel with what is believed of it, or was when the log had a size; arguments as of `read`."""
    n = (stop - start) // length
    names = methods(connection)
    step = max(1, min(_ASKED, _AT_ONCE // max(1, n)))
    for at in range(0, len(channels), step):
        owners = {number: line for line, number in enumerate(channels[at : at + step])}
        rows = _rows_of(connection, [*owners], start, stop, length, as_of)
        records, places = laid(rows, VALUE, owners, start, length, n)
        if not (places[1:] > places[:-1]).all():  # segments lie over others, or are not in order
            last = latest(places)
            records, places = records[last], places[last]
        columns = [
            _spread(records[name], places, n * len(owners), nothing).reshape(-1, n) for name, nothing in _NOTHING
        ]
        for number, line in owners.items():
            value, status, flags, method, position = (column[line] for column in columns)
            yield number, Values(start, length, value, status, flags, method, position, names)


def _spread(column: NDArray[Any], places: Ints, count: int, nothing: int) -> NDArray[Any]:
    """Return a field of records at their places; field by field, because numpy is slow with whole records."""
    if len(places) == count:
        return column.copy()  # each place has one, in order
    found = np.full(count, nothing, column.dtype)
    found[places] = column
    return found


def _rows_of(
    connection: Connection, channels: Sequence[int], start: int, stop: int, length: int, as_of: int | None
) -> Sequence[Row[int, int, bytes]]:
    """Return what lies over a span of many channels, the later behind the earlier."""
    if as_of is None:
        asked = {"length": length, "first": start // DAY * DAY, "stop": stop}
        return _NOW_OF_MANY.among(connection, channels, asked)
    asked = {"length": length, "as_of": as_of, "start": start, "stop": stop, "first": start - MOST * length}
    return _OF_MANY.among(connection, channels, asked)


def methods(connection: Connection) -> dict[int, str]:
    """Return the names of methods by their numbers."""
    return {row.code: row.name for row in _METHODS.rows(connection)}


def lengths_of(connection: Connection, channels: Sequence[int], size: int) -> dict[int, list[int]]:
    """Return the interval lengths of the versions of each channel at a size of the log, the shortest first. [s]"""
    found: dict[int, list[int]] = {number: [] for number in channels}
    open_ = {0: list(channels)}
    while open_:
        above, some = open_.popitem()
        for at in range(0, len(some), _ASKED):
            for row in _NEXT_LENGTH.among(connection, some[at : at + _ASKED], {"above": above, "as_of": size}):
                if row.length is not None:
                    found[row.channel_id].append(row.length)
                    open_.setdefault(row.length, []).append(row.channel_id)
    return found


def rebuild_current(connection: Connection) -> None:
    """Forget `current` and build it again from the versions."""
    connection.execute(delete(schema.current))
    ordered = select(_TABLE).order_by(_TABLE.c.position, _TABLE.c.rank, _TABLE.c.id)
    current = _Current(connection)
    for row in connection.execute(ordered).all():
        records = unpack(row.blob, VALUE)
        one = Version(
            channel_id=row.channel_id, start=row.start, length=row.length, values=records["value"],
            status=records["status"], flags=records["flags"], methods=(), made_by=row.made_by, rank=row.rank,
        )  # fmt: skip
        current.lay(one, records)
    current.write()
