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
#: Gaps of one meter that are remembered.
MOST_LACKS = 256
#: What a meter's clock may drift between two looks. [parts per million]
DRIFT_PPM = 50
_REST_US = (60 * US, 6 * 3600 * US)  # after a refusal, doubled each time
_FEWEST = 3  # after so many refusals an eighth is asked for at once

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
    open: dict[Key, Lack] = field(default_factory=dict)  # gaps whose end is not known yet
    closed: dict[str, list[Lack]] = field(default_factory=dict)  # by meter: gaps that can be asked for
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
            self._begin(body, blocks[-1])
            return
        for block in blocks:
            for name in block.registers.keys() & self.keepers[meter].points.keys():
                self._register((meter, name), body, block.registers[name], block)

    def _begin(self, body: Intervals, block: Block) -> None:
        """Take note of where the registers of a meter stand that took another's place."""
        for name, register in block.registers.items():
            for place, level in enumerate(rule.registers(register, block.at, body.boundaries)):
                if level is not None:
                    self.last[block.meter, name] = (body.start + place * body.length, level)

    def _register(self, key: Key, body: Intervals, register: Register, block: Block) -> None:
        levels = rule.registers(register, block.at, body.boundaries)
        for place, (level, flag) in enumerate(zip(levels, register.flags, strict=True)):
            wall = body.start + place * body.length
            if flag & Mark.SEAM and place:
                self.open.pop(key, None)  # the register ended in it
            if level is None:
                self._lost(key, wall, body.length)
            else:
                self._known(key, (wall, level), register)

    def _lost(self, key: Key, wall: int, length: int) -> None:
        before, lack = self.last.get(key), self.open.get(key)
        if (before is not None and wall <= before[0]) or (lack is not None and wall <= lack.last):
            return
        if lack is not None and lack.length == length and lack.last + length == wall:
            short = (wall - lack.first) // length >= MOST
            self.open[key] = replace(lack, last=wall, first=lack.first + length * short)
        else:
            self.open[key] = Lack(*key, length, wall, wall, before)

    def _known(self, key: Key, level: Level, register: Register) -> None:
        lack = self.open.pop(key, None)
        if lack is not None and level[0] == lack.last + lack.length:
            mod = rule.modulus(register.mod, register.mult)
            whole = replace(lack, after=level, step=register.step or 0, mod=mod)
            self.closed[key[0]] = [*self.closed.get(key[0], ()), whole][-MOST_LACKS:]
        self.last[key] = level

    def forget(self, meter: str | None = None) -> None:
        """Forget what lacks of a meter, or of all: what it keeps is of another meter, or of another time."""
        gone = self.keepers.keys() if meter is None else {meter}
        for name in gone:
            self._drop(name)
        self.last = {key: level for key, level in self.last.items() if key[0] not in gone}

    def _drop(self, meter: str) -> None:
        """Forget the gaps of a meter."""
        self.open = {key: lack for key, lack in self.open.items() if key[0] != meter}
        self.closed.pop(meter, None)
        self._jobs.pop(meter, None)

    def lacks(self, meter: str) -> list[Lack]:
        """Return what a meter lacks."""
        return [*self.closed.get(meter, ()), *(lack for key, lack in self.open.items() if key[0] == meter)]

    # -- the meter's clock -------------------------------------------------------------------------------------------

    def see(self, meter: str, clock: MeterClock, ours: int) -> None:
        """Take what a meter's clock told, as if UTC whatever its zone. ours: wall time less boot time. [us]"""
        keeper = self.keepers.get(meter)
        if keeper is None:
            return
        found, wall, before = offset(clock, ours), clock.at + ours, self.clocks.get(meter)
        if before is None or self._is_changed(before, found, wall, keeper):
            self.clocks[meter] = Told(found, wall, wall)
            lost = self.lacks(meter)
            if lost and before is not None:
                detail: dict[str, object] = {
                    "reason": "its clock was changed", "ahead_us": [before.offset.ahead, found.ahead],
                    "from": min(one.first for one in lost), "to": max(one.last for one in lost),
                }  # fmt: skip
                self.events.append(Event(meter, "recorder_unsure", clock.at, clock.at, 1, detail))
            self._drop(meter)
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
        for meter in list(self.closed):
            job = self._jobs.get(meter) or self._begun(meter, now + ours, ours)
            until, rest = self._rests.get(meter, (0, 0))
            if job is None or job.asked or now < until:
                continue
            self._jobs[meter], job.asked = job, True
            fewer = min((rest // _REST_US[0]).bit_length(), _FEWEST)  # a slow line may have no time for more
            stop = min(job.stop, job.next + (self.keepers[meter].window >> fewer))
            found.append(Request(meter, job.next, stop))
        return found

    def _begun(self, meter: str, wall: int, ours: int) -> _Job | None:
        """Return the oldest gap of a meter that can be asked for."""
        clock, keeper = self.clocks.get(meter), self.keepers[meter]
        if clock is None:
            return None
        closed = self.closed[meter] = [one for one in self.closed[meter] if clock.since <= one.first * US]
        oldest = min(closed, key=lambda one: (one.first, one.last), default=None)
        if oldest is None or wall < oldest.walls[-1] * US + keeper.settled or clock.wall < oldest.last * US:
            return None
        span = (oldest.first, oldest.last, oldest.length)
        lacks = [one for one in closed if (one.first, one.last, one.length) == span]
        start, stop = oldest.walls[0] * US - keeper.period, oldest.walls[-1] * US + keeper.period
        ruler = Ruler(_told_apart(clock.offset), ours, self.tolerance)
        ahead = ruler.offset.ahead
        return _Job(lacks, ruler, start + ahead, stop + ahead + 1)

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
        self.closed[meter] = [one for one in self.closed[meter] if one not in job.lacks]
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
                for one in (*(one for some in self.closed.values() for one in some), *self.open.values())
            ],
            "last": [[*key, *level] for key, level in self.last.items()],
            "serials": self.serials,
            "clocks": {
                name: [one.offset.ahead, one.offset.within, one.wall, one.since] for name, one in self.clocks.items()
            },
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Take over what was known at the last seal, of meters that still keep their registers."""
        for meter, name, length, first, last, before, after, step, mod in state.get("lacks", ()):
            lack = Lack(meter, name, length, first, last, _level(before), _level(after), step, mod)
            if meter not in self.keepers or name not in self.keepers[meter].points:
                continue
            if lack.after is None:
                self.open[meter, name] = lack
            else:
                self.closed.setdefault(meter, []).append(lack)
        self.last = {(meter, name): (wall, level) for meter, name, wall, level in state.get("last", ())}
        self.serials = {name: (serial, source) for name, (serial, source) in state.get("serials", {}).items()}
        self.clocks = {
            name: Told(Offset(ahead, within), wall, since)
            for name, (ahead, within, wall, since) in state.get("clocks", {}).items()
        }


def _told_apart(found: Offset) -> Offset:
    """Return an offset that labels are moved by: a clock that shows whole seconds is right if it is so within one."""
    if abs(found.ahead) > recorded.SECOND + found.within:
        return found
    return Offset(0, abs(found.ahead) + found.within)


def _level(kept: Any) -> Level | None:  # noqa: ANN401 - a pair as JSON keeps it
    return None if kept is None else (kept[0], kept[1])


def _merged(blocks: Iterable[Block]) -> Iterable[Block]:
    """Give blocks with registers of the same labels together."""
    found: dict[object, Block] = {}
    for one in blocks:
        key = (one.at, one.stamps)
        found[key] = one if key not in found else replace(one, registers=found[key].registers | one.registers)
    return found.values()
