"""Gaps refilled from the meter itself: remembers which boundaries were sealed as unknown, and asks for them later.

Rules of this file: pure, told the time. Nothing is asked before the boundary after a gap is known and the meter's clock
was compared before the gap and after it; where the clock was changed in between, or the meter exchanged, or ours
stepped, nothing is asked at all. The oldest first, because a recorder forgets it first; one request at a time for each
meter, and a growing rest after a refusal. What was sealed stays as it is: what the meter had kept is added.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from agent.acquire.drivers.base import MeterClock, Recorded
from agent.acquire.points import Point
from agent.measure import recorded
from agent.measure.meterclock import Offset, offset
from agent.measure.recorded import Disagreement, Keeper, Lack, Level, Ruler
from shared import registers as rule
from shared.batch import Event, Gap
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register

US = 1_000_000
#: Boundaries of one gap that are remembered: a week of five minutes. The oldest are forgotten first.
MOST = 2016
#: Gaps of all registers that are remembered.
MOST_LACKS = 1000
#: What a meter's clock may drift between two looks. [parts per million]
DRIFT_PPM = 50
_REST_US = (60 * US, 6 * 3600 * US)  # after a refusal, doubled each time

Key = tuple[str, str]  # meter, quantity


@dataclass(frozen=True, slots=True)
class Told:
    """The offset of a meter's clock, and since when it was never changed."""

    offset: Offset
    wall: int  # of the last look [UTC us]
    since: int  # [UTC us]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask a meter for, by its own clock: labels in ``[start, stop)``. [us]"""

    meter: str
    start: int
    stop: int


@dataclass(slots=True)
class _Job:
    """The gaps of a meter that are being refilled."""

    lacks: list[Lack]
    ruler: Ruler
    next: int  # label from which on it is to be asked [us]
    stop: int
    asked: bool = False
    heard: list[Recorded] = field(default_factory=list)


@dataclass(slots=True)
class Refill:
    """What the meters of a site lack, and the requests for it.

    Args:
        keepers: Of the meters that keep their registers themselves.
        disclosure: Group of parties, by meter.
        tolerance: That a boundary read has. [us]
    """

    keepers: Mapping[str, Keeper]
    disclosure: Mapping[str, str]
    tolerance: int
    lacks: list[Lack] = field(default_factory=list)
    last: dict[Key, Level] = field(default_factory=dict)
    serials: dict[str, tuple[str | None, str]] = field(default_factory=dict)  # and who says so
    clocks: dict[str, Told] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    _jobs: dict[str, _Job] = field(default_factory=dict)
    _rests: dict[str, tuple[int, int]] = field(default_factory=dict)  # until, and how long [us]

    # -- what was sealed ---------------------------------------------------------------------------------------------

    def sealed(self, bodies: Iterable[Intervals], gaps: Iterable[Gap], length: int) -> None:
        """Take note of what was sealed, known and unknown. length: of an interval that a gap names. [s]"""
        for gap in gaps:
            keeper = self.keepers.get(gap.meter)
            if gap.reason == "agent_down" and keeper is not None and gap.quantity in keeper.points:
                for wall in range(max(gap.start, gap.stop - MOST * length), gap.stop, length):
                    self._lost((gap.meter, gap.quantity), wall, length)
        for body in bodies:
            own = [block for block in body.blocks if block.meter in self.keepers]
            for meter in {block.meter for block in own}:
                self._sealed(body, meter, [block for block in own if block.meter == meter])

    def _sealed(self, body: Intervals, meter: str, blocks: Sequence[Block]) -> None:
        before, serials = self.serials.get(meter), {block.serial for block in blocks}
        self.serials[meter] = blocks[-1].serial, blocks[-1].serial_source
        if len(serials) > 1 or (before is not None and before[0] is not None and before[0] not in serials):
            self.forget(meter)
            blocks = blocks[-1:]
        for block in blocks:
            for name in block.registers.keys() & self.keepers[meter].points.keys():
                self._register((meter, name), body, block.registers[name], block)

    def _register(self, key: Key, body: Intervals, register: Register, block: Block) -> None:
        levels = rule.registers(register, block.at, body.boundaries)
        for place, (level, flag) in enumerate(zip(levels, register.flags, strict=True)):
            wall = body.start + place * body.length
            if flag & Mark.SEAM and place:
                self._tear(key)
            if level is None:
                self._lost(key, wall, body.length)
            else:
                self._known(key, (wall, level), register)

    def _open(self, key: Key) -> Lack | None:
        return next((one for one in reversed(self.lacks) if _key(one) == key and one.after is None), None)

    def _lost(self, key: Key, wall: int, length: int) -> None:
        before, lack = self.last.get(key), self._open(key)
        if (before is not None and wall <= before[0]) or (lack is not None and wall <= lack.last):
            return
        if lack is not None and lack.length == length and lack.last + length == wall:
            short = (wall - lack.first) // length >= MOST
            self._replace(lack, replace(lack, last=wall, first=lack.first + length * short))
            return
        self._tear(key)
        self.lacks.append(Lack(*key, length, wall, wall, before))
        self.lacks = self.lacks[-MOST_LACKS:]

    def _known(self, key: Key, level: Level, register: Register) -> None:
        lack = self._open(key)
        if lack is not None and level[0] == lack.last + lack.length:
            mod = recorded.modulus(register.mod, register.mult)
            self._replace(lack, replace(lack, after=level, step=register.step or 0, mod=mod))
        elif lack is not None:
            self._tear(key)
        self.last[key] = level

    def _replace(self, lack: Lack, by: Lack) -> None:
        self.lacks[self.lacks.index(lack)] = by

    def _tear(self, key: Key) -> None:
        """Forget a gap in which the register ended."""
        self.lacks = [one for one in self.lacks if _key(one) != key or one.after is not None]

    def forget(self, meter: str | None = None) -> None:
        """Forget what lacks of a meter, or of all: what it keeps is of another meter, or of another time."""
        gone = self.keepers.keys() if meter is None else {meter}
        self.lacks = [one for one in self.lacks if one.meter not in gone]
        self.last = {key: level for key, level in self.last.items() if key[0] not in gone}
        self._jobs = {name: job for name, job in self._jobs.items() if name not in gone}

    # -- the meter's clock -------------------------------------------------------------------------------------------

    def see(self, meter: str, clock: MeterClock, ours: int) -> None:
        """Take what a meter's clock told, as if UTC whatever its zone. ours: wall time less boot time. [us]"""
        keeper = self.keepers.get(meter)
        if keeper is None:
            return
        found, wall, before = offset(clock, ours), clock.at + ours, self.clocks.get(meter)
        if before is None or self._is_changed(before, found, wall, keeper):
            self.clocks[meter] = Told(found, wall, wall)
            lost = [one for one in self.lacks if one.meter == meter]
            if lost and before is not None:
                detail: dict[str, object] = {
                    "reason": "its clock was changed", "ahead_us": [before.offset.ahead, found.ahead],
                    "from": min(one.first for one in lost), "to": max(one.last for one in lost),
                }  # fmt: skip
                self.events.append(Event(meter, "recorder_unsure", clock.at, clock.at, 1, detail))
            self.lacks = [one for one in self.lacks if one.meter != meter]
            self._jobs.pop(meter, None)
        else:
            self.clocks[meter] = Told(found, wall, before.since)

    @staticmethod
    def _is_changed(before: Told, found: Offset, wall: int, keeper: Keeper) -> bool:
        apart = abs(found.ahead - before.offset.ahead)
        drift = abs(wall - before.wall) * DRIFT_PPM // 1_000_000
        return apart > before.offset.within + found.within + 2 * max(keeper.resolution, recorded.SECOND // 2) + drift

    # -- requests ----------------------------------------------------------------------------------------------------

    def due(self, now: int, ours: int) -> list[Request]:
        """Return what to ask now, at most one request a meter; it is to be `answered` or `refused`.

        Args:
            now: The present. [boot us]
            ours: Wall time less boot time. [us]
        """
        found = []
        for meter in {one.meter for one in self.lacks if one.after is not None}:
            job = self._jobs.get(meter) or self._begun(meter, now + ours, ours)
            if job is None or job.asked or now < self._rests.get(meter, (0, 0))[0]:
                continue
            self._jobs[meter], job.asked = job, True
            stop = min(job.stop, job.next + self.keepers[meter].window)
            found.append(Request(meter, job.next, stop))
        return found

    def _begun(self, meter: str, wall: int, ours: int) -> _Job | None:
        """Return the oldest gap of a meter that can be asked for."""
        clock, keeper = self.clocks.get(meter), self.keepers[meter]
        if clock is None:
            return None
        self.lacks = [one for one in self.lacks if one.meter != meter or clock.since <= one.first * US]
        closed = [one for one in self.lacks if one.meter == meter and one.after is not None]
        oldest = min(closed, key=lambda one: (one.first, one.last), default=None)
        if oldest is None or wall < oldest.last * US + keeper.settled or clock.wall < oldest.last * US:
            return None
        span = (oldest.first, oldest.last, oldest.length)
        lacks = [one for one in closed if (one.first, one.last, one.length) == span]
        start, stop = oldest.walls[0] * US - keeper.period, oldest.walls[-1] * US + keeper.period
        ahead = clock.offset.ahead
        return _Job(lacks, Ruler(clock.offset, ours, self.tolerance), start + ahead, stop + ahead + 1)

    def refused(self, meter: str, now: int) -> None:
        """Let a meter rest that did not tell, longer each time. [boot us]"""
        least, most = _REST_US
        longer = min(max(2 * self._rests.get(meter, (0, 0))[1], least), most)
        self._rests[meter] = (now + longer, longer)
        if meter in self._jobs:
            self._jobs[meter].asked = False

    def answered(self, request: Request, heard: Sequence[Recorded], now: int) -> list[Intervals]:
        """Return what a meter's answer makes known, once all was asked for. now: [boot us]"""
        meter, job = request.meter, self._jobs.get(request.meter)
        self._rests.pop(meter, None)
        if job is None or job.next != request.start:
            return []  # forgotten meanwhile
        job.heard, job.next, job.asked = [*job.heard, *heard], request.stop, False
        if self.keepers[meter].holds == "registers":
            job.heard = recorded.relevant(job.heard, job.lacks, job.ruler)
        if job.next < job.stop:
            return []
        del self._jobs[meter]
        self.lacks = [one for one in self.lacks if one not in job.lacks]
        return self._bodies(meter, job, now)

    def _bodies(self, meter: str, job: _Job, now: int) -> list[Intervals]:
        blocks: list[Block] = []
        for lack in job.lacks:
            try:
                made = recorded.filled(self.keepers[meter], lack, job.heard, job.ruler)
            except Disagreement as error:
                self._disagrees(lack, list(error.args[0]), now)
            else:
                blocks += [] if made is None else [self._named(made)]
        if not blocks:
            return []
        one, walls = job.lacks[0], job.lacks[0].walls[:-1]
        boundaries = tuple(wall * US - job.ruler.ours for wall in walls)
        group = self.disclosure[meter]
        return [Intervals(one.length, walls[0], len(walls) - 1, group, boundaries, tuple(_merged(blocks)))]

    def _named(self, made: tuple[Block, Point]) -> Block:
        serial, source = self.serials.get(made[0].meter, (None, "none"))
        return replace(made[0], serial=serial, serial_source=source)

    def _disagrees(self, lack: Lack, kept: list[int], now: int) -> None:
        detail: dict[str, object] = {
            lack.quantity: {"from": lack.first, "to": lack.last, "polled": [lack.before, lack.after],
                            "kept": [kept[0], kept[-1]] if kept else []},
        }  # fmt: skip
        self.events.append(Event(lack.meter, "recorder_disagrees", now, now, 1, detail))

    def take_events(self) -> list[Event]:
        """Give away what happened since the last call."""
        taken, self.events = self.events, []
        return taken

    # -- restart -----------------------------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Return what a restart needs, as JSON values."""
        return {
            "lacks": [
                [one.meter, one.quantity, one.length, one.first, one.last, one.before, one.after, one.step, one.mod]
                for one in self.lacks
            ],
            "last": [[*key, *level] for key, level in self.last.items()],
            "serials": self.serials,
            "clocks": {
                name: [one.offset.ahead, one.offset.within, one.wall, one.since] for name, one in self.clocks.items()
            },
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take over what was known at the last seal, of meters that still keep their registers."""
        self.lacks = [
            Lack(*one[:5], _level(one[5]), _level(one[6]), *one[7:])
            for one in state["lacks"]
            if one[0] in self.keepers and one[1] in self.keepers[one[0]].points
        ]
        self.last = {(meter, name): (wall, level) for meter, name, wall, level in state["last"]}
        self.serials = {name: (serial, source) for name, (serial, source) in state["serials"].items()}
        self.clocks = {
            name: Told(Offset(ahead, within), wall, since)
            for name, (ahead, within, wall, since) in state["clocks"].items()
        }


def _key(lack: Lack) -> Key:
    return lack.meter, lack.quantity


def _level(kept: Any) -> Level | None:  # noqa: ANN401 - a pair as JSON keeps it
    return None if kept is None else (kept[0], kept[1])


def _merged(blocks: Iterable[Block]) -> Iterable[Block]:
    """Give blocks with registers of the same labels together."""
    found: dict[object, Block] = {}
    for one in blocks:
        key = (one.at, one.stamps)
        found[key] = one if key not in found else replace(one, registers=found[key].registers | one.registers)
    return found.values()
