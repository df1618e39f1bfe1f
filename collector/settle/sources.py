"""What a release is made from: points, versions of channels, and the leaves behind them, as of one position."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, insert, select

from collector.intake import records
from collector.intake.log import Log
from collector.series import anchors, factors, raw
from collector.series import channels as names
from collector.series import versions as series
from collector.series.codec import Ints
from collector.series.registers import Registers
from collector.settle.rows import Channel
from collector.store.schema import blob, finding, version_segment
from shared import master, veil
from shared.factor import Correction
from shared.master import PointVersion, in_force
from shared.registers import Mark
from shared.release import instant

#: How far beyond a period the reads at the ends of a gap are looked for. [s]
REACH = 7 * 86_400
Runs = tuple[tuple[int, int], ...]

# Built once: to build a statement costs more than to run it.
_OF_CHANNEL = (version_segment.c.channel_id == bindparam("channel")) & (version_segment.c.position < bindparam("size"))
_END = version_segment.c.start + version_segment.c.n * version_segment.c.length
_LENGTHS = select(version_segment.c.length).where(_OF_CHANNEL).distinct()
_REACH = select(version_segment.c.start, _END, version_segment.c.position).where(
    _OF_CHANNEL, version_segment.c.start < bindparam("stop"), bindparam("start") < _END
)


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


def openings(connection: Connection, body: dict[str, Any]) -> list[bytes]:
    """Return every opening of a veiled `points` record."""
    query = select(blob.c.bytes).where(blob.c.sha256 == bytes.fromhex(body["sha256"]))
    return bytes(connection.execute(query).scalar_one()).splitlines()


def record(connection: Connection, log: Log, wanted: Sequence[PointVersion], *, by: str, now: int) -> int:
    """Return the position of the signed record that puts points into force.

    Where a point is not for everybody, the record commits to each apart (`shared.veil`), so that evidence for one
    party shows nothing of the others.
    """
    if not any(one.parties for one in wanted):
        return log.record(connection, "points", master.body(wanted), by=by, now=now)
    body, octets = veil.veiled(wanted, {one.id: secrets.token_bytes(16) for one in wanted})
    position = log.record(connection, "points", body, by=by, now=now)
    row = {"sha256": bytes.fromhex(str(body["sha256"])), "position": position, "bytes": octets}
    connection.execute(insert(blob).values(**row))
    return position


def channels_of(versions: Iterable[PointVersion], wanted: Iterable[str], at: int) -> set[str]:
    """Return the channels that points are made of at an instant, through any points between. [UTC s]"""
    force, found = in_force(versions, at), set[str]()
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


def channels(connection: Connection, refs: Iterable[str], span: range, size: int) -> dict[str, dict[int, Channel]]:
    """Return the versions of channels over a span at a log size, by name and interval length; unknown ones lack."""
    known = {one.name: one for one in names.every(connection)}
    found: dict[str, dict[int, Channel]] = {}
    for ref in sorted(set(refs) & set(known)):
        for length in _lengths(connection, known[ref].id, size):
            if span.start % length == 0 and span.stop % length == 0:
                values = series.read(connection, known[ref].id, span.start, span.stop, length, size)
                found.setdefault(ref, {})[length] = _channel(values)
    return found


def _lengths(connection: Connection, channel_id: int, size: int) -> list[int]:
    return sorted(connection.execute(_LENGTHS, {"channel": channel_id, "size": size}).scalars())


def _channel(values: series.Values) -> Channel:
    return Channel(
        length=values.length, values=values.values, status=values.status, flags=values.flags.astype(np.int64),
        methods=[values.methods.get(code) for code in values.method.tolist()], positions=values.positions,
    )  # fmt: skip


class Evidence:
    """Which leaves of the log stand behind the rows of a span."""

    def __init__(self, connection: Connection, span: range, size: int, points_position: int) -> None:
        self.connection, self.span, self.size = connection, span, size
        self.points_position = points_position
        self._known = {one.name: one.id for one in names.every(connection)}
        self._segments: dict[str, list[tuple[int, int, int]]] = {}
        self._factors: list[Correction] | None = None

    def of(self, point: PointVersion, versions: Sequence[PointVersion]) -> list[Runs]:
        """Return for each row of a point the positions behind it, as runs."""
        count = len(self.span) // point.length
        rows: list[set[int]] = [{self.points_position} for _ in range(count)]
        for ref in channels_of(versions, [point.id], self.span.start):
            for start, stop, position in self._spans(ref):
                first = max(0, (start - self.span.start) // point.length)
                last = min(count, -(-(stop - self.span.start) // point.length))
                for at in range(first, last):
                    rows[at].add(position)
        return [_runs(row) for row in rows]

    def _spans(self, ref: str) -> list[tuple[int, int, int]]:
        """Return what is known of a channel by which leaf: start, stop [UTC s] and position."""
        if ref not in self._segments:
            number = self._known.get(ref)
            self._segments[ref] = [] if number is None else [
                *self._versions(number), *self._batches(number), *self._corrections(ref),
            ]  # fmt: skip
        return self._segments[ref]

    def _versions(self, number: int) -> list[tuple[int, int, int]]:
        asked = {"channel": number, "size": self.size, "start": self.span.start, "stop": self.span.stop}
        return [
            (int(start), int(stop), int(position)) for start, stop, position in self.connection.execute(_REACH, asked)
        ]

    def _batches(self, number: int) -> list[tuple[int, int, int]]:
        """Return which batches a channel's registers come from; an interval is in the batch of its end."""
        found: list[tuple[int, int, int]] = []
        for length in raw.lengths(self.connection, number):
            start, stop = self.span.start // length * length, -(-self.span.stop // length) * length
            seen = raw.read(self.connection, number, start, stop, length, self.size)
            if seen.n and not (
                seen.known[0] and seen.known[-1]
            ):  # a gap reaches beyond: its outer reads prove its total
                start, stop = start - REACH // length * length, stop + REACH // length * length
                seen = raw.read(self.connection, number, start, stop, length, self.size)
            places = np.flatnonzero(seen.known)
            found += _reach(start + places * length, seen.positions[places], length)
            moved = np.flatnonzero(seen.known & ((seen.flags & int(Mark.RETIMED)) != 0))
            found += _reach(start + moved * length, seen.since[moved], length)  # the anchors that said when it was
            told = self._anchors(seen, moved)
            found += _reach(start + moved[told >= 0] * length, told[told >= 0], length)
        return found

    def _corrections(self, ref: str) -> list[tuple[int, int, int]]:
        """Return which `factor` records speak of a channel in the span."""
        place, _, quantity = ref.partition(".")
        site, _, meter = place.partition("/")
        if self._factors is None:
            self._factors = factors.read(self.connection, self.size)
        own = [
            one for one in self._factors if (one.site, one.meter) == (site, meter) and one.quantity in (None, quantity)
        ]
        spans = [(max(one.start, self.span.start), min(one.stop or self.span.stop, self.span.stop)) for one in own]
        return [(start, stop, one.position) for (start, stop), one in zip(spans, own, strict=True) if start < stop]

    def _anchors(self, seen: Registers, moved: Ints) -> Ints:
        """Return where the anchors stand of boundaries that a record let in later; -1 where none did."""
        pairs = list(zip(seen.positions[moved].tolist(), seen.since[moved].tolist(), strict=True))
        told = {pair: anchors.behind_record(self.connection, *pair) for pair in set(pairs)}
        return np.array([-1 if (at := told[pair]) is None else at for pair in pairs], np.int64)


def _reach(times: Ints, positions: Ints, length: int) -> list[tuple[int, int, int]]:
    """Return from when to when each batch bears on values, given the times and batches of known boundaries.

    A boundary bears on the interval that ends at it, on the row that begins at it, and on an unknown stretch beside it.
    """
    found: list[tuple[int, int, int]] = []
    for at, (time, position) in enumerate(zip(times.tolist(), positions.tolist(), strict=True)):
        before = times[at - 1] if at else time - length
        after = times[at + 1] if at + 1 < len(times) and times[at + 1] > time + length else time + 1
        if found and found[-1][2] == position and before <= found[-1][1]:
            found[-1] = (found[-1][0], int(after), position)
        else:
            found.append((int(before), int(after), position))
    return found


def _runs(positions: Iterable[int]) -> Runs:
    """Return positions as first and last of each run.

    >>> _runs({7, 3, 4, 5})
    ((3, 5), (7, 7))
    """
    runs: list[tuple[int, int]] = []
    for position in sorted(positions):
        if runs and runs[-1][1] == position - 1:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
    return tuple(runs)


def blocking(connection: Connection, refs: Iterable[str], start: int, stop: int) -> list[str]:
    """Return the open findings of severity E on channels in a period, a sentence each. [UTC s]"""
    known = {one.name: one.id for one in names.every(connection)}
    numbers = [known[ref] for ref in refs if ref in known]
    query = (
        select(finding.c.text, finding.c.rule, finding.c.start, finding.c.channel_id)
        .where(finding.c.severity == "E", finding.c.resolved_position.is_(None), finding.c.channel_id.in_(numbers))
        .where(finding.c.start < stop, finding.c.stop > start)
        .order_by(finding.c.start, finding.c.id)
    )
    by_number = {number: name for name, number in known.items()}
    return [
        f"{by_number[row.channel_id]} at {instant(row.start)}: {row.rule}: {row.text}"
        for row in connection.execute(query)
    ]
