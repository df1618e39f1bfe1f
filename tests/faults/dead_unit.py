"""Eleven units on one link, one of them dead, polled each second: how many of the others' values come on time."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import BlockRead, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_link import Link
from agent.acquire.points import Part, Point, Profile
from agent.acquire.poller import Poller
from agent.acquire.profile import find_profile
from shared.clock import US, SystemClock
from tests.faults.modbus_server import HOST, Action, Asked, Server, on_tcp, on_terminal

UNITS = range(2, 13)
DEAD = 7
REGISTERS = 40
CLOCK = SystemClock()
BAUDRATE = 38_400


def profile() -> Profile:
    """Return a meter with ten values in forty registers, which is one request."""
    parts = [Part(4 * n, 4, 3, "uint64") for n in range(REGISTERS // 4)]
    names = ("energy_active_import", *(f"power_active_l{n}" for n in range(1, 10)))
    points = tuple(
        Point(name, "instantaneous" if n else "register", (part,), "int", Fraction(1))
        for n, (name, part) in enumerate(zip(names, parts, strict=True))
    )
    bare = find_profile("schneider-pm5000")
    return replace(bare, points=points, scales=(), serial=None, settings=(), clock=None, forbidden=())


def answering(think_s: float, asked: Asked) -> Iterator[Action]:
    """Answer after what a meter needs; the dead one does not."""
    if asked.unit != DEAD:
        yield think_s
        yield asked.true


async def on_time(link: Link, seconds: int, timeout_s: float) -> float:
    """Return the share of the living units' ticks that were answered before the next tick."""
    meters = [Target(f"m{unit}", profile(), poll_us=US, unit=unit) for unit in UNITS]
    poller = Poller(Modbus(link, CLOCK), meters, CLOCK, interval_us=60 * US, timeout_s=timeout_s)
    seen: set[tuple[str, int]] = set()

    def deliver(read: BlockRead) -> None:
        seen.add((read.meter, (CLOCK.wall() - (CLOCK.boot() - read.at)) // US))

    polling = asyncio.ensure_future(poller.run(deliver, lambda *_: None, lambda *_: None))
    await CLOCK.sleep(2 - CLOCK.wall() % US / US)  # to a whole second, one tick having passed
    first = CLOCK.wall() // US
    await CLOCK.sleep(seconds)
    polling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await polling
    wanted = {(meter.id, second) for meter in meters if meter.unit != DEAD for second in range(first, first + seconds)}
    return len(seen & wanted) / len(wanted)


async def on_one_endpoint(seconds: int) -> float:
    """Return the share on Modbus TCP. [s]"""
    async with on_tcp(Server(lambda asked: answering(0.01, asked), serial=False)) as port:
        return await on_time(modbus_link.tcp(HOST, port), seconds, 1.0)


async def on_one_line(seconds: int) -> float:
    """Return the share on a serial line, whose answers take what they take at 38,400 baud. [s]"""
    think_s = (8 + 5 + 2 * REGISTERS) * 11 / BAUDRATE + 0.0075
    async with on_terminal(Server(lambda asked: answering(think_s, asked), serial=True)) as device:
        return await on_time(modbus_link.rtu(device, baudrate=BAUDRATE, parity="none"), seconds, 0.5)
