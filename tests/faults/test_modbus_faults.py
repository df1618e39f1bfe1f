"""No fault of a unit, gateway or line makes the driver accept a value that was not the answer to its question.

Each kind of fault meets the driver on Modbus TCP, on RTU through a gateway and on a serial line (a pseudo-terminal).
`./dev soak` runs 1,000 trials a kind, or as many as WATTSEAL_FAULT_TRIALS says.
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Refused
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_link import Link
from shared.clock import SystemClock
from shared.errors import ReadError
from tests.faults.modbus_kinds import ANY, CONTENT, NUMBERED, PATIENCE_S, SERIAL, content
from tests.faults.modbus_server import HOST, LIVING, Fault, Server, on_tcp, on_terminal

pytestmark = pytest.mark.clock

ERRING = 9
AT_ONCE = 12  # kinds tried side by side
TRIALS = 20
SOAK_TRIALS = int(os.environ.get("WATTSEAL_FAULT_TRIALS", "1000"))
COUNTS = (2, 2, 2, 4, 10)
CLOCK = SystemClock()


@dataclass
class Tally:
    """What came of the trials of one kind."""

    wrong: list[str] = field(default_factory=list)
    accepted: int = 0
    refused: int = 0
    failed: int = 0
    living: int = 0
    living_missed: list[str] = field(default_factory=list)


@asynccontextmanager
async def tcp(server: Server) -> AsyncIterator[Link]:
    async with on_tcp(server) as port:
        yield modbus_link.tcp(HOST, port)


@asynccontextmanager
async def gateway(server: Server) -> AsyncIterator[Link]:
    async with on_tcp(server) as port:
        yield modbus_link.rtu_over_tcp(HOST, port)


@asynccontextmanager
async def terminal(server: Server) -> AsyncIterator[Link]:
    async with on_terminal(server) as device:
        yield modbus_link.rtu(device, baudrate=115_200, parity="none")


Place = Callable[[Server], AbstractAsyncContextManager[Link]]
PLACES: dict[str, Place] = {"tcp": tcp, "rtu over tcp": gateway, "serial": terminal}


async def trials(place: Place, kind: str, fault: Fault, count: int) -> Tally:
    """Return what came of asking the erring unit, and after each time the living one."""
    chance, tally = random.Random(kind), Tally()
    server = Server(fault, serial=place is not tcp)
    async with place(server) as link:
        driver = Modbus(link, CLOCK)
        for _ in range(count):
            for _ in range(chance.choice((1, 1, 2))):
                await one(driver, server, chance, tally)
            await living(driver, server, chance, tally)
        await driver.close()
    return tally


async def one(driver: Modbus, server: Server, chance: random.Random, tally: Tally) -> None:
    key = ERRING, 3, chance.randrange(0, 5) * 100, chance.choice(COUNTS)
    try:
        words = tuple(await driver.registers(*key, PATIENCE_S))
    except Refused:
        tally.refused += 1
    except ReadError:
        tally.failed += 1
    else:
        tally.accepted += 1
        if words != server.truth[key]:
            tally.wrong.append(f"{key}: {words[:3]}, truth {server.truth[key][:3]}")


async def living(driver: Modbus, server: Server, chance: random.Random, tally: Tally) -> None:
    key = LIVING, 3, chance.randrange(0, 5) * 100, chance.choice(COUNTS)
    tally.living += 1
    try:
        words = tuple(await driver.registers(*key, 1.0))
    except ReadError as error:
        tally.living_missed.append(str(error))
        return
    if words != server.truth[key]:
        tally.wrong.append(f"living {key}: {words[:3]}, truth {server.truth[key][:3]}")


async def campaign(name: str, count: int) -> dict[str, Tally]:
    """Return the tally of each kind on one kind of link."""
    place = PLACES[name]
    kinds = ANY | (NUMBERED if name == "tcp" else SERIAL)
    turns = asyncio.Semaphore(AT_ONCE)

    async def run(kind: str) -> Tally:
        async with turns:
            return await trials(place, kind, kinds[kind], count)

    return dict(zip(kinds, await asyncio.gather(*map(run, kinds)), strict=True))


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize(
    "count", [TRIALS, pytest.param(SOAK_TRIALS, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]
)
def test_no_fault_makes_a_wrong_value(name: str, count: int) -> None:
    tallies = asyncio.run(campaign(name, count))
    assert len(tallies) >= 40
    for kind, tally in tallies.items():
        assert not tally.wrong, f"{kind}: {tally.wrong[:3]}"
        assert len(tally.living_missed) <= tally.living // 100, f"{kind}: {tally.living_missed[:3]}"


USUAL = {"dripping in time", "in two pieces", "closed after"}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_accepted_and_what_not(name: str) -> None:
    """Whole answers count however they come; exceptions are told as such; all else is no answer."""

    async def scene() -> None:
        patient = {kind: await trials(PLACES[name], kind, ANY[kind], 3) for kind in USUAL | {"exception 2"}}
        assert all(patient[kind].accepted for kind in USUAL)
        assert patient["exception 2"].accepted == 0
        assert patient["exception 2"].refused >= 3
        for kind in ("unit 0", "one register more", "function 16", "one byte more", "echo before"):
            tally = await trials(PLACES[name], kind, ANY[kind], 2)
            assert (tally.accepted, tally.refused) == (0, 0), kind

    asyncio.run(scene())


@pytest.mark.parametrize("kind", CONTENT)
def test_what_a_unit_shows_is_handed_on_as_it_is(kind: str) -> None:
    """Wrong words in a right frame are no matter of the driver: see `CONTENT` for who stops them."""

    async def scene() -> None:
        change = CONTENT[kind]
        server = Server(partial(content, change), serial=False)
        async with tcp(server) as link:
            driver = Modbus(link, CLOCK)
            words = tuple(await driver.registers(ERRING, 3, 100, 4, 1.0))
            assert words == change(server.truth[ERRING, 3, 100, 4])
            await driver.close()

    asyncio.run(scene())
