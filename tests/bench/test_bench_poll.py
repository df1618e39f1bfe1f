"""DESIGN.md section 9, numbers 1 to 3: what a poll costs, how few requests a plan needs, what a dead unit delays."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusTcpClient

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.plan import plan
from agent.acquire.points import Part, Point, Profile
from shared.clock import SystemClock
from tests.bench import modbus_wire
from tests.bench.modbus_wire import REGISTERS, Asking
from tests.bench.pairs import interleaved_async, reached, show
from tests.faults.dead_unit import on_one_endpoint, on_one_line

pytestmark = pytest.mark.bench
CONNECTIONS = 50
EACH = 10  # requests of each connection in a block
BLOCKS = 25
DEAD_S = 30


def _point(quantity: str, kind: str, address: int, type_: str) -> Point:
    count = 4 if type_ == "int64" else 2
    enc, mult = ("f32", Fraction(1000)) if type_ == "float32" else ("int", Fraction(1000))
    part = Part(address, count, 3, type_)
    return Point(quantity, "register" if kind == "r" else "instantaneous", (part,), enc, mult, step=1000)  # type: ignore[arg-type] # enc is one of the three


def _profile(points: tuple[Point, ...]) -> Profile:
    return Profile("bench", "", (), "modbus", "simulated", (), (), points, None, None, 125, 0, (), (), "")


#: Ten values in forty registers: energy both ways, and what a power meter shows.
TEN = _profile(
    (
        _point("energy_active_import", "r", 0, "int64"),
        _point("energy_active_export", "r", 4, "int64"),
        *(
            _point(name, "i", address, "float32")
            for name, address in (
                ("power_active_total", 10), ("power_active_l1", 12), ("voltage_l1n", 16), ("voltage_l2n", 18),
                ("current_l1", 22), ("current_l2", 24), ("frequency", 30), ("power_factor", 38),
            )
        ),
    )
)  # fmt: skip


@pytest.fixture
def port() -> Iterator[int]:
    """Give the port of a server in another process."""
    program = [sys.executable, str(Path(modbus_wire.__file__))]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield int(server.stdout.readline())
        server.kill()


def test_a_poll_costs_little_more_than_its_bytes(port: int) -> None:
    """Measure CPU a request of driver and decoding, of pymodbus alone, and of a bare client on the same loop."""
    asyncio.run(_polls(port))


async def _polls(port: int) -> None:
    drivers = [Modbus(modbus_link.tcp("127.0.0.1", port), SystemClock()) for _ in range(CONNECTIONS)]
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port, retries=0, reconnect_delay=0) for _ in range(CONNECTIONS)]
    connected = [await client.connect() for client in clients]
    loop = asyncio.get_running_loop()
    bare = [(await loop.create_connection(Asking, "127.0.0.1", port))[1] for _ in range(CONNECTIONS)]
    target = Target("m1", TEN)
    (block,) = drivers[0].blocks(target)
    assert all(connected)
    assert block.count == REGISTERS
    ours = _busy([partial(one.read, target, block, 1.0) for one in drivers])
    alone = _busy([partial(one.read_holding_registers, 0, count=REGISTERS, device_id=1) for one in clients])
    reference = _busy([one.ask for one in bare])
    whole = await interleaved_async(ours, reference, operations=CONNECTIONS * EACH, blocks=BLOCKS)
    library = await interleaved_async(alone, reference, operations=CONNECTIONS * EACH, blocks=BLOCKS)
    await asyncio.gather(*(driver.close() for driver in drivers))
    for client in clients:
        client.close()
    for link in bare:
        link.close()
    show("1 poll: CPU a request, 50 connections, 40 registers, 10 values", [
        ("driver + decoding / bare client", f"{whole.words()}; {reached(whole.ratio, 1.8)}"),
        ("pymodbus as it comes / bare client", library.words()),
        ("driver + decoding, least", f"{min(whole.ours) * 1e6:.0f} us"),
        ("pymodbus as it comes, least", f"{min(library.ours) * 1e6:.0f} us"),
        ("bare client, least", f"{min(whole.reference) * 1e6:.0f} us"),
    ])  # fmt: skip


def _busy(asks: Sequence[Callable[[], Awaitable[object]]]) -> Callable[[], Awaitable[object]]:
    """Return a block: every connection asks so many times, one request after the other."""

    async def one(ask: Callable[[], Awaitable[object]]) -> None:
        for _ in range(EACH):
            await ask()

    async def block() -> None:
        await asyncio.gather(*map(one, asks))

    return block


def test_a_plan_needs_few_requests() -> None:
    """Count requests: 60 scattered registers, and 10 meters of 10 tags each."""
    scattered = [_point(f"q{n}", "i", 10 * n - n % 3, "uint32") for n in range(1, 31)]
    blocks = plan(scattered)
    least = _fewest([(point.parts[0].address, point.parts[0].end) for point in scattered], 125)
    tags = plan(TEN.points)
    fewer = len(TEN.points) / len(tags)
    show("2 planner: requests", [
        ("60 scattered registers (30 values over 300 addresses)", f"{len(blocks)}; fewest possible {least}"),
        ("10 meters x 10 tags", f"{10 * len(tags)} of {10 * len(TEN.points)}; {reached(fewer, 10, at_most=False)}"),
    ])  # fmt: skip
    assert len(blocks) == least
    assert len(tags) == 1


def _fewest(spans: list[tuple[int, int]], most: int) -> int:
    """Return the fewest blocks of at most so many registers, found greedily from the left."""
    count, start = 0, None
    for first, stop in sorted(spans):
        if start is None or stop - start > most:
            count, start = count + 1, first
    return count


def test_a_dead_unit_delays_no_living_one() -> None:
    """Count the values on time of ten living units beside a dead one, polled each second."""
    tcp, serial = asyncio.run(_both())
    show("3 one dead of 11 units, 1 s polls: values of the living on time [%]", [
        ("one TCP endpoint", f"{100 * tcp:.4g}; {reached(100 * tcp, 99, at_most=False)}"),
        ("one serial line, 38,400 baud", f"{100 * serial:.4g}; {reached(100 * serial, 99, at_most=False)}"),
    ])  # fmt: skip


async def _both() -> tuple[float, float]:
    return await asyncio.gather(on_one_endpoint(DEAD_S), on_one_line(DEAD_S))
