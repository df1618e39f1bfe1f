"""The poller in simulated time: a link whose every answer takes the time that the test says."""

import asyncio
import random
from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from agent.acquire.drivers.base import BlockRead, Identity, Recorded, Refused, Target, Unreachable
from agent.acquire.plan import Block, plan
from agent.acquire.points import Profile
from agent.acquire.poller import Poller
from agent.acquire.profile import find_profile, narrow
from agent.acquire.schedule import US
from shared.clock import Discipline, SystemClock
from shared.errors import ReadError

NOON = 1_772_452_800 * US
ANSWER_US = 5_000


class Over(Exception):  # noqa: N818 - it ends a test's run, and is no error
    """The simulated time of a test is used up."""


class LeapClock:
    """A clock that leaps to the end of every sleep (shared.clock.Clock)."""

    def __init__(self, end_s: float) -> None:
        self.now = NOON + 100_000
        self.end = NOON + round(end_s * US)

    def pass_by(self, us: int) -> None:
        self.now += us
        if self.now > self.end:
            raise Over

    def wall(self) -> int:
        return self.now

    def boot(self) -> int:
        return self.now - NOON + 10**12

    def boot_id(self) -> str:
        return "0" * 32

    def discipline(self) -> Discipline:
        return Discipline("S", "test", 0)

    async def sleep(self, seconds: float) -> None:
        self.pass_by(max(1, round(seconds * US)))
        await asyncio.sleep(0)


@dataclass
class Line:
    """A link (drivers.base.Driver) whose meters answer, refuse or keep silent as the test says."""

    clock: LeapClock
    silent: set[str] = field(default_factory=set)
    missing: set[int] = field(default_factory=set)  # addresses that no meter has
    behind_gateway: set[str] = field(default_factory=set)  # the gateway answers for them that they do not
    down: bool = False
    requests: list[tuple[int, str, int]] = field(default_factory=list)  # when, meter, address; identity is -1
    answer_us: int = ANSWER_US
    recalls: list[tuple[int, float]] = field(default_factory=list)  # when, and the time allowed [us, s]
    recall_us: int = 0  # how long a recorder takes beside its answer

    def blocks(self, target: Target) -> tuple[Block, ...]:
        return plan(target.profile.points)

    async def _answer(self, meter: str, address: int, timeout_s: float) -> None:
        self.requests.append((self.clock.now - NOON, meter, address))
        await asyncio.sleep(0)
        if self.down:
            self.clock.pass_by(round(timeout_s * US))
            raise Unreachable("line: no connection")
        if meter in self.silent:
            self.clock.pass_by(round(timeout_s * US))
            raise ReadError(f"{meter}: no answer")
        self.clock.pass_by(self.answer_us)
        if meter in self.behind_gateway:
            raise Refused(f"{meter}: exception 0B", 11)

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        sent = self.clock.boot()
        await self._answer(target.id, block.address, timeout_s)
        if self.missing & set(range(block.address, block.address + block.count)):
            raise Refused(f"{target.id}: exception 02", 2)
        names = {point.quantity for point in block.points if point.kind == "register"}
        return BlockRead(target.id, block.index, sent, self.clock.boot(), dict.fromkeys(names, 1), {})

    async def resolve(self, target: Target, timeout_s: float) -> Target:  # noqa: ARG002 - nothing is to be found
        return target

    async def recorded(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        self.recalls.append((self.clock.now - NOON, timeout_s))
        await self._answer(target.id, -2, timeout_s)
        self.clock.pass_by(min(self.recall_us, round(timeout_s * US)))
        if self.recall_us > timeout_s * US:
            raise ReadError(f"{target.id}: no time left")
        return [Recorded("energy_active_import", start_us, stop_us)]

    async def identity(self, target: Target, timeout_s: float) -> Identity:
        await self._answer(target.id, -1, timeout_s)
        return Identity(f"serial of {target.id}")

    async def close(self) -> None:
        self.requests.append((self.clock.now - NOON, "closed", 0))


@dataclass
class Swallowing(Line):
    """A link whose library loses a cancellation that comes with an answer, as asyncio.wait_for of Python 3.11 does."""

    lost: int = 0
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:  # noqa: ARG002 - it never answers
        self.asked.set()
        try:
            await asyncio.sleep(5)
        except asyncio.CancelledError:
            self.lost += 1
        raise ReadError(f"{target.id}: connection refused")


PM5000 = find_profile("schneider-pm5000")
ENERGY = narrow(PM5000, ["energy_active_import"], Fraction(1))


@dataclass
class Run:
    line: Line
    poller: Poller
    reads: list[BlockRead] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    serials: dict[str, str | None] = field(default_factory=dict)

    def go(self) -> "Run":
        with pytest.raises(Over):
            asyncio.run(self.poller.run(self.reads.append, self._failed, self._identified))
        return self

    def _failed(self, meter: str, why: ReadError) -> None:
        self.failures.append((meter, str(why)))

    def _identified(self, target: Target, told: Identity) -> None:
        self.serials[target.id] = told.serial

    def asked(self, meter: str) -> list[float]:
        return [at / US for at, name, address in self.line.requests if name == meter and address != -1]


def site(
    meters: dict[str, int], end_s: float, profile: Profile = ENERGY, *, interval_s: int = 60, timeout_s: float = 1.0
) -> Run:
    clock = LeapClock(end_s)
    line = Line(clock)
    targets = [Target(name, profile, poll_s * US, n + 1) for n, (name, poll_s) in enumerate(meters.items())]
    poller = Poller(line, targets, clock, interval_us=interval_s * US, timeout_s=timeout_s, chance=random.Random(3))
    return Run(line, poller)


def test_ticks_do_not_drift() -> None:
    run = site({"a": 10}, 61).go()
    assert [round(at, 3) for at in run.asked("a")] == [10, 20, 30, 40, 50, 60]


def test_boundary_registers_of_all_meters_come_before_anything_else() -> None:
    run = site({"a": 30, "b": 30}, 61, profile=PM5000).go()
    at_boundary = [(name, address) for at, name, address in run.line.requests if at >= 60 * US and name != "closed"]
    energy, power = (block.address for block in plan(PM5000.points))
    assert at_boundary == [("a", energy), ("b", energy), ("a", power), ("b", power)]
    assert run.poller.boundary_late_us == 2 * ANSWER_US


def test_a_dead_meter_never_delays_the_living() -> None:
    """Eleven meters polled each second, one dead: after its first silence no tick of a living one is late."""
    names = ["dead", *(f"m{n}" for n in range(10))]
    run = site(dict.fromkeys(names, 1), 300)
    run.line.silent = {"dead"}
    run.go()
    late = [at % 1 for n in range(10) for at in run.asked(f"m{n}") if at % 1 > 0.1]
    assert sum(len(run.asked(f"m{n}")) for n in range(10)) >= 0.99 * 10 * 299
    assert len(late) <= 0.01 * 10 * 299
    probes = [at for at, name, _ in run.line.requests if name == "dead"]
    assert 8 <= len(probes) <= 20  # one a back-off: 1, 2, 4 ... 30 s


def test_a_meter_that_returns_is_read_again() -> None:
    run = site({"a": 5}, 200)
    run.line.silent = {"a"}
    original = run.line.clock.sleep

    async def until_a_minute(seconds: float) -> None:
        if run.line.clock.now > NOON + 60 * US:
            run.line.silent.clear()
        await original(seconds)

    run.line.clock.sleep = until_a_minute  # type: ignore[method-assign] # the test's own clock turns the meter on
    run.go()
    assert run.failures
    assert len(run.reads) >= 20
    assert run.serials == {"a": "serial of a"}


def test_no_probe_is_under_way_at_a_boundary() -> None:
    run = site({"a": 1, "dead": 1}, 120, interval_s=5)
    run.line.silent = {"dead"}
    run.go()
    for boundary in range(10, 120, 5):
        assert min(abs(at - boundary) for at in run.asked("a")) < 0.001


def test_an_unreachable_link_is_tried_once_per_back_off_and_every_meter_is_told() -> None:
    run = site({"a": 1, "b": 1, "c": 1}, 60, timeout_s=0.5)
    run.line.down = True
    run.go()
    assert 8 <= len(run.line.requests) <= 25
    assert {name for name, _ in run.failures} == {"a", "b", "c"}
    assert run.reads == []


def test_a_refused_block_is_split_until_only_the_hole_is_missing() -> None:
    run = site({"a": 10}, 200, profile=PM5000)
    run.line.missing = {3109}  # frequency does not exist on this one
    run.go()
    last = {name for read in run.reads[-4:] for name in read.registers}
    assert last == {"energy_active_import", "energy_active_export", "energy_reactive_import", "energy_reactive_export"}
    refused = [reason for _, reason in run.failures]
    assert 1 <= len(refused) <= 4  # then the hole is known, and rests
    assert len({read.block for read in run.reads[-3:]}) > 1
    assert run.poller.counts["a"].refused == len(refused)


def test_a_refusal_is_an_answer_and_opens_no_breaker() -> None:
    run = site({"a": 10}, 61)
    run.line.missing = {3203}
    run.go()
    assert len(run.failures) == 1  # the only point is a hole: it rests for an hour
    assert run.serials == {"a": "serial of a"}


def test_a_gateway_that_speaks_for_a_silent_unit_opens_its_breaker() -> None:
    run = site({"a": 1, "lost": 1}, 60)
    run.line.behind_gateway = {"lost"}
    run.go()
    assert len(run.asked("a")) >= 59
    assert 4 <= len(run.failures) <= 12
    assert "lost" not in run.serials


def test_identity_is_read_at_start_and_hourly() -> None:
    run = site({"a": 60}, 7300).go()
    identities = [at / US for at, _, address in run.line.requests if address == -1]
    assert len(identities) == 3
    assert identities[0] < 10
    assert identities[1] - identities[0] == pytest.approx(3600, abs=61)


def test_a_profile_without_a_serial_says_so_without_asking() -> None:
    run = site({"a": 10}, 20, profile=narrow(find_profile("siemens-pac1600"), None, Fraction(1))).go()
    assert run.serials == {"a": None}
    assert all(address != -1 for _, _, address in run.line.requests)


def test_a_slow_line_serves_the_boundary_first_and_skips_what_it_cannot_do() -> None:
    run = site(dict.fromkeys([f"m{n}" for n in range(50)], 1), 61)
    run.line.answer_us = 100_000
    run.go()
    assert min(abs(at - 60) for at in run.asked("m0")) < 0.12
    assert run.poller.skipped_ticks > 0


def test_a_clock_that_steps_back_does_not_stop_the_polls() -> None:
    run = site({"a": 10}, 100)
    clock, original = run.line.clock, run.line.clock.sleep
    stepped: list[int] = []

    async def back_an_hour(seconds: float) -> None:
        if clock.now > NOON + 35 * US and not stepped:
            stepped.append(clock.now)
            clock.now -= 3600 * US
            clock.end -= 3600 * US
        await original(seconds)

    clock.sleep = back_an_hour  # type: ignore[method-assign] # the test's own clock steps
    run.go()
    assert len([at for at in run.asked("a") if at < -3500]) >= 6


def test_once_reads_everything_one_time() -> None:
    run = site({"a": 10, "b": 10, "dead": 10}, 100, profile=PM5000)
    run.line.silent = {"dead"}
    asyncio.run(run.poller.once(run.reads.append, run._failed, run._identified))
    assert sorted((read.meter, read.block) for read in run.reads) == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    assert [meter for meter, _ in run.failures] == ["dead"]
    assert run.serials == {"a": "serial of a", "b": "serial of b"}
    assert run.line.requests[-1][1] == "closed"


def test_a_cancellation_that_a_library_loses_ends_the_poller_all_the_same() -> None:
    async def scene() -> None:
        link = Swallowing(LeapClock(10_000))
        poller = Poller(link, [Target("m", ENERGY, US)], SystemClock(), interval_us=60 * US)
        running = asyncio.create_task(poller.run(lambda _: None, lambda *_: None, lambda *_: None))
        await asyncio.wait_for(link.asked.wait(), 5)
        running.cancel()
        done, _ = await asyncio.wait([running], timeout=5)
        assert (done, link.lost) == ({running}, 1)

    asyncio.run(scene())
