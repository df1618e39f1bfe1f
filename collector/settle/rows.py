"""From interval versions of channels to the rows of a release: pure, the same bytes on every machine.

Rules of this file: exact integers; a row that lacks any interval is null; a row whose outer intervals are measured and
whose inner gap is scaled to the register is VALID with `inner_estimated` (DESIGN.md section 7.3).
`shared.verify_release` redoes the same with other means, and a test holds both to be equal.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.settle.columns import Columns, Key, Runs
from collector.settle.evaluation import Evaluated, Made, Term, evaluation_order
from collector.settle.rounding import Carry
from collector.vee import grids
from collector.vee.series import HAS_VALUE, Codes, Ints
from shared.master import PointVersion
from shared.release import Row
from shared.share import REST
from shared.status import WORST_LAST, Flags, Status

_BACK = np.array([int(status) for status in WORST_LAST], dtype=np.uint8)
_RANK = np.argsort(_BACK)
_MOST_BITS = 63  # of int64, its sign apart
_BITS = np.left_shift(np.int64(1), np.arange(len(Status), dtype=np.int64))
# As plain numbers: to ask an enumeration for a member at each row takes longer than the row.
_MISSING, _VALID, _INNER, _PARTIAL = (
    int(one) for one in (Status.MISSING, Status.VALID, Flags.INNER_ESTIMATED, Flags.PARTIAL)
)
Bits = NDArray[np.int64]
#: int64, or Python integers where there are more methods than that has bits.
Marks = NDArray[Any]
Older = Mapping[Key, Row]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """The versions of one channel over the period, on its own grid."""

    length: int  # [s]
    values: Ints  # [counts]
    status: Codes
    flags: Bits
    methods: Marks  # bit 1 << method (`marked`); 0 where none was used
    positions: Ints  # of the records that wrote the versions; -1 where there is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summed:
    """A channel on the grid of a point."""

    term: Term
    sets: Bits  # bit 1 << status of each interval
    flags: Bits
    methods: Marks  # bit 1 << method of each interval
    far: Codes  # how far from a read (`grids.far`)


def marked(methods: Ints | Codes | NDArray[np.uint16]) -> Marks:
    """Return numbers of methods as bits.

    >>> marked(np.array([0, 3], np.uint16)).tolist()
    [0, 8]
    """
    most = int(methods.max(initial=0))
    bits = [0, *(1 << method for method in range(1, most + 1))]
    found: Marks = np.array(bits, np.int64 if most < _MOST_BITS else np.object_)[methods]
    return found


def summed(channel: Channel | None, count: int, length: int) -> Summed:
    """Return a channel's intervals added up to rows; None is a channel that nobody has heard of.

    Args:
        channel: Its versions over the whole period.
        count: Rows in the period.
        length: Of a row. [s]
    """
    if channel is None or length % channel.length or len(channel.values) != count * (length // channel.length):
        return _nothing(count)
    each = length // channel.length
    status, flags = channel.status.reshape(count, each), channel.flags.reshape(count, each)
    told = HAS_VALUE[status]
    known = grids.along(np.logical_and, told)
    values = np.where(known, grids.along(np.add, np.where(told, channel.values.reshape(count, each), 0)), 0)
    inner = grids.inner(status, flags)
    worst = np.where(known, _BACK[grids.along(np.maximum, _RANK[status])], _MISSING)
    made = np.where(inner, _VALID, worst).astype(np.uint8)
    return Summed(
        term=Term(values=values.astype(np.int64), status=made),
        sets=grids.along(np.bitwise_or, _BITS[status]),
        flags=grids.along(np.bitwise_or, flags) | np.where(inner, _INNER, 0),
        methods=grids.along(np.bitwise_or, channel.methods.reshape(count, each)),
        far=grids.far(status, flags),
    )


def summed_together(channels: Sequence[Channel], count: int, length: int) -> list[Summed]:
    """Return what `summed` gives for each channel; those on one grid are added up at once, one below the other."""
    found: dict[int, Summed] = {}
    for each in {one.length for one in channels}:
        places = [
            at for at, one in enumerate(channels) if one.length == each and len(one.values) * each == count * length
        ]
        if len(places) > 1:
            whole = summed(_stacked([channels[at] for at in places]), count * len(places), length)
            found |= {at: _cut(whole, slice(row * count, (row + 1) * count)) for row, at in enumerate(places)}
    return [found[at] if at in found else summed(one, count, length) for at, one in enumerate(channels)]


def _stacked(channels: Sequence[Channel]) -> Channel:
    return Channel(
        length=channels[0].length, values=np.concatenate([one.values for one in channels]),
        status=np.concatenate([one.status for one in channels]), flags=np.concatenate([one.flags for one in channels]),
        methods=np.concatenate([one.methods for one in channels]),
        positions=np.zeros(0, np.int64),  # nobody asks for them
    )  # fmt: skip


def _cut(whole: Summed, rows: slice) -> Summed:
    term = Term(values=whole.term.values[rows], status=whole.term.status[rows])
    return Summed(
        term=term, sets=whole.sets[rows], flags=whole.flags[rows], methods=whole.methods[rows], far=whole.far[rows]
    )


def _nothing(count: int) -> Summed:
    missing = np.full(count, Status.MISSING, dtype=np.uint8)
    return Summed(
        term=Term(values=np.zeros(count, dtype=np.int64), status=missing),
        sets=np.full(count, 1 << Status.MISSING, dtype=np.int64),
        flags=np.zeros(count, dtype=np.int64),
        methods=np.zeros(count, dtype=np.int64),
        far=grids.nothing(count),
    )


def _absent(count: int) -> Summed:
    """Return a point outside its dated validity: no part of any sum, and nothing that lacks."""
    nothing = _nothing(count)
    term = replace(nothing.term, valid=np.zeros(count, dtype=np.bool_))
    return replace(nothing, term=term, sets=np.zeros(count, dtype=np.int64))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """A point over the part of the period in which one formula holds."""

    point: PointVersion
    start: int  # [UTC s]
    evaluated: Evaluated
    summed: Summed  # all that it is made of, as one: its values and statuses are those of the point

    def told(self, evidence: Sequence[Runs], older: Older, names: Mapping[int, str]) -> Columns:
        """Return the rows, each of a later revision than the older one that it differs from.

        Args:
            evidence: Of each row.
            older: Rows of the release before.
            names: Of methods.
        """
        point, summed, evaluated = self.point, self.summed, self.evaluated
        counts, known = evaluated.values.tolist(), evaluated.known.tolist()
        values = [count if there else None for count, there in zip(counts, known, strict=True)]
        flags = summed.flags | np.where(evaluated.partial, _PARTIAL, 0)
        starts, status = range(self.start, self.start + len(values) * point.length, point.length), evaluated.status
        return Columns(
            point=point.id, quantity=point.quantity, length=point.length, starts=starts, values=values,
            status=status.tolist(), sets=summed.sets.tolist(), methods=summed.methods.tolist(), flags=flags.tolist(),
            behind=evidence, revisions=self._revisions(starts, values, older), names=names,
        )  # fmt: skip

    def _revisions(self, starts: range, values: Sequence[int | None], older: Older) -> list[int]:
        if not older:
            return [0] * len(values)
        found, names = list[int](), [Status(code).name for code in self.evaluated.status.tolist()]
        for start, value, name in zip(starts, values, names, strict=True):
            was = older.get((self.point.id, self.point.quantity, start))
            found.append(0 if was is None else was.revision + ((was.value, was.status) != (value, name)))
        return found


def needed(versions: Sequence[PointVersion], force: Mapping[str, PointVersion], wanted: Sequence[str]) -> list[str]:
    """Return the points in force that some points are made of, and those themselves: each after its own parts."""
    order = evaluation_order({one.id: one.whole for one in force.values()}, {one.id for one in versions})
    own = _needed(force, wanted)
    return [name for name in order if name in own]


def _needed(force: Mapping[str, PointVersion], wanted: Sequence[str]) -> set[str]:
    open_, needed = [name for name in wanted if name in force], set[str]()
    while open_:
        name = open_.pop()
        if name not in needed:
            needed.add(name)
            open_ += [ref for ref in force[name].whole.refs if "/" not in ref and ref in force]
    return needed


@dataclass(frozen=True, slots=True, eq=False)
class Below:
    """What all that a point is made of says, row by row."""

    sets: Bits
    flags: Bits
    methods: Marks
    far: Codes


@dataclass(frozen=True, slots=True, eq=False)
class Own:
    """A point before it is rounded, and what it is made of."""

    made: Made
    below: Below


class Shares:
    """Allocations of a span, each made once for all of its parties; the newest is held, for they follow each other."""

    def __init__(self) -> None:
        self._newest: tuple[object, Own] | None = None

    def known(self, point: PointVersion) -> Own | None:
        """Return a point whose allocation is made, else None."""
        if point.share is None or self._newest is None or self._newest[0] != _allocation(point):
            return None
        return self._newest[1]

    def keep(self, point: PointVersion, own: Own) -> None:
        """Keep a point for the others of its allocation."""
        if point.share is not None:
            self._newest = _allocation(point), own


def _allocation(point: PointVersion) -> object:
    """Return what an allocation's points have in common."""
    return point.formula, point.length, None if point.share is None else replace(point.share, whose=REST)


def result(
    point: PointVersion, found: Mapping[str, Result], channels: Mapping[str, Mapping[int, Channel]], span: range,
    carry: Carry | None, shares: Shares,
) -> Result:  # fmt: skip
    """Return a point over a period in which no formula changes.

    Args:
        point: The point.
        found: Those that it is made of.
        channels: Versions over the whole span, by channel and interval length.
        span: The period. [UTC s]
        carry: Of the rows before; None: each row is rounded for itself, half-even.
        shares: Of this span.
    """
    own = shares.known(point)
    if own is None:
        parts = _parts(point, found, channels, span)
        made = Made.of(point, {ref: part.term for ref, part in parts.items()})
        own = Own(made, _below([*parts.values()]))
        shares.keep(point, own)
    evaluated = own.made.evaluated(point)
    evaluated = evaluated if carry is None else carry.rounded(point, span.start, evaluated)
    return Result(point=point, start=span.start, evaluated=evaluated, summed=_together(evaluated, own.below))


def _parts(
    point: PointVersion, found: Mapping[str, Result], channels: Mapping[str, Mapping[int, Channel]], span: range
) -> dict[str, Summed]:  # fmt: skip
    """Return what a point is made of, on its own grid, by reference."""
    count = len(span) // point.length
    read = [
        (ref, one)
        for ref in point.whole.refs if "/" in ref
        for length, one in sorted(channels.get(ref, {}).items()) if point.length % length == 0
    ]  # fmt: skip
    sums: dict[str, list[Summed]] = {ref: [] for ref in point.whole.refs}
    for (ref, _), added in zip(read, summed_together([one for _, one in read], count, point.length), strict=True):
        sums[ref].append(added)
    return {
        ref: _nearest(own, count) if "/" in ref else _of_point(found.get(ref), count, point.length)
        for ref, own in sums.items()
    }


def _below(parts: Sequence[Summed]) -> Below:
    return Below(
        sets=np.bitwise_or.reduce([part.sets for part in parts]),
        flags=np.bitwise_or.reduce([part.flags for part in parts]),
        methods=np.bitwise_or.reduce([part.methods for part in parts]),
        far=np.max([part.far for part in parts], axis=0),
    )


def _together(evaluated: Evaluated, below: Below) -> Summed:
    """Return a point as what other points can be made of."""
    status = np.where(evaluated.known, evaluated.status, Status.MISSING).astype(np.uint8)
    term = Term(values=evaluated.values, status=status)
    return Summed(term=term, sets=below.sets, flags=below.flags, methods=below.methods, far=below.far)


def _nearest(sums: Sequence[Summed], count: int) -> Summed:
    """Return, row by row, the grid that is nearest to what was read, the finest of equals: lengths may change."""
    if len(sums) < 2:
        return sums[0] if sums else _nothing(count)
    chosen, rows = grids.chosen([one.far for one in sums]), np.arange(count)
    return Summed(
        term=Term(
            values=np.stack([one.term.values for one in sums])[chosen, rows],
            status=np.stack([one.term.status for one in sums])[chosen, rows],
        ),
        sets=np.stack([one.sets for one in sums])[chosen, rows],
        flags=np.stack([one.flags for one in sums])[chosen, rows],
        methods=np.stack([one.methods for one in sums])[chosen, rows],
        far=np.stack([one.far for one in sums])[chosen, rows],
    )


def _of_point(result: Result | None, count: int, length: int) -> Summed:
    """Return a point as a term of another point of the same length; None is a point outside its dated validity."""
    if result is None:
        return _absent(count)
    return result.summed if result.point.length == length else _nothing(count)
