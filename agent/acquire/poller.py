"""Polls the meters of one physical link: boundary registers first, the dead never before the living.

Rules: one request at a time; nothing starts so late that it could delay a boundary; a meter that did not answer is
probed only in the slack between ticks, once per back-off; a failure is reported, never a value. Told the time by a
`Clock`, so that it also runs in simulated time.
"""

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from agent.acquire.drivers.base import BlockRead, Driver, Identity, Recorded, Refused, Target, Unreachable
from agent.acquire.plan import Block, renumber, split
from agent.acquire.points import Point
from agent.acquire.schedule import US, Breaker, Tick, next_boundary, next_tick
from shared.clock import Clock
from shared.errors import ReadError

Deliver = Callable[[BlockRead], None]
Failed = Callable[[str, ReadError], None]  # meter, why
Identified = Callable[[Target, Identity], None]  # the meter as it was found on the device, and what it told
Recalled = Callable[[list[Recorded] | ReadError], None]  # what the meter itself had kept, or why it did not tell

ILLEGAL_ADDRESS = 2
_NO_SUCH_THING = frozenset({1, ILLEGAL_ADDRESS, 3})  # the meter lives and lacks what was asked
_GUARD_US = 250_000
_IDENTITY_US = 3600 * US
_IDENTITY_AGAIN_US = 300 * US  # after a refusal
_BACK_OFF_US = (1 * US, 30 * US)
_LINK_BACK_OFF_US = (US // 2, 5 * US)
_LEAST_SLACK_US = 50_000
_RESERVE_US = 20_000  # to close and open a connection after a probe that failed
_NAP_US = 1 * US  # the wall clock may step while we sleep
_RECALL_US = 5 * US  # longest time for what a meter itself has kept
_PATIENCE = 10  # cycles without slack, after which one probe or identity read is done all the same

_NEVER_YET = Tick(0, is_boundary=False)


@dataclass(slots=True)
class Count:
    """What happened to the requests to one meter."""

    good: int = 0
    failed: int = 0
    refused: int = 0  # of the failed, those that the meter answered
    busy_us: int = 0  # time spent waiting for it [us]


@dataclass(slots=True)
class _Course:
    """A meter on its way: its requests, whether it lives, when it is due."""

    target: Target
    blocks: tuple[Block, ...]
    breaker: Breaker
    due: Tick = _NEVER_YET
    identity_due: int = 0  # [us since boot]
    nameless: bool = False  # it kept silent when asked for its identity, and so is probed by a block
    holes: dict[int, int] = field(default_factory=dict)  # block that does not exist -> when to try it again [us, boot]


@dataclass(frozen=True, slots=True)
class _Calls:
    deliver: Deliver
    failed: Failed
    identified: Identified


class Poller:
    """Reads every meter of one link at its ticks.

    Args:
        driver: The link.
        meters: The meters behind it.
        clock: Wall time for the ticks, boot time for everything else.
        interval_us: Length of the intervals, whose boundaries are read first. [us]
        timeout_s: Longest wait for one answer. [s]
        guard_us: No ordinary request starts less than this before a boundary. [us]
        chance: Varies the back-offs.
    """

    def __init__(
        self,
        driver: Driver,
        meters: Sequence[Target],
        clock: Clock,
        *,
        interval_us: int,
        timeout_s: float = 1.0,
        guard_us: int = _GUARD_US,
        chance: random.Random | None = None,
    ) -> None:
        chance = chance or random.Random()  # noqa: S311 - jitter, no secret
        self._driver = driver
        self._clock = clock
        self._interval_us = interval_us
        self._timeout_s = timeout_s
        self._guard_us = min(guard_us, interval_us // 4)
        self._link = Breaker(*_LINK_BACK_OFF_US, chance)
        self._courses = [_Course(meter, driver.blocks(meter), Breaker(*_BACK_OFF_US, chance)) for meter in meters]
        self._starved = 0
        self._wishes: dict[str, tuple[int, int, Recalled]] = {}  # by meter: labels [us], and whom to tell
        self.counts = {meter.id: Count() for meter in meters}
        self.skipped_ticks = 0
        self.boundary_late_us = 0  # of the last boundary: until its last register block was in [us]

    async def run(self, deliver: Deliver, failed: Failed, identified: Identified) -> None:
        """Poll until cancelled."""
        calls = _Calls(deliver, failed, identified)
        self._advance()
        try:
            while True:
                _obey()
                if due := self._due():
                    await self._cycle(due, calls)
                    await self._rest(due)
                    self._advance()
                await self._slack(calls)
                await self._recall()
                await self._nap()
        finally:
            await self._driver.close()

    async def once(self, deliver: Deliver, failed: Failed, identified: Identified) -> None:
        """Read identity and all blocks of every meter once, then close the link."""
        calls = _Calls(deliver, failed, identified)
        try:
            for course in self._courses:
                if not self._link.is_open:  # else each meter was told by the first failure
                    await self._identify(course, self._timeout_s, calls)
                    await self._read_all([(course, block) for block in course.blocks], calls, None)
        finally:
            await self._driver.close()

    def identify_soon(self, meter: str) -> None:
        """Read the identity of a meter in the next slack, because its registers make it doubtful."""
        for course in self._courses:
            if course.target.id == meter:
                course.identity_due = 0

    def recall(self, meter: str, start_us: int, stop_us: int, told: Recalled) -> None:
        """Ask a meter in the next slack for the registers that it kept itself. [us, by its own clock]"""
        self._wishes[meter] = (start_us, stop_us, told)

    def register_blocks(self, meter: str) -> dict[int, tuple[Point, ...]]:
        """Return the registers of a meter by the request that brings them."""
        blocks = next(course.blocks for course in self._courses if course.target.id == meter)
        found = {block.index: tuple(p for p in block.points if p.kind == "register") for block in blocks}
        return {index: points for index, points in found.items() if points}

    def _due(self) -> list[_Course]:
        now = self._clock.wall()
        return [course for course in self._courses if course.due.due_us <= now]

    def _advance(self) -> None:
        """Set the next tick of each course whose tick is over."""
        now = self._clock.wall()
        for course in self._courses:
            if course.due.due_us <= now:
                course.due = self._tick_after(course, now)

    def _tick_after(self, course: _Course, now: int) -> Tick:
        """Return the tick after the course's last one; if more than one has passed meanwhile, the next to come."""
        last, poll = course.due.due_us, course.target.poll_us
        upcoming = next_tick(now, poll, self._interval_us, self._guard_us)
        if not last:
            return upcoming
        following = next_tick(last, poll, self._interval_us, self._guard_us)
        if following.due_us == upcoming.due_us or now - following.due_us < poll:
            return following  # a little late: at once, rather than not at all
        self.skipped_ticks += 1
        return upcoming

    async def _nap(self) -> None:
        """Wait for the next tick, at most so long that a step of the wall clock is noticed."""
        now = self._clock.wall()
        wait = min(course.due.due_us for course in self._courses) - now
        if wait > self._interval_us + _NAP_US:  # the clock stepped back
            for course in self._courses:
                course.due = next_tick(now, course.target.poll_us, self._interval_us, self._guard_us)
            return
        if wait > 0:
            await self._clock.sleep(min(wait, _NAP_US) / US)

    async def _cycle(self, due: list[_Course], calls: _Calls) -> None:
        jobs = [(course, block) for course in due for block in course.blocks]
        boundary = max((course.due.due_us for course in due if course.due.is_boundary), default=None)
        if boundary is not None:
            await self._read_all([job for job in jobs if job[1].has_register], calls, None)
            self.boundary_late_us = self._clock.wall() - boundary
            jobs = [job for job in jobs if not job[1].has_register]
        await self._read_all(jobs, calls, self._limit())

    async def _rest(self, due: list[_Course]) -> None:
        """Close the link after a round where a meter behind it wants that."""
        if any(course.target.profile.close_after_gather for course in due):
            await self._driver.close()

    def _limit(self) -> int:
        """Return when ordinary requests stop, so that the next boundary is met. [us since the epoch]"""
        return next_boundary(self._clock.wall(), self._interval_us) - self._guard_us

    async def _read_all(self, jobs: Sequence[tuple[_Course, Block]], calls: _Calls, limit: int | None) -> None:
        """Read each block of each living meter, in order, until ``limit``."""
        for course, block in jobs:
            if limit is not None and self._clock.wall() >= limit:
                return
            if not course.breaker.is_open and not self._link.is_open and not self._is_hole(course, block):
                await self._read(course, block, self._patience(), calls)

    def _patience(self) -> float:
        """Return how long to wait for an answer: never into the next boundary. [s]"""
        now = self._clock.wall()
        left = next_boundary(now, self._interval_us) - now
        return min(self._timeout_s, max(left, self._guard_us) / US)

    def _is_hole(self, course: _Course, block: Block) -> bool:
        return self._clock.boot() < course.holes.get(block.index, 0)

    async def _read(self, course: _Course, block: Block, timeout_s: float, calls: _Calls) -> None:
        meter, count = course.target, self.counts[course.target.id]
        if meter.profile.pause_ms:
            await self._clock.sleep(meter.profile.pause_ms / 1000)
        begin = self._clock.boot()
        try:
            read = await self._driver.read(meter, block, timeout_s)
        except ReadError as error:
            self._note(course, error, calls)
            if isinstance(error, Refused) and error.code == ILLEGAL_ADDRESS:
                self._learn(course, block)
        else:
            self._alive(course)
            count.good += 1
            calls.deliver(read)
        count.busy_us += self._clock.boot() - begin

    def _note(self, course: _Course, error: ReadError, calls: _Calls) -> None:
        """Note who is silent, the link or the meter, and report it."""
        now, meter = self._clock.boot(), course.target.id
        if isinstance(error, Unreachable):
            self._link.failed(now)
            for other in self._courses:  # nobody behind the link can answer: each is told, none is tried
                self.counts[other.target.id].failed += 1
                other.identity_due = 0
                calls.failed(other.target.id, error)
            return
        if isinstance(error, Refused) and error.lives:
            self._alive(course)
            self.counts[meter].refused += 1
        else:
            course.breaker.failed(now)
            course.identity_due = 0  # what comes back may be another meter
        self.counts[meter].failed += 1
        calls.failed(meter, error)

    def _alive(self, course: _Course) -> None:
        course.breaker.succeeded()
        self._link.succeeded()

    def _learn(self, course: _Course, block: Block) -> None:
        """Split a block that was refused with exception 02; a single point becomes a hole that rests for an hour."""
        halves = split(block)
        if len(halves) == 1:
            course.holes[block.index] = self._clock.boot() + _IDENTITY_US
            return
        fresh = renumber(halves, first=1 + max(one.index for one in course.blocks))
        kept = [one for one in course.blocks if one.index != block.index]
        course.blocks = tuple(sorted([*kept, *fresh], key=lambda one: one.rank))

    async def _slack(self, calls: _Calls) -> None:
        """Use the time to the next tick for probes of the dead and for identities."""
        for course in list(self._waiting()):
            left = self._slack_us()
            if left < _LEAST_SLACK_US:
                self._starved += 1
                left = self._limit() - self._clock.wall()
                if self._starved <= _PATIENCE or left < _LEAST_SLACK_US:
                    return
            self._starved = 0
            if not self._link.is_open or self._link.allows_probe(self._clock.boot()):
                await self._revive(course, min(self._timeout_s, left / US), calls)

    async def _recall(self) -> None:
        """Ask one living meter for what it kept itself, if nothing else has to start meanwhile."""
        left = min(self._slack_us(), _RECALL_US)
        if left < _LEAST_SLACK_US or self._link.is_open:
            return
        for course in self._courses:
            wish = None if course.breaker.is_open else self._wishes.pop(course.target.id, None)
            if wish is not None:
                start_us, stop_us, told = wish
                try:
                    told(await self._driver.recorded(course.target, start_us, stop_us, left / US))
                except ReadError as error:  # polls will say whether it lives
                    told(error)
                return

    def _waiting(self) -> Iterator[_Course]:
        """Give the courses that want a probe or their identity read."""
        now = self._clock.boot()
        if self._link.is_open and not self._link.allows_probe(now):
            return
        for course in self._courses:
            silent = course.breaker.is_open or self._link.is_open
            rests = course.breaker.is_open and not course.breaker.allows_probe(now)
            if not rests and (silent or now >= course.identity_due):
                yield course

    def _slack_us(self) -> int:
        """Return the time until anything else may have to start. [us]"""
        now = self._clock.wall()
        nearest = min(course.due.due_us for course in self._courses)
        boundary = next_boundary(now, self._interval_us) - self._guard_us
        return min(nearest, boundary) - _RESERVE_US - now

    async def _revive(self, course: _Course, timeout_s: float, calls: _Calls) -> None:
        """Ask for the identity when it is due, else for a block: the answer shows that the meter lives."""
        due = self._clock.boot() >= course.identity_due
        silent = course.breaker.is_open or self._link.is_open
        tells = course.target.profile.tells and not course.nameless
        if not course.blocks or (due and (tells or not silent)):
            await self._identify(course, timeout_s, calls)
        elif silent:
            await self._read(course, course.blocks[0], timeout_s, calls)

    async def _identify(self, course: _Course, timeout_s: float, calls: _Calls) -> None:
        """Find a meter's addresses where the profile does not say them, and ask who it is."""
        told = Identity()
        try:
            if not course.blocks:
                course.target = await self._driver.resolve(course.target, timeout_s)
                course.blocks = self._driver.blocks(course.target)
                self._alive(course)
            if course.target.profile.tells:
                told = await self._driver.identity(course.target, timeout_s)
                self._alive(course)
                course.nameless = False
        except ReadError as error:
            if not course.blocks or not isinstance(error, Refused) or error.code not in _NO_SUCH_THING:
                self._without_name(course, error, calls)
                return
            self._alive(course)
        course.identity_due = self._clock.boot() + _IDENTITY_US
        calls.identified(course.target, told)

    def _without_name(self, course: _Course, error: ReadError, calls: _Calls) -> None:
        """Try a refused identity later; one that is met with silence by a living meter is no proof of its death."""
        lives = isinstance(error, Refused) and error.lives
        course.nameless = course.nameless or not (lives or course.breaker.is_open)
        self._note(course, error, calls)
        if lives or course.nameless:
            course.identity_due = self._clock.boot() + _IDENTITY_AGAIN_US


def _obey() -> None:
    """End where a cancellation was asked for and lost: `wait_for` of Python 3.11 gives a result that comes with it."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
