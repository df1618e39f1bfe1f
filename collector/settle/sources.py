"""What a release is made from: points and versions of channels, as of one position."""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, insert, select

from collector.intake import records
from collector.intake.log import Log
from collector.series import channels as names
from collector.series import versions as series
from collector.settle.rows import Channel, marked, needed
from collector.store.schema import blob, finding
from shared import master, strictjson, veil
from shared.errors import ConfigError
from shared.master import PointVersion, cuts, in_force
from shared.release import instant

#: Points that a record commits to apart: 32 bytes of each, in hex and base64, and its head fit into an envelope.
MOST = 2900
#: Of what a record shows of points; in base64 and with its head it fits into an envelope. [bytes]
_OPENLY = 160_000


@dataclass(frozen=True, slots=True)
class Points:
    """The points in force, and the record that put them there; -1 where none did."""

    versions: list[PointVersion]
    position: int


def points(connection: Connection, size: int) -> Points:
    """Return the points of the newest `points` record below a log size."""
    found = records.newest(connection, "points", size)
    if found is None:
        return Points([], -1)
    position, body = found[0], found[1].body
    if not veil.is_veiled(body):
        return Points(master.points(body), position)
    return Points(veil.opened(body, openings(connection, body)), position)


def position(connection: Connection, size: int) -> int:
    """Return the position of the newest `points` record below a log size, -1 where there is none."""
    found = records.newest(connection, "points", size)
    return -1 if found is None else found[0]


def seen_by(versions: Iterable[PointVersion], party: str | None) -> list[PointVersion]:
    """Return the points of a release of a party, all of them where it is cut for nobody."""
    return [one for one in versions if not one.parties or party is None or party in one.parties]


def openings(connection: Connection, body: dict[str, Any]) -> list[bytes]:
    """Return every opening of a veiled `points` record."""
    query = select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(body["sha256"]))
    return bytes(connection.execute(query).scalar_one()).splitlines()


def check(wanted: Sequence[PointVersion]) -> None:
    """Accept points that one record holds.

    Raises:
        ConfigError: they are too many.
    """
    ids = len({one.id for one in wanted})
    if ids > MOST and (any(one.parties for one in wanted) or len(strictjson.dumps(master.body(wanted))) > _OPENLY):
        raise ConfigError(
            f"{ids} points are more than one signed record commits to, which is {MOST}; leave out those that nothing"
            " is released of, or keep the points of some sites in another collector"
        )


def record(connection: Connection, log: Log, wanted: Sequence[PointVersion], *, by: str, now: int) -> int:
    """Return the position of the signed record that puts points into force.

    Where a point is not for everybody, the record commits to each apart (`shared.veil`), so that evidence for one
    party shows nothing of the others; likewise where all of them are more than one envelope holds.

    Raises:
        ConfigError: as `check`.
    """
    check(wanted)
    body = master.body(wanted)
    if not any(one.parties for one in wanted) and len(strictjson.dumps(body)) <= _OPENLY:
        return log.record(connection, "points", body, by=by, now=now)
    veiled, octets = veil.veiled(wanted, {one.id: secrets.token_bytes(16) for one in wanted})
    position = log.record(connection, "points", veiled, by=by, now=now)
    row = {"sha256": bytes.fromhex(str(veiled["sha256"])), "position": position, "bytes": octets}
    connection.execute(insert(blob).values(**row))
    return position


def channels_of(versions: Iterable[PointVersion], wanted: Iterable[str], at: int) -> set[str]:
    """Return the channels that points are made of at an instant, through any points between. [UTC s]"""
    return channels_in(in_force(versions, at), wanted)


def channels_in(force: Mapping[str, PointVersion], wanted: Iterable[str]) -> set[str]:
    """Return the channels that points are made of, given those in force, through any points between."""
    found = set[str]()
    open_, seen = [name for name in wanted if name in force], set[str]()
    while open_:
        name = open_.pop()
        if name in seen or name not in force:
            continue
        seen.add(name)
        for ref in force[name].whole.refs:
            if "/" in ref:
                found.add(ref)
            else:
                open_.append(ref)
    return found


def rest_on(versions: Sequence[PointVersion], manifest: Any) -> set[str]:  # noqa: ANN401 - a manifest's JSON
    """Return the ids of the points of a release and of all that they are made of, at any time."""
    found, open_ = set[str](), [str(one) for one in manifest["points"]]
    while open_:
        name = open_.pop()
        if name not in found:
            found.add(name)
            own = [one.whole.refs for one in versions if one.id == name]
            open_ += [ref for refs in own for ref in refs if "/" not in ref]
    return found


def entries(versions: Sequence[PointVersion], wanted: Sequence[str], start: int, stop: int) -> Iterator[PointVersion]:
    """Give the dated entries that a release of a period rests on: of its points, and of those between. [UTC s]"""
    for first in cuts(versions, start, stop)[:-1]:
        force = in_force(versions, first)
        yield from (force[name] for name in needed(versions, force, wanted))


def numbers(connection: Connection) -> dict[str, int]:
    """Return the number of each channel that ever had a value, by its name."""
    return {one.name: one.id for one in names.every(connection)}


def channels(
    connection: Connection, known: Mapping[str, int], refs: Iterable[str], span: range, size: int,
    *, newest: bool = False,
) -> dict[str, dict[int, Channel]]:  # fmt: skip
    """Return the versions of channels over a span at a log size, by name and interval length; unknown ones lack.

    Args:
        connection: A reading connection.
        known: Numbers of channels.
        refs: Names of those that are asked for.
        span: Of time. [UTC s]
        size: Of the log.
        newest: Whether the log has that size now: then what is believed now is read, which is kept apart.
    """
    asked = {known[ref]: ref for ref in sorted(set(refs) & known.keys())}
    alike: dict[int, list[int]] = {}
    for number, lengths in series.lengths_of(connection, list(asked), size).items():
        for length in lengths:
            if span.start % length == 0 and span.stop % length == 0:
                alike.setdefault(length, []).append(number)
    found: dict[str, dict[int, Channel]] = {}
    for length, own in sorted(alike.items()):
        as_of = None if newest else size
        for number, values in series.read_many(connection, own, span.start, span.stop, length, as_of):
            found.setdefault(asked[number], {})[length] = _channel(values)
    return found


def _channel(values: series.Values) -> Channel:
    return Channel(
        length=values.length, values=values.values, status=values.status, flags=values.flags.astype(np.int64),
        methods=marked(values.method), positions=values.positions,
    )  # fmt: skip


def blocking(connection: Connection, refs: Iterable[str], start: int, stop: int) -> list[str]:
    """Return the open findings of severity E on channels in a period, a sentence each. [UTC s]"""
    known = numbers(connection)
    wanted = {known[ref] for ref in refs if ref in known}  # open findings are few, channels may be many
    query = (
        select(finding.c.text, finding.c.rule, finding.c.start, finding.c.channel_id)
        .where(finding.c.severity == "E", finding.c.resolved_position.is_(None))
        .where(finding.c.start < stop, finding.c.stop > start)
        .order_by(finding.c.start, finding.c.id)
    )
    by_number = {number: name for name, number in known.items()}
    return [
        f"{by_number[row.channel_id]} at {instant(row.start)}: {row.rule}: {row.text}"
        for row in connection.execute(query)
        if row.channel_id in wanted
    ]
