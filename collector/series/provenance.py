"""Which batch each boundary register of many channels comes from: what evidence asks, without the registers.

Rule of this file: the same as `raw.read` says. The common channel, with one source whose clock was never in doubt, is
laid together with all the others; any other is read by `raw.read` itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, bindparam, select

from collector.series import raw
from collector.series.codec import RAW, Bools, Ints
from collector.series.laid import laid, latest
from collector.store.prepared import Prepared
from collector.store.schema import raw_segment

_AMONG = raw_segment.c.channel_id.in_(bindparam("channels", expanding=True))
_SEGMENTS = Prepared(
    select(
        raw_segment.c.channel_id, raw_segment.c.source_id, raw_segment.c.rank, raw_segment.c.start, raw_segment.c.n,
        raw_segment.c.id, raw_segment.c.blob,
    )
    .where(_AMONG, raw_segment.c.length == bindparam("length"))
    .where(raw_segment.c.start <= bindparam("stop"), raw_segment.c.start >= bindparam("first"))
    .where(raw_segment.c.start + raw_segment.c.n * raw_segment.c.length >= bindparam("start")),
    expands="channels",
)  # fmt: skip
#: Boundaries that are laid at once, and channels that are asked for at once.
_AT_ONCE, _ASKED = 200_000, 256


@dataclass(frozen=True, slots=True, eq=False)
class Provenance:
    """Of the boundaries of some channels, a line each: [channels x boundaries]."""

    known: Bools
    positions: Ints  # of the batches; anything where nothing is known
    since: Ints  # from which position on that counts
    flags: NDArray[np.uint16]  # shared.registers.Mark


def read(
    connection: Connection, channels: Sequence[int], span: range, length: int, size: int, *, single: bool
) -> Iterator[tuple[Sequence[int], Provenance]]:
    """Give some channels at a time and what stands behind their boundaries, at a size of the log.

    Args:
        connection: A reading connection.
        channels: Their numbers.
        span: From the first boundary to the last; whole intervals. [UTC s]
        length: Of one interval. [s]
        size: Of the log's tree.
        single: Whether the channels were ever sealed in this length only.
    """
    slots = (span.stop - span.start) // length + 1
    step = max(1, min(_ASKED, _AT_ONCE // slots))
    for at in range(0, len(channels), step):
        some = channels[at : at + step]
        seen = _Lines(connection, some, span, length, size)
        plain = seen.lay() if single else set[int]()
        for line, number in enumerate(some):
            if number not in plain:
                seen.copy(line, number)
        yield some, seen.found


class _Lines:
    """Some channels over a span."""

    def __init__(self, connection: Connection, channels: Sequence[int], span: range, length: int, size: int) -> None:
        self.connection, self.span, self.length, self.size = connection, span, length, size
        self.owners = {number: line for line, number in enumerate(channels)}
        shape = len(channels), (span.stop - span.start) // length + 1
        self.found = Provenance(
            np.zeros(shape, np.bool_), np.zeros(shape, np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.uint16)
        )

    def lay(self) -> set[int]:
        """Lay the channels of one source whose clock was never in doubt; return which these are."""
        rows: dict[int, list[Any]] = {number: [] for number in self.owners}
        for one in sorted(self._segments(), key=lambda row: (row.start, row.n, row.id)):
            rows[one.channel_id].append(one)
        plain = {number for number, own in rows.items() if len({(one.rank, one.source_id) for one in own}) < 2}
        ordered = [one for number in plain for one in rows[number]]
        slots = self.found.known.shape[1]
        records, places = laid(ordered, RAW, self.owners, self.span.start, self.length, slots)
        doubtful = {int(line) for line in np.unique(places[records["unsynchronised"] != 0] // slots)}
        since, until = records["since"], records["until"]
        counts = (records["known"] != 0) & (since < self.size) & ((until == 0) | (until >= self.size))
        records, places = records[counts], places[counts]
        last = latest(places)
        here = places[last]
        self.found.known.reshape(-1)[here] = True
        self.found.positions.reshape(-1)[here] = records["position"][last]
        self.found.since.reshape(-1)[here] = records["since"][last]
        np.bitwise_or.at(self.found.flags.reshape(-1), places, records["flags"])
        return {number for number in plain if self.owners[number] not in doubtful}

    def _segments(self) -> list[Any]:
        asked = {
            "length": self.length, "start": self.span.start, "stop": self.span.stop,
            "first": self.span.start - raw.MOST_SPAN * self.length,
        }  # fmt: skip
        return _SEGMENTS.among(self.connection, list(self.owners), asked)

    def copy(self, line: int, number: int) -> None:
        """Put what `raw.read` says of one channel into its line."""
        seen = raw.read(self.connection, number, self.span.start, self.span.stop, self.length, self.size)
        self.found.known[line], self.found.positions[line] = seen.known, seen.positions
        self.found.since[line], self.found.flags[line] = seen.since, seen.flags
