"""Which interval length stands for a stretch of time, where a channel was sealed in several.

Rule of this file: measured before estimated, then the finest (`shared.status.distance`); release, `verify`, `vee edit`
and `vee explain` hold it alike. A row as long as all lengths of a channel together have in common is looked at.
"""

from collections.abc import Sequence
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from collector.series import others, raw, versions
from collector.series.registers import Registers
from collector.store.schema import current, raw_segment
from collector.vee.series import HAS_VALUE, Bools, Codes
from shared.status import READ, READ_AT_ENDS, SUBSTITUTE, UNKNOWN, Flags, Status, distance

HOUR = 3600  # no interval is longer [s]
Flagged = NDArray[np.int64]
#: Built once: to build a statement costs more than to run it.
_BELOW = (
    select(current.c.length)
    .where(current.c.channel_id == bindparam("channel"), current.c.length < bindparam("length"))
    .where(current.c.day >= bindparam("day"))
    .distinct()
)
_ABOVE = (
    select(raw_segment.c.length)
    .where(raw_segment.c.channel_id == bindparam("channel"), raw_segment.c.length > bindparam("length"))
    .where(raw_segment.c.start < bindparam("stop"), raw_segment.c.start >= bindparam("first"))
    .where(raw_segment.c.start + raw_segment.c.n * raw_segment.c.length > bindparam("start"))
    .distinct()
)
_AUTHORED, _ESTIMATED = int(Flags.AUTHORED), int(Status.ESTIMATED)  # to compare with an enumeration takes longer
_OUTSIDE = int(Flags.OUTSIDE)
_FAR = np.array([distance(status) for status in Status], dtype=np.uint8)


def inner(status: Codes, flags: Flagged) -> Bools:
    """Return which rows are measured at both ends with nothing but scaled estimates between. [rows x intervals]"""
    made = status == _ESTIMATED
    if not made.any():
        return np.zeros(len(status), dtype=np.bool_)
    scaled = (flags & int(Flags.SCALED)) != 0
    sound = ((status == Status.VALID) | (made & scaled)).all(axis=1)
    ends = (status[:, 0] == Status.VALID) & (status[:, -1] == Status.VALID)
    found: Bools = made.any(axis=1) & sound & ends
    return found


def far(status: Codes, flags: Flagged) -> Codes:
    """Return by row how far its farthest interval is from a read (`shared.status.distance`). [rows x intervals]"""
    decided = ((flags & _AUTHORED) != 0) & HAS_VALUE[status]
    others_word = (flags & _OUTSIDE) != 0
    own = np.maximum(_FAR[status], SUBSTITUTE * others_word) if others_word.any() else _FAR[status]
    worst = along(np.maximum, np.where(decided, READ, own))
    found: Codes = np.where(inner(status, flags), READ_AT_ENDS, worst).astype(np.uint8)
    return found


def along(combined: np.ufunc, rows: Any) -> Any:  # noqa: ANN401 - arrays of any one kind
    """Return by row what its intervals are together; a row of one is that one, at no cost. [rows x intervals]"""
    return rows[:, 0] if rows.shape[1] == 1 else combined.reduce(rows, axis=1)


def covered(connection: Connection, channel_id: int, seen: Registers) -> Bools | None:
    """Return which intervals lie in a coarser one that was read; None where the channel has none there."""
    stop = seen.start + seen.n * seen.length
    asked = {"channel": channel_id, "length": seen.length, "start": seen.start, "stop": stop,
             "first": seen.start - raw.MOST * HOUR}  # fmt: skip
    lengths = [one for one in connection.execute(_ABOVE, asked).scalars() if one % seen.length == 0]
    found = np.zeros(seen.n, dtype=np.bool_)
    for length in lengths:
        first, last = -(-seen.start // length) * length, stop // length * length
        if first < last:
            known = raw.read(connection, channel_id, first, last, length).values_known
            at = (first - seen.start) // seen.length
            fine = np.repeat(known, length // seen.length)
            found[at : at + len(fine)] |= fine
    return found if lengths else None


def below(connection: Connection, channel_id: int, length: int, start: int) -> list[int]:
    """Return the finer lengths of a channel with versions at or after a second: coarser registers bind them too."""
    asked = {"channel": channel_id, "length": length, "day": start // versions.DAY * versions.DAY}
    return [one for one in connection.execute(_BELOW, asked).scalars() if length % one == 0]


def taken(connection: Connection, channel_id: int, at: int) -> int | None:
    """Return the length of the intervals that a release takes at an instant; None where nothing is known. [UTC s, s]"""
    return next(iter(all_taken(connection, channel_id, at, at + 1)), None)


def all_taken(connection: Connection, channel_id: int, start: int, stop: int) -> set[int]:
    """Return the lengths of the intervals that a release takes for [start, stop), of all its rows. [UTC s, s]

    A row is looked at as the shortest that whole intervals of every length of the channel make up.
    """
    lengths = sorted({*raw.lengths(connection, channel_id), *others.lengths(connection, channel_id)})
    if len(lengths) < 2:
        return set(lengths)
    whole = lcm(*lengths)
    rows = [range(at, at + whole) for at in range(start // whole * whole, stop, whole)]
    found = {_nearest(connection, channel_id, lengths, row) for row in rows}
    return {length for length in found if length is not None}


def _nearest(connection: Connection, channel_id: int, lengths: Sequence[int], row: range) -> int | None:
    found = {length: _far_of(connection, channel_id, row, length) for length in lengths}
    nearest = min(lengths, key=lambda length: (found[length], length))
    return nearest if found[nearest] < UNKNOWN else None


def _far_of(connection: Connection, channel_id: int, row: range, length: int) -> int:
    found = versions.read(connection, channel_id, row.start, row.stop, length)
    return int(far(found.status[None, :], found.flags[None, :].astype(np.int64))[0])


def chosen(rows: Sequence[Codes]) -> NDArray[np.int64]:
    """Return by row which grid is taken, given how far each is from a read; the first of equals. [grids][rows]"""
    found: NDArray[np.int64] = np.stack(rows).argmin(axis=0)
    return found


def nothing(count: int) -> Codes:
    """Return rows of which nothing is known."""
    return np.full(count, UNKNOWN, dtype=np.uint8)
