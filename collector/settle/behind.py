"""Which leaves of the log stand behind the rows of a release: batches, versions, anchors, factors, the points.

Rule of this file: what bears on a value of a row is behind the row, for all channels of the release at once; the
positions of a row are told as runs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, bindparam, select

from collector.series import anchors, provenance, raw
from collector.series.codec import Bools, Ints
from collector.series.provenance import Provenance
from collector.settle.columns import Runs
from collector.settle.sources import channels_in
from collector.store.prepared import Prepared
from collector.store.schema import version_segment
from shared.factor import Correction
from shared.master import PointVersion
from shared.registers import Mark

#: How far beyond a period the reads at the ends of a gap are looked for. [s]
REACH = 7 * 86_400
_RETIMED = int(Mark.RETIMED)
_ASKED = 256  # channels

_END = version_segment.c.start + version_segment.c.n * version_segment.c.length
_VERSIONS = Prepared(
    select(version_segment.c.channel_id, version_segment.c.start, _END.label("stop"), version_segment.c.position)
    .where(version_segment.c.channel_id.in_(bindparam("channels", expanding=True)))
    .where(version_segment.c.position < bindparam("size"))
    .where(version_segment.c.start < bindparam("until"), bindparam("since") < _END),
    expands="channels",
)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Where it is looked for, whatever the channels."""

    connection: Connection
    size: int  # of the log's tree
    points_position: int  # of the record that put the points into force
    numbers: Mapping[str, int]  # of channels, by name
    corrections: Sequence[Correction]


class Behind:
    """What stands behind the rows of a span.

    Args:
        ground: Where it is looked for.
        span: The period; no formula changes in it. [UTC s]
        force: The points in force.
        refs: The channels of those that are asked for.
    """

    def __init__(self, ground: Ground, span: range, force: Mapping[str, PointVersion], refs: Iterable[str]) -> None:
        self.connection, self.span, self.size = ground.connection, span, ground.size
        self.points_position = ground.points_position
        self._force, self._told_of = force, dict[tuple[int, tuple[str, ...]], list[Runs]]()
        self._seen: dict[Runs, Runs] = {}
        numbers = {ground.numbers[ref]: ref for ref in sorted(set(refs) & ground.numbers.keys())}
        self._spans: dict[str, list[Ints]] = {ref: [] for ref in numbers.values()}  # start, stop [UTC s], position
        for channels, spans in (*self._versions(list(numbers)), *self._batches(list(numbers))):
            for number, own in _apart(channels, spans):
                self._spans[numbers[number]].append(own)
        for ref, own in self._corrections(ground.corrections):
            self._spans[ref].append(own)

    def of(self, point: PointVersion) -> list[Runs]:
        """Return for each row of a point the positions behind it, as runs."""
        key = point.length, tuple(sorted(channels_in(self._force, [point.id])))
        if key not in self._told_of:  # the parties of an allocation have the same
            self._told_of = {key: self._of(*key)}
        return self._told_of[key]

    def _of(self, length: int, refs: Sequence[str]) -> list[Runs]:
        count, start = len(self.span) // length, self.span.start
        spans = np.concatenate([np.zeros((0, 3), np.int64), *(one for ref in refs for one in self._spans.get(ref, ()))])
        first = np.maximum(0, (spans[:, 0] - start) // length)
        last = np.minimum(count, -(-(spans[:, 1] - start) // length))
        wide = np.maximum(0, last - first)
        rows = np.arange(int(wide.sum())) + np.repeat(first - (np.cumsum(wide) - wide), wide)
        positions = np.repeat(spans[:, 2], wide)
        everywhere = np.full(count, self.points_position, np.int64)
        found = _runs(np.concatenate([rows, np.arange(count)]), np.concatenate([positions, everywhere]), count)
        return [self._seen.setdefault(one, one) for one in found]  # most rows share theirs with their neighbours

    def _versions(self, numbers: Sequence[int]) -> Iterator[tuple[Ints, Ints]]:
        asked = {"size": self.size, "since": self.span.start, "until": self.span.stop}
        for at in range(0, len(numbers), _ASKED):
            found = _VERSIONS.numbers(self.connection, numbers[at : at + _ASKED], asked)
            yield found[:, 0], found[:, 1:]

    def _batches(self, numbers: Sequence[int]) -> Iterator[tuple[Ints, Ints]]:
        """Give which batches channels' registers come from; an interval is in the batch of its end."""
        alike: dict[tuple[int, bool], list[int]] = {}
        for number, lengths in raw.lengths_of(self.connection, numbers).items():
            for length in lengths:
                alike.setdefault((length, len(lengths) == 1), []).append(number)
        for (length, single), some in sorted(alike.items()):
            whole = range(self.span.start // length * length, -(-self.span.stop // length) * length)
            beyond = REACH // length * length
            wide = range(whole.start - beyond, whole.stop + beyond)
            gaps = list[int]()  # a gap reaches beyond: its outer reads prove its total
            for channels, seen in provenance.read(self.connection, some, whole, length, self.size, single=single):
                told = seen.known[:, 0] & seen.known[:, -1]
                gaps += [number for number, here in zip(channels, told.tolist(), strict=True) if not here]
                yield from self._told(np.array(channels), seen, told, whole.start, length)
            for channels, seen in provenance.read(self.connection, gaps, wide, length, self.size, single=single):
                yield from self._told(np.array(channels), seen, np.ones(len(channels), np.bool_), wide.start, length)

    def _told(
        self, channels: Ints, seen: Provenance, lines: Bools, start: int, length: int
    ) -> Iterator[tuple[Ints, Ints]]:
        """Give what stands behind the boundaries of some channels, those of some lines only."""
        line, slot = np.nonzero(seen.known & lines[:, None])
        positions, since = seen.positions[line, slot], seen.since[line, slot]
        times, numbers = start + slot * length, channels[line]
        yield _reach(numbers, times, positions, length)
        moved = np.flatnonzero(seen.flags[line, slot] & _RETIMED)
        if len(moved):  # the anchors that said when it was
            yield _reach(numbers[moved], times[moved], since[moved], length)
            told = self._anchors(positions[moved], since[moved])
            moved = moved[told >= 0]
            yield _reach(numbers[moved], times[moved], told[told >= 0], length)

    def _anchors(self, positions: Ints, since: Ints) -> Ints:
        """Return where the anchors stand of boundaries that a record let in later; -1 where none did."""
        pairs = list(zip(positions.tolist(), since.tolist(), strict=True))
        told = {pair: anchors.behind_record(self.connection, *pair) for pair in set(pairs)}
        return np.array([-1 if (at := told[pair]) is None else at for pair in pairs], np.int64)

    def _corrections(self, corrections: Iterable[Correction]) -> Iterator[tuple[str, Ints]]:
        """Give which `factor` records speak of a channel in the span."""
        for one in corrections:
            start, stop = max(one.start, self.span.start), min(one.stop or self.span.stop, self.span.stop)
            for ref in self._spans if start < stop else ():
                place, _, quantity = ref.partition(".")
                if place == f"{one.site}/{one.meter}" and one.quantity in (None, quantity):
                    yield ref, np.array([(start, stop, one.position)], np.int64)


def _apart(channels: Ints, spans: Ints) -> Iterator[tuple[int, Ints]]:
    """Give each channel with its spans."""
    order = np.argsort(channels, kind="stable")
    ordered = channels[order]
    edges = [0, *(np.flatnonzero(np.diff(ordered)) + 1).tolist(), len(ordered)]
    for first, stop in pairwise(edges):
        if first < stop:
            yield int(ordered[first]), spans[order[first:stop]]


def _reach(channels: Ints, times: Ints, positions: Ints, length: int) -> tuple[Ints, Ints]:
    """Return from when to when each batch bears on values, given the times and batches of known boundaries.

    A boundary bears on the interval that ends at it, on the row that begins at it, and on an unknown stretch beside it.

    Args:
        channels: Of each boundary, each channel's in one piece.
        times: Of each boundary, in order. [UTC s]
        positions: Of its batch.
        length: Of an interval. [s]

    Returns:
        Channels, and [start, stop, position] of as many spans.
    """
    if not len(times):
        return channels, np.zeros((0, 3), np.int64)
    same = np.zeros(len(times) + 1, np.bool_)  # as the boundary before
    same[1:-1] = channels[1:] == channels[:-1]
    before, after = times - length, times + 1
    before[1:] = np.where(same[1:-1], times[:-1], before[1:])
    after[:-1] = np.where(same[1:-1] & (times[1:] > times[:-1] + length), times[1:], after[:-1])
    same[1:-1] &= positions[1:] == positions[:-1]
    first, last = np.flatnonzero(~same[:-1]), np.flatnonzero(~same[1:])
    return channels[first], np.stack([before[first], after[last], positions[first]], axis=1)


def _runs(rows: Ints, positions: Ints, count: int) -> list[Runs]:
    """Return the positions of each of some rows as first and last of each run.

    >>> _runs(np.array([0, 0, 1, 0, 0, 0]), np.array([7, 3, 1, 4, 5, 4]), 2)
    [((3, 5), (7, 7)), ((1, 1),)]
    """
    wide = int(positions.max(initial=0)) + 2  # a position may be -1: no record
    told = np.sort(rows * wide + positions + 1)
    told = told[np.concatenate([[True], told[1:] != told[:-1]])[: len(told)]]  # in a fifth of `np.unique`'s time
    row, position = told // wide, told % wide - 1
    new = np.ones(len(told) + 1, np.bool_)
    new[1:-1] = (np.diff(row) != 0) | (np.diff(position) != 1)
    runs = list(zip(position[new[:-1]].tolist(), position[new[1:]].tolist(), strict=True))
    edges = np.searchsorted(row[new[:-1]], np.arange(count + 1)).tolist()
    return [tuple(runs[first:stop]) for first, stop in pairwise(edges)]
