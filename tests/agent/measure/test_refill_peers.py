"""Gaps refilled from real servers: a load profile in registers of pymodbus, the history of an asyncua server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Driver, MeterClock, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.points import ClockRegisters, Part, Point, Profile
from agent.acquire.profile import find_profile, narrow
from agent.measure.recorded import keeper
from agent.measure.refill import Refill
from shared.clock import SystemClock
from shared.intervals import Block, Intervals, decode, encode
from shared.registers import Register, registers
from shared.strictjson import dumps, loads
from tests.agent.acquire.test_modbus_driver import HOST, free_port
from tests.opcua_plant import IMPORT as NODE
from tests.opcua_plant import Turbine, turbine
from tests.recorder_bench import IMPORT, recorder

US = 1_000_000
CLOCK = SystemClock()
L = 300
NOW = CLOCK.wall() // US
EDGE = NOW // 900 * 900 - 7200  # the first boundary, two hours ago
COUNT = 7  # boundaries; all but the first and the last were sealed as unknown
OURS = CLOCK.wall() - CLOCK.boot()


def truth(wall: float) -> Fraction:
    """Return the register under 36 kW. [Wh]"""
    return 5_000_000 + Fraction(wall - EDGE) * 10


def polled(walls: Sequence[int], known: set[int]) -> Intervals:
    """Return what was sealed from polls."""
    boundaries = tuple(wall * US - OURS for wall in walls)
    at = tuple((one + 40_000,) if wall in known else None for wall, one in zip(walls, boundaries, strict=True))
    raw = tuple((int(truth(wall)),) if wall in known else None for wall in walls)
    register = Register("int", raw, Fraction(1000), None, 1000, (0,) * len(walls), (None,) * (len(walls) - 1))
    block = Block("m", "7", "device", "poll", at, {IMPORT: register}, {}, (0,) * (len(walls) - 1))
    return Intervals(L, walls[0], len(walls) - 1, "default", boundaries, (block,))


async def refilled(driver: Driver, target: Target, ahead: int = 0) -> list[Intervals]:
    """Return what a meter's own registers add to a gap, its clock compared before and after. [s]"""
    kept = keeper(target.profile, 10 * US)
    assert kept is not None
    refill = Refill({"m": kept}, {"m": "default"}, 250_000)
    walls = range(EDGE, EDGE + COUNT * L, L)
    earlier = (EDGE - 600) * US
    refill.see("m", MeterClock(earlier + ahead * US, earlier - OURS, earlier - OURS), OURS)
    refill.sealed([polled(walls, {walls[0], walls[-1]})], [], L)
    told = (await driver.identity(target, 5.0)).clock
    assert told is not None
    refill.see("m", told, OURS)
    found: list[Intervals] = []
    while requests := refill.due(CLOCK.boot(), OURS):
        (request,) = requests
        heard = await driver.recorded(target, request.start, request.stop, 10.0)
        found += refill.answered(request, heard, CLOCK.boot())
    assert refill.lacks("m") == []
    return found


def levels(body: Intervals) -> dict[int, int]:
    (block,) = body.blocks
    assert decode(loads(dumps(encode(body)))) == body
    known = registers(block.registers[IMPORT], block.at, body.boundaries)
    return {body.start + at * L: level for at, level in enumerate(known) if level is not None}


def words(number: int) -> list[int]:
    return [number >> 16, number & 0xFFFF]


@pytest.mark.parametrize("ahead", [0, 3, 3600, -86_400])
def test_a_load_profile_in_registers_refills_a_gap(ahead: int) -> None:
    async def scene() -> None:
        profile = replace(
            narrow(find_profile("schneider-iem3000"), [IMPORT], Fraction(1)), recorder=recorder(), settings=(),
            clock=ClockRegisters(Part(900, 2, 3, "words"), "unix", "utc"), serial=None,
        )  # fmt: skip
        labels = [(EDGE + ahead) // L * L + at * L for at in range(20, -6, -1)]  # the newest is the first
        log = [word for label in labels for word in (*words(label), *words(int(truth(label - ahead))))]
        log += [0] * (4 * 96 - len(log))
        server = ModbusTcpServer(
            [SimDevice(7, simdata=[
                SimData(900, values=words(CLOCK.wall() // US + ahead), datatype=DataType.REGISTERS),
                SimData(1000, values=log, datatype=DataType.REGISTERS),
            ])], address=(HOST, port := free_port()),
        )  # fmt: skip
        await server.serve_forever(background=True)
        driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
        (body,) = await refilled(driver, Target("m", profile, unit=7), ahead)
        found = levels(body)
        assert sorted(found) == [EDGE + at * L for at in range(1, COUNT - 1)]
        for wall, level in found.items():
            # a clock that shows whole seconds is known within one, and the register moves 10 Wh in it
            assert abs(level - truth(wall) * 1000) <= (0 if ahead % L == 0 else 12_000)
        await driver.close()
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped

    asyncio.run(scene())


async def historized(plant: Turbine, stamps: Sequence[float]) -> None:
    """Let the server keep the register at some instants. [UTC s]"""
    await plant.server.historize_node_data_change(plant.nodes[NODE], period=timedelta(days=1))
    for stamp in stamps:
        await plant.put(NODE, float(truth(stamp)), 0, datetime.fromtimestamp(stamp, UTC))


def play(stamps: Sequence[float], check: Callable[[list[Intervals]], Awaitable[None]]) -> None:
    async def scene() -> None:
        async with turbine(tag="m") as plant:
            driver = OpcUa(plant.url, CLOCK)
            meter = Target("m", _history(), 10 * US)
            await historized(plant, stamps)
            async with asyncio.timeout(10):  # the server keeps what its own subscription tells it
                while len(await driver.recorded(meter, 0, NOW * US, 5)) < len(stamps):  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0.02)
            await check(await refilled(driver, meter))
            await driver.close()

    asyncio.run(scene())


def _history() -> Profile:
    return narrow(find_profile("opcua-ecm"), [IMPORT], Fraction(1))


def test_a_history_refills_a_gap_between_its_stamps() -> None:
    async def check(bodies: list[Intervals]) -> None:
        (body,) = bodies
        (block,) = body.blocks
        assert block.source == "history"
        assert levels(body) == {EDGE + at * L: truth(EDGE + at * L) * 1000 for at in range(1, COUNT - 1)}
        assert all(times is not None and len(times) == 2 for times in block.at[1:])

    play([EDGE + at * 10 + 4 for at in range(-30, 200)], check)


def test_a_history_that_was_written_at_the_boundaries_needs_no_line_between() -> None:
    async def check(bodies: list[Intervals]) -> None:
        (body,) = bodies
        assert all(times is not None and len(times) == 1 for times in body.blocks[0].at[1:])
        assert levels(body) == {EDGE + at * L: truth(EDGE + at * L) * 1000 for at in range(1, COUNT - 1)}

    play([EDGE + at * L for at in range(-1, COUNT)], check)


def test_a_history_that_is_too_coarse_says_nothing_of_boundaries() -> None:
    async def check(bodies: list[Intervals]) -> None:
        assert bodies == []

    play([EDGE + at * L + 150 for at in range(-1, COUNT)], check)


def test_what_a_profile_without_clock_records_is_never_asked_for() -> None:
    profile = replace(find_profile("schneider-iem3000"), recorder=recorder(), clock=None)
    assert keeper(profile, 10 * US) is None
    local = ClockRegisters(Part(0, 2, 3, "words"), "unix", "local")
    assert keeper(replace(profile, clock=local), 10 * US) is None


def test_a_channel_is_scaled_and_chosen_as_its_register_is() -> None:
    profile = replace(find_profile("schneider-iem3000"), recorder=recorder())
    narrowed = narrow(profile, [IMPORT], Fraction(40)).recorder
    assert narrowed is not None
    (channel,) = narrowed.channels
    assert channel.mult == Fraction(40_000)
    assert channel.step == 40_000
    other = narrow(profile, ["energy_active_export"], Fraction(1)).recorder
    assert other is not None
    assert other.channels == ()
    assert isinstance(channel, Point)
