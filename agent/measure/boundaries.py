"""From reads to sealed spans: the timeline of boundaries and the lines of all meters along it.

Rules of this file: pure, told the time. A boundary once passed is never opened again on the same timeline; a wall clock
that steps by less than an interval only makes one interval longer or shorter. A larger step ends the timeline: what was
complete is sealed, and the next one begins with the labels of the new time, also when they stand for the second time;
every boundary lies on the boot clock, so that the collector can tell which is which and lay both where they belong.
Nothing waits longer for a boundary than two poll periods and a renewal of the meter. A change of the interval's length
acts at the first boundary that both lengths share. (What a restart does: `resume`.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import lcm
from typing import Any

from agent.acquire.drivers.base import BlockRead, Identity
from agent.acquire.points import Point
from agent.measure.line import Line
from agent.measure.notices import Notices
from agent.measure.reads import BlockReads, worth
from agent.measure.standing import Standing
from agent.measure.statistics import Statistics
from shared.batch import Event, Gap
from shared.intervals import Intervals
from shared.registers import Mark

US = 1_000_000
#: A timeline that lacks more boundaries than this in a row is ended and begun anew.
MOST_SKIPPED = 1000


@dataclass(frozen=True, slots=True)
class Metered:
    """What the builder must know of a meter."""

    id: str
    disclosure: str
    serial: str | None  # as configured
    poll: int  # [us]
    rating: int | None  # [mW]
    blocks: Mapping[int, tuple[Point, ...]]  # register points by block
    update: int = 0  # how often its registers are renewed, where that is longer than the tolerance [us]
    expects: Mapping[str, Fraction] = field(default_factory=dict)  # settings as configured, by name


@dataclass(frozen=True, slots=True)
class Sealable:
    """What is ready for the outbox: bodies by kind, and the state that a restart needs."""

    intervals: tuple[Intervals, ...]
    gaps: tuple[Gap, ...]
    events: tuple[Event, ...]
    state: dict[str, Any]


@dataclass(slots=True)
class Builder:
    """Turns reads into intervals; `opened` are the boundaries since the last seal: UTC second and boot time."""

    length: int  # [s]
    seal: int  # [s]
    tolerance: int  # [us]
    meters: Mapping[str, Metered]
    boot_id: str
    lines: list[Line] = field(default_factory=list)
    opened: list[tuple[int, int | None]] = field(default_factory=list)
    notices: Notices = field(default_factory=Notices)
    gaps: list[Gap] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)  # meters whose identity should be read again
    latest: int | None = None  # the last boundary passed on this timeline [UTC s]
    next_length: int | None = None  # acts from the first boundary that both lengths share [s]
    standing: dict[str, Standing] = field(default_factory=dict)
    _last_values: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for meter in self.meters.values():
            self.standing[meter.id] = Standing(meter.poll)
            for order, (block, points) in enumerate((meter.blocks or {-1: ()}).items()):
                source = "config" if meter.serial else "none"
                self._add_line(meter, block, points, (meter.serial, source), carries_statistics=order == 0)

    def _add_line(
        self, meter: Metered, block: int, points: tuple[Point, ...], serial: tuple[str | None, str],
        *, carries_statistics: bool,
    ) -> Line:  # fmt: skip
        reads = BlockReads(meter.id, points, meter.poll, self.tolerance, meter.rating, meter.update)
        self.lines.append(Line(meter.id, block, *serial, reads, carries_statistics=carries_statistics))
        return self.lines[-1]

    def _live(self, meter: str) -> Iterator[Line]:
        return (line for line in self.lines if line.meter == meter and line.ended is None)

    # -- what happens ------------------------------------------------------------------------------------------------

    def feed(self, read: BlockRead) -> None:
        """Take one block read."""
        if read.registers and all(line.block != read.block for line in self._live(read.meter)):
            self._regroup(read)
        if read.scaled:
            self._rescale(read)
        self._stands(read)
        for line in self._live(read.meter):
            if line.block == read.block:
                line.reads.feed(read)
                self._count(line, read)
                if line.reads.suspect is not None:
                    self.doubtful.add(read.meter)
        if read.values:
            self._statistics(read)
        self.notices.greet(read)

    def _regroup(self, read: BlockRead) -> None:
        """Give a block of its own to registers that the poller now reads by another request."""
        old = [line for line in self._live(read.meter) if any(p.quantity in read.registers for p in line.reads.points)]
        if not old:
            return
        meter, first = self.meters[read.meter], old[0]
        points = tuple(p for line in old for p in line.reads.points if p.quantity in read.registers)
        serial = (first.serial, first.serial_source)
        fresh = self._add_line(meter, read.block, points, serial, carries_statistics=False)
        if len(old) == 1:  # what the former block brought at the boundaries stands for these registers, too
            fresh.continues(first)
        for line in old:
            fresh.reads.known |= {name: seen for name, seen in line.reads.known.items() if name in read.registers}
            line.reads.points = tuple(p for p in line.reads.points if p.quantity not in read.registers)

    def _rescale(self, read: BlockRead) -> None:
        """Begin a new line for registers whose worth the meter now declares otherwise than before."""
        for line in [one for one in self._live(read.meter) if one.block == read.block]:
            points = tuple(read.scaled.get(point.quantity, point) for point in line.reads.points)
            if points == line.reads.points:
                continue
            if not line.reads.known and not line.reads.recent:  # nothing was ever read by the worth of before
                line.reads.points = points
                continue
            detail: dict[str, object] = {
                new.quantity: [[mult.numerator, mult.denominator] for mult in new.mults]
                for new, old in zip(points, line.reads.points, strict=True)
                if new != old
            }
            self.notices.note(read.meter, "scale_changed", read.at, detail)
            line.ended, serial = read.sent, (line.serial, line.serial_source)
            carries, line.carries_statistics = line.carries_statistics, False
            fresh = self._add_line(self.meters[read.meter], read.block, points, serial, carries_statistics=carries)
            fresh.statistics, line.statistics = line.statistics, {}

    def _stands(self, read: BlockRead) -> None:
        """Watch for registers that stand still under load, and tell when one moves again."""
        standing = self.standing[read.meter]
        frozen = {name: standing.watches[name] for name in standing.frozen()}
        was = {name: [watch.moved, watch.raw] for name, watch in frozen.items()}
        standing.registers(read.registers, read.at)
        standing.values(read.values, read.at)
        moved = {name: seen for name, seen in was.items() if name not in standing.frozen()}
        if moved:
            detail: dict[str, object] = {
                name: {"last": seen, "first": [read.at, read.registers[name]]} for name, seen in moved.items()
            }
            self.notices.note(read.meter, "register_frozen", read.at, detail)

    def _interval_of(self, at: int) -> int | None:
        """Return the start of the open interval that a boot time lies in."""
        return next((wall for wall, boot in reversed(self.opened) if boot is not None and boot <= at), None)

    def _count(self, line: Line, read: BlockRead) -> None:
        start = self._interval_of(read.at)
        if start is not None:
            line.statistics.setdefault(start, Statistics()).samples += 1

    def _statistics(self, read: BlockRead) -> None:
        before = self._last_values.setdefault(read.meter, {})
        start = self._interval_of(read.at)
        for line in self._live(read.meter):
            if line.carries_statistics and start is not None:
                line.statistics.setdefault(start, Statistics()).add(read.values, before, read.at)
        before |= {name: (read.at, value) for name, value in read.values.items() if value is not None}

    def identified(self, meter: str, who: Identity, at: int) -> None:
        """Take note of what a device told of itself. [boot us]"""
        self.doubtful.discard(meter)
        self.notices.settings(meter, who, self.meters[meter].expects, at)
        if who.serial is None:
            return
        serial = self.notices.serial(meter, who.serial, self.meters[meter].serial, at)
        live = list(self._live(meter))
        if any(line.serial_source == "device" and line.serial != serial for line in live):
            self._exchange(meter, live, serial, at)
            return
        for line in live:  # told for the first time: no proof that another meter ran before
            line.serial, line.serial_source = serial, "device"

    def located(self, meter: str, blocks: Mapping[int, tuple[Point, ...]]) -> bool:
        """Take the registers of a meter whose addresses were found on the device; return whether they are new."""
        live = list(self._live(meter))
        if any(line.reads.points for line in live):
            return False
        self.lines = [line for line in self.lines if line not in live]
        for order, (block, points) in enumerate((blocks or {-1: ()}).items()):
            serial = live[0].serial, live[0].serial_source
            line = self._add_line(self.meters[meter], block, points, serial, carries_statistics=order == 0)
            if order == 0:
                line.statistics = live[0].statistics
        return bool(blocks)

    def _exchange(self, meter: str, live: Sequence[Line], serial: str, at: int) -> None:
        last: dict[str, dict[str, object]] = {
            point.quantity: {"last": list(line.reads.known[point.quantity]), "first": None, **worth(point)}
            for line in live
            for point in line.reads.points
            if point.quantity in line.reads.known
        }
        was = live[0].serial
        suspects = [line.reads.take_suspect() for line in live]
        for line in live:
            line.ended = at
            self._add_line(
                self.meters[meter], line.block, line.reads.points, (serial, "device"),
                carries_statistics=line.carries_statistics,
            )  # fmt: skip
        self.notices.exchanged(meter, (was, serial), last, at)
        for suspect in suspects:
            if suspect is not None:
                self.feed(suspect)

    def add(self, event: Event) -> None:
        """Take note of something that happened."""
        self.notices.add(event)

    # -- the timeline ------------------------------------------------------------------------------------------------

    def open(self, wall: int, boot: int) -> None:
        """Pass a boundary. [UTC s, boot us]"""
        last = self.opened[-1][0] if self.opened else wall - self.length
        if self._switches_at(last) or (self.latest is not None and wall <= self.latest):
            return
        if wall - last > MOST_SKIPPED * self.length:
            self._gaps(last, wall, "clock_step")
            self.jump()
            last = wall - self.length
        self.opened += [(missed, None) for missed in range(last + self.length, wall, self.length)]
        self.opened.append((wall, boot))
        self.latest = wall
        self.notices.passed()

    def jump(self) -> None:
        """End the timeline, because the wall clock stepped: `open` begins the next one with whatever comes."""
        for line in self.lines:
            line.choices.clear()
            line.statistics.clear()
        self.opened, self.latest = [], None

    def _gaps(self, first: int, stop: int, why: str) -> None:
        self.gaps += [
            Gap(line.meter, point.quantity, first, stop, why)
            for line in self.lines
            if line.ended is None
            for point in line.reads.points
        ]

    def _switches_at(self, wall: int) -> bool:
        """Return whether a new length of the intervals acts from a boundary on. [UTC s]"""
        return self.next_length is not None and wall % lcm(self.length, self.next_length) == 0

    def ready(self, now: int, *, stopping: bool = False) -> Sealable | None:
        """Return what can be sealed at this moment, or None.

        Args:
            now: The present. [boot us]
            stopping: Seal every closed interval, also when the span that shares a batch is not full.
        """
        settled = 0
        for count, (wall, boot) in enumerate(self.opened, start=1):
            waiting = [line for line in self.lines if not self._resolve(line, wall, boot, now)]
            if waiting:
                break
            settled = count
        walls = [wall for wall, _ in self.opened[:settled]]
        ends = [
            at for at in range(1, settled) if stopping or walls[at] % self.seal == 0 or self._switches_at(walls[at])
        ]
        if not self.opened or not (ends or self.gaps):
            return None
        return self._seal(ends[-1] if ends else 0)

    def _resolve(self, line: Line, wall: int, boot: int | None, now: int) -> bool:
        frozen = self.standing[line.meter].frozen()
        marks = int(Mark.SETTINGS) if self.notices.doubts(line.meter) else 0
        return line.resolve(wall, boot, now, frozen, marks)

    def _seal(self, end: int) -> Sealable:
        span = self.opened[: end + 1]
        bodies = tuple(self._bodies(span)) if end else ()
        for line in self.lines:
            line.seal(span[-1][0])
        self.lines = [line for line in self.lines if line.ended is None]
        self.opened = self.opened[end:]
        if end and self.next_length is not None and self._switches_at(self.opened[0][0]):
            self.length, self.next_length = self.next_length, None
        gaps, self.gaps = tuple(self.gaps), []
        return Sealable(bodies, gaps, tuple(self.take_events()), self.state())

    def _bodies(self, span: Sequence[tuple[int, int | None]]) -> Iterator[Intervals]:
        walls, boots = [wall for wall, _ in span], tuple(boot for _, boot in span)
        groups = sorted({meter.disclosure for meter in self.meters.values()})
        for group in groups:
            blocks = tuple(
                line.wire(walls, boots) for line in self.lines if self.meters[line.meter].disclosure == group
            )  # fmt: skip
            for block in blocks:
                self.notices.coarse(block, self.meters[block.meter].rating, self.length)
            yield Intervals(self.length, walls[0], len(walls) - 1, group, boots, blocks)

    def take_events(self) -> list[Event]:
        """Give away what happened since the last call, merged by meter and event."""
        found = [event for line in self.lines for event in line.reads.events]
        for line in self.lines:
            line.reads.events.clear()
        return self.notices.take(found)

    # -- restart -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON values."""
        wall, boot = self.opened[0] if self.opened else (None, None)
        kept = [] if wall is None else [line.state(wall) for line in self.lines]
        return {
            "wall": wall,
            "boot": boot,
            "boot_id": self.boot_id,
            "latest": self.latest,
            "length": self.length,
            "told": self.notices.told,
            "standing": {meter: one.state() for meter, one in self.standing.items()},
            "lines": [line for line in kept if line is not None],
        }
