"""What final releases have gone out with: which channels, when, and as of which position.

Rules of this file: a final is what its signed row says; the values that it rested on are the versions as of its
position; one that was withdrawn counts no more, and a correction takes its place.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection, or_, select

from collector.intake import records
from collector.series import blobs, raw, versions
from collector.series.channels import Channel
from collector.series.registers import Registers
from collector.store.schema import finding, release
from collector.vee.inputs import Bools, Ints
from collector.vee.series import HAS_VALUE
from shared import master, veil
from shared.master import PointVersion, cuts, in_force


@dataclass(frozen=True, slots=True)
class Final:
    """A part of a final release, or of a correction, in which no formula changes."""

    start: int  # [UTC s]
    stop: int  # [UTC s]
    size: int  # of the log that its rows follow from
    channels: frozenset[str]


def read(connection: Connection, size: int, since: int) -> list[Final]:
    """Return the finals below a log size that reach beyond a second, oldest first. [UTC s]"""
    query = (
        select(release.c.start, release.c.stop, release.c.points, release.c.position)
        .where(release.c.kind != "preliminary", release.c.withdrawn_position.is_(None))
        .where(release.c.record_position < size, release.c.stop > since)
        .order_by(release.c.number)
    )
    return [one for row in connection.execute(query) for one in _parts(connection, *row)]


def _parts(connection: Connection, start: int, stop: int, points: str, size: int) -> Iterator[Final]:
    known = _points(connection, size)
    for first, last in pairwise(cuts(known, start, stop)):
        yield Final(first, last, size, frozenset(_channels(known, json.loads(points), first)))


def _points(connection: Connection, size: int) -> list[PointVersion]:
    found = records.newest(connection, "points", size)
    if found is None:
        return []
    body = found[1].body
    if not veil.is_veiled(body):
        return master.points(body)
    return veil.opened(body, blobs.read(connection, str(body["sha256"])).splitlines())


def _channels(points: list[PointVersion], wanted: list[str], at: int) -> set[str]:
    """Return the channels that points are made of at an instant, through any points between. [UTC s]"""
    force, seen, open_ = in_force(points, at), set[str](), list(wanted)
    while open_:
        name = open_.pop()
        if name not in seen:
            seen.add(name)
            open_ += force[name].whole.refs if name in force else ()
    return {name for name in seen if "/" in name}


def released(
    connection: Connection, finals: list[Final], channel: Channel, seen: Registers
) -> tuple[Bools, Ints, Bools]:  # fmt: skip
    """Return which intervals of a channel went out with a final, with which values, and where there were any."""
    final, known = np.zeros(seen.n, dtype=np.bool_), np.zeros(seen.n, dtype=np.bool_)
    values, end = np.zeros(seen.n, dtype=np.int64), seen.start + seen.n * seen.length
    for one in finals:
        first, stop = (-(-max(seen.start, min(at, end)) // seen.length) * seen.length for at in (one.start, one.stop))
        if channel.name in one.channels and first < stop:
            then = versions.read(connection, channel.id, first, stop, seen.length, one.size)
            here = slice((first - seen.start) // seen.length, (stop - seen.start) // seen.length)
            final[here], values[here], known[here] = True, then.values, HAS_VALUE[then.status]
    return final, values, known


def corrected(connection: Connection, first: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Give channel, length and second of findings after a final, if any final was made or withdrawn since a position.

    A correction settles them, a withdrawal makes them void.
    """
    made = or_(release.c.record_position >= first, release.c.withdrawn_position >= first)
    if connection.execute(select(release.c.number).where(made, release.c.kind != "preliminary").limit(1)).one_or_none():
        own = select(finding.c.channel_id, finding.c.start).where(
            finding.c.rule == "I2", finding.c.made_by == "vee", finding.c.resolved_position.is_(None)
        )
        for number, start in connection.execute(own).all():
            for length in raw.lengths(connection, number):
                yield (number, length), start // length * length
