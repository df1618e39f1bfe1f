"""The rows of a release, point by point: what is held at once is bounded by some points, not by the release.

Rules of this file: a point is evaluated once for each part of the period, first to last, because remainders are carried
from one to the next; one that others are made of is kept until the last of them has its rows.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from collector.series import factors, versions
from collector.settle import sources
from collector.settle.behind import Behind, Ground
from collector.settle.columns import Columns
from collector.settle.rounding import Carry
from collector.settle.rows import Channel, Older, Result, Shares, needed, result
from shared.master import PointVersion, in_force

AT_ONCE = 500_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """What rows follow from."""

    connection: Connection
    versions: Sequence[PointVersion]
    wanted: Sequence[str]  # ids of points
    spans: Sequence[range]  # parts of the period in which no formula changes [UTC s]
    position: int  # size of the log
    points_position: int  # of the record that put the points into force
    newest: bool  # whether the log has that size now
    carry: Carry | None
    at_once: int = AT_ONCE  # of channels, read at once; those of one point are always read together [intervals]


@dataclass(slots=True, eq=False)
class _Part:
    """A part of the period on its way."""

    span: range  # [UTC s]
    force: Mapping[str, PointVersion]
    order: Mapping[str, int]  # of evaluation, of the points that are needed
    found: dict[str, Result] = field(default_factory=dict)
    shares: Shares = field(default_factory=Shares)
    channels: Mapping[str, Mapping[int, Channel]] = field(default_factory=dict)
    behind: Behind | None = None


class Computing:
    """The rows of a release on their way."""

    def __init__(self, basis: Basis) -> None:
        self._basis = basis
        connection = basis.connection
        numbers, corrections = sources.numbers(connection), factors.read(connection, basis.position)
        self._ground = Ground(connection, basis.position, basis.points_position, numbers, corrections)
        self._names = versions.methods(connection)
        self._parts = [self._part(span) for span in basis.spans]
        self._closed = {name: self._closure(name) for name in sorted(basis.wanted)}
        self._last = {inner: name for name, own in self._closed.items() for inner in own}

    def each(self, older: Callable[[str], Older]) -> Iterator[tuple[str, list[Columns]]]:
        """Give each point and its rows, in the order of a release.

        Args:
            older: Gives the rows of a point in the release before; asked once for each point, in order.
        """
        for block in self._blocks():
            self._read(block)
            for name in block:
                was = older(name)
                own = [told for part in self._parts for told in self._told(part, name, was)]
                yield name, sorted(own, key=lambda told: (told.quantity, told.starts.start))
                self._forget(name)

    def _part(self, span: range) -> _Part:
        force = in_force(self._basis.versions, span.start)
        order = needed(self._basis.versions, force, self._basis.wanted)
        return _Part(span, force, {name: at for at, name in enumerate(order)})

    def _closure(self, name: str) -> set[str]:
        """Return a point and all points that it is made of, in any part of the period."""
        found, open_ = set[str](), [name]
        while open_:
            one = open_.pop()
            if one not in found:
                found.add(one)
                own = (part.force[one].whole.refs for part in self._parts if one in part.order)
                open_ += [ref for refs in own for ref in refs if "/" not in ref]
        return found

    def _blocks(self) -> Iterator[list[str]]:
        """Give points so many at a time that their channels can be read at once."""
        shortest = min(one.length for one in self._basis.versions)
        most = self._basis.at_once // (sum(map(len, self._basis.spans)) // shortest)
        block, held = list[str](), set[str]()
        for name in self._closed:
            refs = {ref for part in self._parts for ref in sources.channels_in(part.force, [name])}
            if block and not refs <= held and len(refs | held) > most:
                yield block
                block, held = [], set()
            block.append(name)
            held |= refs
        if block:
            yield block

    def _read(self, block: Sequence[str]) -> None:
        basis, ground = self._basis, self._ground
        closed = set[str]().union(*(self._closed[name] for name in block))
        for part in self._parts:
            fresh = [part.force[name] for name in closed if name in part.order and name not in part.found]
            refs = {ref for one in fresh for ref in one.whole.refs if "/" in ref}
            part.channels = sources.channels(
                basis.connection, ground.numbers, refs, part.span, basis.position, newest=basis.newest
            )
            part.behind = Behind(ground, part.span, part.force, sources.channels_in(part.force, block))

    def _told(self, part: _Part, name: str, was: Older) -> Iterator[Columns]:
        own = [one for one in self._closed[name] if one in part.order and one not in part.found]
        for one in sorted(own, key=part.order.__getitem__):
            part.found[one] = result(
                part.force[one], part.found, part.channels, part.span, self._basis.carry, part.shares
            )
        if name in part.found and part.behind is not None:
            made = part.found[name]
            yield made.told(part.behind.of(made.point), was, self._names)

    def _forget(self, name: str) -> None:
        for inner in self._closed[name]:
            if self._last[inner] == name:
                for part in self._parts:
                    part.found.pop(inner, None)
