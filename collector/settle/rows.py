"""From interval versions of channels to the rows of a release: pure, the same bytes on every machine.

Rules of this file: exact integers; a row that lacks any interval is null; a row whose outer intervals are measured and
whose inner gap is scaled to the register is VALID with `inner_estimated` (DESIGN.md section 7.3).
`shared.verify_release` redoes the same with other means, and a test holds both to be equal.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from collector.settle.evaluation import Evaluated, Term, evaluate_point, evaluation_order
from collector.settle.rounding import DayCarry
from collector.vee import grids
from collector.vee.series import HAS_VALUE, Codes, Ints
from shared.master import PointVersion, in_force
from shared.quantity import QUANTITIES
from shared.release import Row
from shared.status import WORST_LAST, Flags, Status, names

_BACK = np.array([int(status) for status in WORST_LAST], dtype=np.uint8)
_RANK = np.argsort(_BACK)
_BITS = np.left_shift(np.int64(1), np.arange(len(Status), dtype=np.int64))
_NAMES = [status.name for status in Status]
# As plain numbers: to ask an enumeration for a member at each row takes longer than the row.
_MISSING, _VALID, _INNER, _PARTIAL = (
    int(one) for one in (Status.MISSING, Status.VALID, Flags.INNER_ESTIMATED, Flags.PARTIAL)
)
Bits = NDArray[np.int64]
Older = Mapping[tuple[str, str, int], Row]  # by point, quantity and start [UTC s]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """The versions of one channel over the period, on its own grid."""

    length: int  # [s]
    values: Ints  # [counts]
    status: Codes
    flags: Bits
    methods: Sequence[str | None]
    positions: Ints  # of the records that wrote the versions; -1 where there is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Summed:
    """A channel on the grid of a point."""

    term: Term
    sets: Bits  # bit 1 << status of each interval
    flags: Bits
    methods: Sequence[frozenset[str]]
    far: Codes  # how far from a read (`grids.far`)


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
        methods=_methods(channel.methods, count, each),
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
        methods=[name for one in channels for name in one.methods] if any(any(one.methods) for one in channels) else [],
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
        methods=[frozenset()] * count,
        far=grids.nothing(count),
    )


def _absent(count: int) -> Summed:
    """Return a point outside its dated validity: no part of any sum, and nothing that lacks."""
    nothing = _nothing(count)
    term = replace(nothing.term, valid=np.zeros(count, dtype=np.bool_))
    return replace(nothing, term=term, sets=np.zeros(count, dtype=np.int64))


def _methods(methods: Sequence[str | None], count: int, each: int) -> Sequence[frozenset[str]]:
    if not any(methods):
        return [frozenset()] * count
    if each == 1:
        sets = {name: frozenset([name] if name else []) for name in set(methods)}
        return [sets[name] for name in methods]
    return [frozenset(filter(None, methods[at : at + each])) for at in range(0, count * each, each)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """A point over the part of the period in which one formula holds."""

    point: PointVersion
    start: int  # [UTC s]
    evaluated: Evaluated
    summed: Summed  # all that it is made of, as one: its values and statuses are those of the point

    def rows(self, evidence: Sequence[tuple[tuple[int, int], ...]], older: Older) -> Iterator[Row]:
        """Give the rows, each of a later revision than the older one that it differs from."""
        point, summed, evaluated = self.point, self.summed, self.evaluated
        head = point.id, point.quantity, QUANTITIES[point.quantity].unit
        starts = range(self.start, self.start + len(evaluated.values) * point.length, point.length)
        flags = summed.flags | np.where(evaluated.partial, _PARTIAL, 0)
        columns = evaluated.values, evaluated.known, evaluated.status, summed.sets, flags
        plain = zip(*(one.tolist() for one in columns), strict=True)
        for start, (count, known, status, sets, bits), methods, behind in zip(
            starts, plain, summed.methods, evidence, strict=True
        ):
            value, name, was = count if known else None, _NAMES[status], older.get((point.id, point.quantity, start))
            revision = 0 if was is None else was.revision + ((was.value, was.status) != (value, name))
            yield Row(
                *head, start, point.length, value, name, _qualities(sets), _method(methods),
                _flags(bits), revision, behind,
            )  # fmt: skip


@cache  # of the few sets that occur
def _qualities(bits: int) -> tuple[str, ...]:
    return tuple(sorted(status.name for status in Status if bits >> status & 1))


@cache
def _method(names: frozenset[str]) -> str | None:
    return "+".join(sorted(names)) or None


@cache
def _flags(bits: int) -> tuple[str, ...]:
    return tuple(names(Flags(bits)))


def results(
    versions: Sequence[PointVersion], wanted: Sequence[str], channels: Mapping[str, Mapping[int, Channel]], span: range,
    carry: DayCarry | None = None,
) -> list[Result]:  # fmt: skip
    """Return the wanted points over a period in which no formula changes.

    Args:
        versions: All dated points.
        wanted: Ids to give back; points that they are made of are computed too.
        channels: Versions over the whole span, by channel and interval length.
        span: The period. [UTC s]
        carry: Of the rows before; None: each row is rounded for itself, half-even.
    """
    force = in_force(versions, span.start)
    order = evaluation_order({one.id: one.whole for one in force.values()}, {one.id for one in versions})
    needed = _needed(force, wanted)
    found: dict[str, Result] = {}
    for name in order:
        if name in needed:
            found[name] = _result(force[name], found, channels, span, carry)
    return [found[name] for name in sorted(wanted) if name in found]


def _needed(force: Mapping[str, PointVersion], wanted: Sequence[str]) -> set[str]:
    open_, needed = [name for name in wanted if name in force], set[str]()
    while open_:
        name = open_.pop()
        if name not in needed:
            needed.add(name)
            open_ += [ref for ref in force[name].whole.refs if "/" not in ref and ref in force]
    return needed


def _result(
    point: PointVersion, found: Mapping[str, Result], channels: Mapping[str, Mapping[int, Channel]], span: range,
    carry: DayCarry | None,
) -> Result:  # fmt: skip
    count = len(span) // point.length
    read = [
        (ref, one)
        for ref in point.whole.refs if "/" in ref
        for length, one in sorted(channels.get(ref, {}).items()) if point.length % length == 0
    ]  # fmt: skip
    sums: dict[str, list[Summed]] = {ref: [] for ref in point.whole.refs}
    for (ref, _), added in zip(read, summed_together([one for _, one in read], count, point.length), strict=True):
        sums[ref].append(added)
    parts = {
        ref: _nearest(own, count) if "/" in ref else _of_point(found.get(ref), count, point.length)
        for ref, own in sums.items()
    }
    evaluated = evaluate_point(point, {ref: part.term for ref, part in parts.items()})
    evaluated = evaluated if carry is None else carry.rounded(point, span.start, evaluated)
    return Result(point=point, start=span.start, evaluated=evaluated, summed=_together(evaluated, [*parts.values()]))


def _together(evaluated: Evaluated, parts: Sequence[Summed]) -> Summed:
    """Return what a point is made of as one."""
    status = np.where(evaluated.known, evaluated.status, Status.MISSING).astype(np.uint8)
    columns = [part.methods for part in parts if any(part.methods)]
    nothing: frozenset[str] = frozenset()
    return Summed(
        term=Term(values=evaluated.values, status=status),
        sets=np.bitwise_or.reduce([part.sets for part in parts]),
        flags=np.bitwise_or.reduce([part.flags for part in parts]),
        methods=[nothing.union(*row) for row in zip(*columns, strict=True)] or [nothing] * len(status),
        far=np.max([part.far for part in parts], axis=0),
    )


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
        methods=[sums[at].methods[row] for row, at in enumerate(chosen.tolist())],
        far=np.stack([one.far for one in sums])[chosen, rows],
    )


def _of_point(result: Result | None, count: int, length: int) -> Summed:
    """Return a point as a term of another point of the same length; None is a point outside its dated validity."""
    if result is None:
        return _absent(count)
    return result.summed if result.point.length == length else _nothing(count)
