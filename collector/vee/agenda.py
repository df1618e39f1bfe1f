"""What a run is to judge: the channels that new leaves have touched, and from when on.

Rules of this file: what is new is told by positions and never by a clock; a channel is judged again only from where
something that it rests on is another.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from collector.series import channels, others, raw, suspects
from collector.series.channels import Channel
from collector.store.schema import raw_segment, stat_segment
from collector.vee import authored, events, faults, finals, grids, parameters_log, unconfirmed
from collector.vee.leaves import time_of
from collector.vee.masters import Masters
from collector.vee.scopes import differing


def new_segments(first: int) -> Select[tuple[int, int, int]]:
    """Return what gives channel, length and first second of the segments with something new from a position on.

    To group by the bare columns would lead SQLite through all segments in their order, instead of to the new ones.
    """
    table = raw_segment
    number, size = (table.c.channel_id + 0).label("number"), (table.c.length + 0).label("size")
    query = select(number, size, func.min(table.c.start).label("start")).where(table.c.position >= first)
    return query.group_by(number, size)


@dataclass(frozen=True, slots=True)
class Agenda:
    """What is to be judged by some master data."""

    connection: Connection
    masters: Masters
    related: Callable[[Channel], Iterable[str]]  # names of the channels whose findings look at one
    again: int | None = None  # everything from here on [UTC s]

    def touched(self, first: int) -> Iterator[tuple[Channel, int, int]]:
        """Give channels with the interval length and the second from which on they have something new. [s, UTC s]"""
        known = {one.id: one for one in channels.every(self.connection)}
        fresh = self.connection.execute(new_segments(first)).all()
        dirty = {(row.number, row.size): int(row.start) for row in fresh}
        before = time_of(self.connection, first)
        for key, start in (
            *suspects.touched(self.connection, first).items(),
            *self._set_otherwise(first),
            *authored.touched(self.connection, first).items(),
            *finals.corrected(self.connection, first),
            *self._witnessed(first, known),
            *events.touched(self.connection, first),
            *self._held_against(first, known),
            *unconfirmed.touched(self.connection, before, self.masters.now, self.masters.parameters),
            *(() if self.again is None else self._from(self.again)),
        ):
            dirty[key] = min(start, dirty.get(key, start))
        self._failed_before(dirty)
        self._below(dirty)
        self._beside(dirty, known)
        for (number, length), start in sorted(dirty.items()):
            yield known[number], length, start

    def _set_otherwise(self, first: int) -> Iterator[tuple[tuple[int, int], int]]:
        """Give channel, length and second from which on parameters that came at or after a position change them."""
        if self.masters.parameters.position < first:
            return
        scopes = differing(parameters_log.read(self.connection, first), self.masters.parameters)
        known = {one.id: one for one in channels.every(self.connection)} if scopes else {}
        for key, start, end in self._reach() if scopes else ():
            channel = known[key[0]]
            role = self.masters.policy(channel).role
            own = [one for one in scopes if one.since < end and (one.until is None or one.until > start)]
            dates = [max(start, one.since) for one in own if one.concerns(channel, role)]
            if dates:
                yield key, min(dates)

    def _witnessed(
        self, first: int, known: Mapping[int, Channel]
    ) -> Iterator[tuple[tuple[int, int], int]]:  # fmt: skip
        """Give channel, length and second from which on there is a new power of a control system to compare with."""
        numbers = {one.name: one.id for one in known.values()}
        pairs = [
            (numbers[one.source], numbers[one.channel])
            for one in self.masters.parameters.witnesses
            if one.source in numbers and one.channel in numbers
        ]
        for source, number in pairs:
            own = (stat_segment.c.channel_id == source) & (stat_segment.c.position >= first)
            query = select(stat_segment.c.length, func.min(stat_segment.c.start)).where(own)
            for length, start in self.connection.execute(query.group_by(stat_segment.c.length)).all():
                if raw.span(self.connection, number, length) is not None:
                    yield (number, length), int(start)

    def _held_against(self, first: int, known: Mapping[int, Channel]) -> Iterator[tuple[tuple[int, int], int]]:
        """Give main meters, length and second from which on there is something new of a file to hold them against."""
        numbers = {one.name: one.id for one in known.values()}
        for (number, length), start in others.touched(self.connection, first).items():
            for main in (numbers[name] for name in self.related(known[number])):
                yield from (((main, own), start) for own in raw.lengths(self.connection, main) if not length % own)

    def _from(self, since: int) -> Iterator[tuple[tuple[int, int], int]]:
        """Give channel and length of all that reaches beyond a second, and from where on it does. [UTC s]"""
        for key, start, end in self._reach():
            if end > since:
                yield key, max(start, since)

    def _reach(self) -> Iterator[tuple[tuple[int, int], int, int]]:
        """Give channel and length of all that there is, and from when to when it is there. [UTC s]"""
        table = raw_segment
        first, stop = func.min(table.c.start), func.max(table.c.start + table.c.n * table.c.length)
        query = select(table.c.channel_id, table.c.length, first, stop).group_by(table.c.channel_id, table.c.length)
        for number, length, start, end in self.connection.execute(query).all():
            yield (number, length), int(start), int(end)

    def _failed_before(self, dirty: dict[tuple[int, int], int]) -> None:
        """Add what another program could not judge, and go back to where judging failed for what comes new."""
        for key, one in faults.standing(self.connection).items():
            if key in dirty or one.program != faults.program():
                dirty[key] = min(one.start, dirty.get(key, one.start))

    def _below(self, dirty: dict[tuple[int, int], int]) -> None:
        """Add the finer intervals of channels with new registers at coarser boundaries: their estimates must obey."""
        for (number, length), start in list(dirty.items()):
            for finer in grids.below(self.connection, number, length, start):
                dirty[number, finer] = min(start, dirty.get((number, finer), start))

    def _beside(self, dirty: dict[tuple[int, int], int], known: dict[int, Channel]) -> None:
        """Add the channels whose findings look at those that have something new: main meters, nodes, siblings."""
        numbers = {one.name: one.id for one in known.values()}
        for (number, length), start in list(dirty.items()):
            for name in self.related(known[number]):
                key = (numbers[name], length)
                dirty[key] = min(start, dirty.get(key, start))
