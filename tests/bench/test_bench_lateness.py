"""DESIGN.md section 9, number 4: how late the registers of a boundary are read, 200 meters on loopback."""

import asyncio
import contextlib
import statistics
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import BlockRead, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.points import Part, Point, Profile
from agent.acquire.poller import Poller
from shared.clock import US, SystemClock
from tests.bench import modbus_wire
from tests.bench.modbus_wire import Asking
from tests.bench.pairs import reached, show

pytestmark = pytest.mark.bench
METERS = 200
LENGTH = 10  # of an interval [s]
BOUNDARIES = 4
GOAL_MS = 100
CLOCK = SystemClock()
POINTS = tuple(
    Point(name, "register", (Part(4 * at, 4, 3, "int64"),), "int", Fraction(1000), step=1000)
    for at, name in enumerate(("energy_active_import", "energy_active_export"))
) + tuple(
    Point(f"power_active_l{at}", "instantaneous", (Part(40 - 4 * at, 4, 3, "int64"),), "int", Fraction(1))
    for at in range(1, 4)
)  # fmt: skip
METER = Profile("bench", "", (), "modbus", "simulated", (), (), POINTS, None, None, 125, 0, (), (), "")


@pytest.fixture
def port() -> Iterator[int]:
    """Give the port of a server in another process."""
    program = [sys.executable, str(Path(modbus_wire.__file__))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


def test_boundaries_are_read_in_time(port: int) -> None:
    """Measure how late each meter's registers are in after a boundary, and how late a bare client's answers are."""
    lines = []
    for links in (200, 20):
        late, bare = asyncio.run(_late(port, links))
        assert len(late) == METERS * BOUNDARIES
        figures = f"p50 {statistics.median(late):.3g}, most {late[-1]:.3g}"
        p99 = late[len(late) * 99 // 100]
        lines += [
            (f"{links} endpoints x {METERS // links} meters, p99 [ms]", f"{p99:.3g}; {reached(p99, GOAL_MS)}"),
            ("  the rest [ms]", figures),
            ("  bare client, all connections asked at once, most [ms]", f"{bare:.3g}"),
        ]
    show(f"4 boundary reads of {METERS} meters: late by", lines)


async def _late(port: int, links: int) -> tuple[list[float], float]:
    """Return the lateness of all boundary reads in order, and that of the slowest bare answer. [ms]"""
    each, late = METERS // links, list[float]()
    drivers = [Modbus(modbus_link.tcp("127.0.0.1", port), CLOCK) for _ in range(links)]
    pollers = [
        Poller(
            driver, [Target(f"m{at}-{unit}", METER, poll_us=US, unit=unit) for unit in range(1, each + 1)], CLOCK,
            interval_us=LENGTH * US,
        )
        for at, driver in enumerate(drivers)
    ]  # fmt: skip
    seen: set[tuple[str, int]] = set()
    await CLOCK.sleep(LENGTH - 2 - CLOCK.wall() % (LENGTH * US) / US)
    first = (CLOCK.wall() // (LENGTH * US) + 1) * LENGTH * US
    last = first + (BOUNDARIES - 1) * LENGTH * US

    def deliver(read: BlockRead) -> None:
        wall = read.at + CLOCK.wall() - CLOCK.boot()
        boundary = wall // (LENGTH * US) * LENGTH * US
        if first <= boundary <= last and (read.meter, boundary) not in seen:
            seen.add((read.meter, boundary))
            late.append((wall - boundary) / 1000)

    polling = [asyncio.ensure_future(one.run(deliver, lambda *_: None, lambda *_: None)) for one in pollers]
    await CLOCK.sleep((last - CLOCK.wall()) / US + 2)
    for one in polling:
        one.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await one
    return sorted(late), await _bare(port, links)


async def _bare(port: int, links: int) -> float:
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(Asking, "127.0.0.1", port))[1] for _ in range(links)]

    async def ask(client: Asking) -> None:
        for _ in range(METERS // links):
            await client.ask()

    begin = CLOCK.boot()
    await asyncio.gather(*map(ask, clients))
    took = (CLOCK.boot() - begin) / 1000
    for client in clients:
        client.close()
    return took
