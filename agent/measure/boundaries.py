"""From reads to sealed spans: the timeline of boundaries and the lines of all meters along it.

Rules of this file: pure, told the time. A boundary once passed is never opened again, also after a restart, so a wall
clock that steps back makes one long interval instead of two of the same name; boundaries that a step jumped over were
never passed and stay unknown; a step that is too far for either begins a new timeline. Nothing waits longer for a
boundary than two poll periods. A restart continues where the last seal ended if it comes before the next boundary of
the same boot; else what was missed is a named gap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.acquire.drivers.base import BlockRead
from agent.acquire.points import Point
from agent.measure.line import Line, restored
from agent.measure.reads import Believed, BlockReads, Choice
from agent.measure.statistics import Statistics
from shared.batch import Event, Gap
from shared.intervals import Intervals

US = 1_000_000
#: A wall clock that jumps over more boundaries than this begins a new timeline.
MOST_SKIPPED = 1000
#: Events that wait are merged when they are more than this; a meter may fail many times a second.
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Metered:
    """What the builder must know of a meter."""

    id: str
    disclosure: str
    serial: str | None  # as configured
    poll: int  # [us]
    rating: int | None  # [mW]
    blocks: Mapping[int, tuple[Point, ...]]  # register points by block


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
    events: list[Event] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)  # meters whose identity should be read again
    latest: int | None = None  # boundary after which no other was ever passed [UTC s]
    _last_values: dict[str, dict[str, tuple[int, int]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for meter in self.meters.values():
            self._add_lines(meter, meter.serial, "config" if meter.serial else "none")

    def _add_lines(self, meter: Metered, serial: str | None, source: str) -> None:
        blocks = meter.blocks or {-1: ()}
        for order, (block, points) in enumerate(blocks.items()):
            reads = BlockReads(meter.id, points, meter.poll, self.tolerance, meter.rating)
            self.lines.append(Line(meter.id, block, serial, source, reads, carries_statistics=order == 0))

    def _live(self, meter: str) -> Iterator[Line]:
        return (line for line in self.lines if line.meter == meter and line.ended is None)

    # -- what happens ------------------------------------------------------------------------------------------------

    def feed(self, read: BlockRead) -> None:
        """Take one block read."""
        if read.registers and all(line.block != read.block for line in self._live(read.meter)):
            self._regroup(read)
        for line in self._live(read.meter):
            if line.block == read.block:
                line.reads.feed(read)
                self._count(line, read)
                if line.reads.suspect is not None:
                    self.doubtful.add(read.meter)
        if read.values:
            self._statistics(read)

    def _regroup(self, read: BlockRead) -> None:
        """Give a block of its own to registers that the poller now reads by another request."""
        old = [line for line in self._live(read.meter) if any(p.quantity in read.registers for p in line.reads.points)]
        if not old:
            return
        meter, first = self.meters[read.meter], old[0]
        points = tuple(p for line in old for p in line.reads.points if p.quantity in read.registers)
        reads = BlockReads(meter.id, points, meter.poll, self.tolerance, meter.rating)
        fresh = Line(meter.id, read.block, first.serial, first.serial_source, reads, carries_statistics=False)
        if len(old) == 1:  # what the former block brought at the boundaries stands for these registers, too
            fresh.continues(first)
        for line in old:
            reads.known |= {name: seen for name, seen in line.reads.known.items() if name in read.registers}
            line.reads.points = tuple(p for p in line.reads.points if p.quantity not in read.registers)
        self.lines.append(fresh)

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

    def identified(self, meter: str, serial: str | None, at: int) -> None:
        """Take note of the serial that a device told. [boot us]"""
        self.doubtful.discard(meter)
        if serial is None:
            return
        configured = self.meters[meter].serial
        if configured is not None and same_serial(serial, configured):
            serial = configured
        elif configured is not None:
            self._note(meter, "serial_mismatch", at, {"device": serial, "config": configured})
        live = list(self._live(meter))
        if any(line.serial_source == "device" and line.serial != serial for line in live):
            self._exchange(meter, live, serial, at)
            return
        for line in live:  # told for the first time: no proof that another meter ran before
            line.serial, line.serial_source = serial, "device"

    def _exchange(self, meter: str, live: Sequence[Line], serial: str, at: int) -> None:
        last = {name: list(seen) for line in live for name, seen in line.reads.known.items()}
        was = live[0].serial
        suspects = [line.reads.take_suspect() for line in live]
        for line in live:
            line.ended = at
        self._add_lines(self.meters[meter], serial, "device")
        seams = {name: {"last": seen, "first": None} for name, seen in last.items()}
        self._note(meter, "meter_exchanged", at, {"from": was, "to": serial, **seams})
        for suspect in suspects:
            if suspect is not None:
                self.feed(suspect)

    def _note(self, meter: str, what: str, at: int, detail: dict[str, object]) -> None:
        self.add(Event(meter, what, at, at, 1, detail))

    def add(self, event: Event) -> None:
        """Take note of something that happened."""
        self.events.append(event)
        if len(self.events) > MOST_EVENTS:
            self.events = merged(self.events)

    # -- the timeline ------------------------------------------------------------------------------------------------

    def open(self, wall: int, boot: int) -> None:
        """Pass a boundary. [UTC s, boot us]"""
        far = MOST_SKIPPED * self.length
        if self.latest is not None and self.latest - far <= wall <= self.latest:
            return
        last = self.opened[-1][0] if self.opened else wall - self.length
        if abs(wall - last) > far:
            self._restart(wall, boot)
            return
        if wall <= last:
            return
        self.opened += [(missed, None) for missed in range(last + self.length, wall, self.length)]
        self.opened.append((wall, boot))
        self.latest = wall if self.latest is None else max(self.latest, wall)

    def _restart(self, wall: int, boot: int) -> None:
        """Begin a new timeline, because the clock was far from right before this boundary or is so now."""
        first = self.latest
        if first is not None and first < wall:
            self.gaps += [
                Gap(line.meter, point.quantity, first, wall, "clock_step")
                for line in self.lines
                if line.ended is None
                for point in line.reads.points
            ]
        for line in self.lines:
            line.choices.clear()
            line.statistics.clear()
        self.opened, self.latest = [(wall, boot)], wall

    def ready(self, now: int, *, stopping: bool = False) -> Sealable | None:
        """Return what can be sealed at this moment, or None.

        Args:
            now: The present. [boot us]
            stopping: Seal every closed interval, also when the span that shares a batch is not full.
        """
        settled = 0
        for count, (wall, boot) in enumerate(self.opened, start=1):
            unsettled = [line for line in self.lines if not line.resolve(wall, boot, now)]
            if unsettled:
                break
            settled = count
        ends = [at for at in range(1, settled) if stopping or self.opened[at][0] % self.seal == 0]
        if not self.opened or not (ends or self.gaps):
            return None
        return self._seal(ends[-1] if ends else 0)

    def _seal(self, end: int) -> Sealable:
        span = self.opened[: end + 1]
        bodies = tuple(self._bodies(span)) if end else ()
        for line in self.lines:
            line.seal(span[-1][0])
        self.lines = [line for line in self.lines if line.ended is None]
        self.opened = self.opened[end:]
        gaps, self.gaps = tuple(self.gaps), []
        return Sealable(bodies, gaps, tuple(self.take_events()), self.state())

    def _bodies(self, span: Sequence[tuple[int, int | None]]) -> Iterator[Intervals]:
        walls, boots = [wall for wall, _ in span], tuple(boot for _, boot in span)
        groups = sorted({meter.disclosure for meter in self.meters.values()})
        for group in groups:
            blocks = tuple(
                line.wire(walls, boots) for line in self.lines if self.meters[line.meter].disclosure == group
            )  # fmt: skip
            yield Intervals(self.length, walls[0], len(walls) - 1, group, boots, blocks)

    def take_events(self) -> list[Event]:
        """Give away what happened since the last call, merged by meter and event."""
        found = [*self.events, *(event for line in self.lines for event in line.reads.events)]
        self.events = []
        for line in self.lines:
            line.reads.events.clear()
        return merged(found)

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
            "lines": [line for line in kept if line is not None],
        }

    def resume(self, state: Mapping[str, Any], *, now_wall: int, now_boot: int) -> None:
        """Continue after a restart.

        Args:
            state: What `state` gave at the last seal.
            now_wall: The present. [UTC us]
            now_boot: The present. [boot us]
        """
        wall = state.get("wall")
        if wall is None:
            return
        self.latest = state["latest"]
        elapsed = max(0, now_wall - wall * US)
        same_boot = state["boot_id"] == self.boot_id
        shift = None if same_boot else now_boot - elapsed
        within = same_boot and state["boot"] is not None and now_wall < (wall + self.length) * US
        for kept in state["lines"]:
            for line in self._live(kept["meter"]):
                if line.block == kept["block"]:
                    self._resume_line(line, kept, within=within, wall=wall, shift=shift)
        if within:
            self.opened = [(wall, state["boot"])]
        else:
            self._missed(wall, now_wall)

    def _resume_line(self, line: Line, kept: Mapping[str, Any], *, within: bool, wall: int, shift: int | None) -> None:
        line.serial, line.serial_source = kept["serial"], kept["serial_source"]
        names = {point.quantity for point in line.reads.points}
        for name, (at, raw) in kept["known"].items():
            if name in names:
                line.reads.known[name] = (at if shift is None else shift, restored(raw))
        line.before = dict.fromkeys(line.reads.known, (0, 0))
        if within:
            believed = [
                Believed(
                    sent, at, {name: None if raw is None else restored(raw) for name, raw in registers.items()},
                    dict(line.reads.runs), dict(line.reads.turns),
                )
                for sent, at, registers in kept["reads"]
            ]  # fmt: skip
            line.choices[wall] = Choice(tuple(believed), kept["late"])
            line.reads.recent.extend(believed[-1:])

    def _missed(self, wall: int, now_wall: int) -> None:
        """Name the intervals that passed while the agent was down."""
        first = -(-now_wall // (self.length * US)) * self.length
        if first > wall:
            self.gaps += [
                Gap(line.meter, point.quantity, wall, first, "agent_down")
                for line in self.lines
                for point in line.reads.points
                if point.quantity in line.reads.known
            ]


def same_serial(told: str, configured: str) -> bool:
    """Return whether two spellings name one meter: many devices tell their number without its leading zeros.

    >>> same_serial("12345678", "0012345678")
    True
    """
    if told.isdecimal() and configured.isdecimal():
        return told.lstrip("0") == configured.lstrip("0")
    return told == configured


def merged(events: Sequence[Event]) -> list[Event]:
    """Return events with those of the same meter and name made one, with first, last and count; seams stay apart."""
    found: dict[object, Event] = {}
    for at, event in enumerate(events):
        apart = event.event in ("register_reset", "register_rollover", "meter_exchanged", "read_discarded")
        key = (event.meter, event.event, at if apart else None)
        kept = found.get(key)
        if kept is None:
            found[key] = event
        else:
            found[key] = Event(
                event.meter, event.event, kept.first, event.last, kept.count + event.count, event.detail
            )  # fmt: skip
    return list(found.values())
