"""Energy is neither made nor lost, whatever happens to meter, link, agent and clock (DESIGN.md section 1, law 1).

Each example is a bad hour or two of one meter: the true builder is driven as the daemon drives it, by a clock that may
be wrong; what it seals goes through the wire format into a true ledger and series, and is held against the meter's law.
"""

import dataclasses
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.acquire.drivers.base import BlockRead, Identity
from agent.acquire.points import Point
from agent.measure.boundaries import Builder, Metered, Sealable
from agent.measure.clockwatch import ClockWatch
from agent.measure.resume import resume
from collector.series import raw
from collector.series.channels import named
from collector.series.project import catch_up
from collector.series.registers import Registers
from collector.store.engine import Store
from shared import batch
from shared import registers as rule
from shared.clock import US, Discipline
from shared.intervals import Intervals
from shared.registers import Mark
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent
from tests.measure_bench import IMPORT, point

L = 300
POLL = 30
EDGE = 1_772_460_300
RATING = 90_000_000  # 90 kW [mW]: 25 Wh a second
SOAK = int(os.environ.get("WATTSEAL_SOAK_EXAMPLES", "0"))
WRONG, RIGHT = Discipline("U", "none", None), Discipline("S", "chrony", 850)
numbers = count(1)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens, and when. [s after the beginning]"""

    at: int
    what: str
    how: int


@dataclass
class Hour:
    """One meter, its builder, and the true time; all times are true microseconds unless they say otherwise."""

    powers: list[int]  # of each minute [W]
    start: int  # what the first meter's register shows at first [Wh]
    mod: int | None
    update: int  # the meter renews its registers every so many seconds
    jitter: list[int]  # of answers, taken in turn [us]
    meter: str = ""
    now: int = 0
    wall_ahead: int = 0
    boot_from: int = 0  # true time at which the boot clock was 0
    boot_id: str = ""
    word: Discipline = RIGHT
    silent_until: int = 0
    frozen: list[tuple[int, int]] = field(default_factory=list)
    down_until: int = 0
    scale: int = 1
    serial: str | None = "1"
    told: str | None = "1"  # by the device, to who asks after silence
    asks: bool = True
    eras: list[tuple[int, int]] = field(default_factory=list)  # since when [us], what is added to the energy [Wh]
    texts: list[tuple[str, Any]] = field(default_factory=list)
    boots: dict[str, int] = field(default_factory=dict)
    state: dict[str, Any] | None = None
    polls: int = 0

    def __post_init__(self) -> None:
        self.meter = f"m{next(numbers)}"
        self.begin = self.now = (EDGE - 70) * US
        self.eras.append((0, self.start))
        self._boot()
        self._restart()

    # -- the meter ----------------------------------------------------------------------------------------------------

    def energy(self, true: int) -> int:
        """Return what has flowed since the beginning. [Wh]"""
        minute, rest = divmod(max(0, true - self.begin), 60 * US)
        whole = sum(self.powers[at % len(self.powers)] for at in range(minute)) * 60 * US
        return (whole + self.powers[minute % len(self.powers)] * rest) // (3600 * US)

    def power(self, true: int) -> int:
        """Return the load. [W]"""
        return self.powers[max(0, true - self.begin) // (60 * US) % len(self.powers)]

    def level(self, true: int) -> int:
        """Return the register without rollovers, as it is renewed. [Wh]"""
        true -= true % (self.update * US) if self.update else 0
        true = next((since for since, until in self.frozen if since <= true < until), true)
        return next(added + self.energy(true) for since, added in reversed(self.eras) if since <= true or not since)

    def shows(self, true: int) -> int:
        """Return what it shows. [counts of 1 Wh over the scale]"""
        level = self.level(true)
        return (level if self.mod is None else level % self.mod) * self.scale

    # -- the gateway --------------------------------------------------------------------------------------------------

    @property
    def boot(self) -> int:
        return self.now - self.boot_from

    @property
    def wall(self) -> int:
        return self.now + self.wall_ahead

    def _boot(self) -> None:
        self.boot_id = f"{next(numbers):032x}"
        self.boot_from = self.now - 20 * US
        self.boots[self.boot_id] = self.boot_from

    def _point(self) -> Point:
        return dataclasses.replace(point(mod=self.mod), mult=Fraction(1000, self.scale), step=1000 // self.scale)

    def _restart(self) -> None:
        metered = Metered(
            self.meter, "default", self.serial, POLL * US, RATING, {0: (dataclasses.replace(self._point()),)},
            self.update * US,
        )  # fmt: skip
        self.builder = Builder(L, L, 250_000, {self.meter: metered}, self.boot_id)
        self.watch, self.since = ClockWatch(), self.wall
        self.watch.see(self.boot, self.wall)
        if self.state is not None:
            resume(self.builder, self.state, now_wall=self.wall, now_boot=self.boot)
        self.asks = True

    def run(self, incidents: list[Incident], seconds: int) -> None:
        """Live through some time."""
        due = sorted(incidents, key=lambda one: one.at)
        end = self.begin + seconds * US
        while self.now < end:
            while due and self.begin + due[0].at * US <= self.now:
                self._happens(due.pop(0))
            if self.now >= self.down_until:
                self._tick()
                self._poll()
            self.now = self._next()
        self._put_right()
        self.now = self.down_until = max(self.now, self.down_until)
        for _ in range(2):
            self.now += 20 * US
            self._tick()
        self._seal("heartbeat", None)

    def _next(self) -> int:
        step = POLL * US
        tick = min((self.wall // step + 1) * step, (self.wall // (L * US) + 1) * L * US)
        return self.now + max(1, tick - self.wall)

    def _poll(self) -> None:
        self.polls += 1
        took = self.jitter[self.polls % len(self.jitter)]
        if self.now < self.silent_until or took < 0:
            self.asks = True
            return
        if self.asks and self.told is not None:
            self.builder.identified(self.meter, Identity(self.told), self.boot)
        self.asks = False
        sent, self.now = self.boot, self.now + took
        scaled = {IMPORT: self._point()} if self.scale != 1 or self.polls > 1 else {}
        shown, power = self.shows(self.now - took // 2), self.power(self.now)
        values = {"power_active_total": power * 1000}
        self.builder.feed(BlockRead(self.meter, 0, sent, self.boot, {IMPORT: shown}, values, scaled))
        self.asks = self.asks or bool(self.builder.doubtful)
        self._tick()

    def _tick(self, *, stopping: bool = False) -> None:
        """Do as agent.daemon.Agent.tick does."""
        step = self.watch.see(self.boot, self.wall)
        if step:
            self.since = min(self.since, self.wall)
        if abs(step) >= self.builder.length * US:
            self._take(self.builder.ready(self.boot, stopping=True))
            self.builder.jump()
            self.since = self.wall
        latest = self.wall // (L * US) * L
        if latest * US >= self.since:
            self.builder.open(latest, self.watch.boot_of(latest * US))
        self._take(self.builder.ready(self.boot, stopping=stopping))

    def _take(self, ready: Sealable | None) -> None:
        if ready is None:
            return
        for body in ready.intervals:
            self._seal("intervals", body)
        if ready.gaps:
            self._seal("gap", ready.gaps)
        if ready.events:
            self._seal("event", ready.events)
        self.state, opened = ready.state, self.builder.opened
        self.watch.sealed(opened[0][1] if opened else None)

    def _seal(self, kind: str, body: batch.Body) -> None:
        more = {"boot": self.boot_id, "clock": self.watch.state(self.word), "created": self.wall}
        self.texts.append((kind, (body, more)))

    # -- incidents ----------------------------------------------------------------------------------------------------

    def _happens(self, one: Incident) -> None:
        getattr(self, f"_{one.what}")(one.how)

    def _outage(self, how: int) -> None:
        self.silent_until = self.now + how % 1500 * US

    def _freeze(self, how: int) -> None:
        if not self.frozen or self.frozen[-1][1] < self.now:
            self.frozen.append((self.now, self.now + how % 900 * US))

    def _reset(self, how: int) -> None:
        """Reset the register where that can be told: not from little to more, and not near a rollover."""
        shown = self.level(self.now) % (self.mod or 10**12)
        if 160_000 < shown < (self.mod or 10**12) - 100_000:
            self._new_era(how % 50)

    def _swap(self, how: int) -> None:
        """Put another meter in its place, with a pause; its serial is told to who asks."""
        self.told = str(how + 2)
        self.silent_until = self.now + (how % 600 + 30) * US
        self._new_era(how % 50 if self.mod else how * 37 % 20_000_000)

    def _new_era(self, first: int) -> None:
        self.frozen = [(since, min(until, self.now)) for since, until in self.frozen]
        self.eras.append((self.now, first - self.energy(self.now)))

    def _rescale(self, how: int) -> None:
        self.scale = (1, 10, 100)[how % 3] if self.mod is None else 1

    def _restarted(self, how: int) -> None:
        self._tick(stopping=bool(how % 2))
        self.down_until = self.now + how % 700 * US
        self.now = self.down_until
        self._restart()

    def _power_cut(self, how: int) -> None:
        self._put_right()
        self._tick()
        self._seal("heartbeat", None)
        self.now += how % 700 * US
        self._boot()
        self._restart()

    def _step(self, how: int) -> None:
        self.wall_ahead += (how % 20_000 - 10_000) * US // (7 if how % 3 else 1)
        self.word = WRONG

    def _put_right(self, _: int = 0) -> None:
        self.wall_ahead, self.word = 0, RIGHT


class World:
    """A collector that lives through all examples; each has a meter of its own."""

    def __init__(self, store: Store) -> None:
        self.centre = Centre(store)
        self.agent: LittleAgent = self.centre.agent()
        self.sent = 0

    def series(self, hour: Hour) -> Registers:
        """Seal what an hour gave, and return what the collector makes of it."""
        for kind, (body, more) in hour.texts:
            self.agent.seal(kind, body, **more)
        self.centre.take(*self.agent.texts[self.sent :])
        self.sent = len(self.agent.texts)
        while (done := catch_up(self.centre.store)).stop > done.first:
            pass
        start, stop = EDGE - 40_000 // L * L, EDGE + 60_000 // L * L
        with self.centre.store.read() as connection:
            return raw.read(connection, named(connection, f"dc1/{hour.meter}.{IMPORT}").id, start, stop, L)


@pytest.fixture(scope="module")
def world(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    import shutil

    from collector.store.engine import open_store

    folder = tmp_path_factory.mktemp("world")
    shutil.copy(migrated_sqlite, folder / "collector.db")
    opened = open_store("sqlite", folder)
    yield World(opened)
    opened.close()


incident = st.builds(
    Incident,
    st.integers(0, 5400),
    st.sampled_from(["outage", "freeze", "reset", "swap", "rescale", "restarted", "power_cut", "step", "put_right"]),
    st.integers(0, 10**6),
)
hours = st.builds(
    Hour,
    powers=st.lists(st.integers(0, 90_000), min_size=5, max_size=20),
    start=st.integers(0, 999_999),
    mod=st.sampled_from([None, 1_000_000]),
    update=st.sampled_from([0, 0, 10]),
    jitter=st.lists(st.sampled_from([20_000, 60_000, 180_000, 400_000, 2_000_000, -1]), min_size=3, max_size=9),
)


@pytest.mark.soak
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=False)
@given(hour=hours, incidents=st.lists(incident, max_size=6))
def test_energy_is_neither_made_nor_lost_for_long(world: World, hour: Hour, incidents: list[Incident]) -> None:
    held(world, hour, incidents)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(hour=hours, incidents=st.lists(incident, max_size=6))
def test_energy_is_neither_made_nor_lost(world: World, hour: Hour, incidents: list[Incident]) -> None:
    held(world, hour, incidents)


def held(world: World, hour: Hour, incidents: list[Incident]) -> None:
    """Hold a bad hour against the law."""
    hour.run(incidents, 6000)
    if all(kind != "intervals" for kind, _ in hour.texts):
        return
    for kind, (body, _) in hour.texts:
        if kind == "intervals":
            sealed_right(body)
    believed_right(hour, world.series(hour))


def sealed_right(body: Intervals) -> None:
    """What is sealed follows from the reads and is never negative."""
    for block in body.blocks:
        for register in block.registers.values():
            assert list(register.values) == rule.values(register, block.at, body.boundaries)
            assert all(value is None or value >= 0 for value in register.values)


def believed_right(hour: Hour, seen: Registers) -> None:
    """Sums telescope, no energy is claimed that did not flow, none is lost between boundaries of one run."""
    places = [int(at) for at in seen.known.nonzero()[0]]
    slack = 60_000  # what can flow while a read is under way: 2.25 s at the rating, to a count [mWh]
    for before, after in pairwise(places):
        if seen.run[before] != seen.run[after]:
            continue
        advance = int(seen.registers[after] - seen.registers[before])
        times = [(seen.start + at * L) * US for at in (before, after)]
        first, last = (hour.level(time) * 1000 for time in times)
        crossed = [since for since, _ in hour.eras[1:] if times[0] < since <= times[1]]
        assert advance >= 0
        assert not crossed, (crossed, times)
        least, most = seen.low[after] - seen.high[before], seen.high[after] - seen.low[before]
        assert least - slack <= last - first <= most + slack, (times, advance, last - first)
    for at, known in enumerate(seen.values_known.tolist()):
        if known:
            assert int(seen.values[at]) == int(seen.registers[at + 1] - seen.registers[at]) >= 0, at
            assert not int(seen.flags[at + 1]) & int(Mark.SEAM)
