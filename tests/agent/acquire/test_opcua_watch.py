"""OPC UA subscriptions: they save traffic and never cost truth, against a real asyncua server."""

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from asyncua import ua

from agent.acquire.drivers.base import BlockRead, Target
from agent.acquire.drivers.opcua import OpcUa
from shared.clock import US, SystemClock
from shared.errors import ReadError
from tests.opcua_plant import GOOD, IMPORT, OWN, Stage, Turbine, ask, free_port, profile, stage, turbine

CLOCK = SystemClock()
POLL_S = 0.2
METER = Target("gt1", profile(), poll_us=round(POLL_S * US))
HOUR_US = 3600 * US
NOWHERE = {"energy_active_export": f"nsu={OWN};s=nowhere"}
SLACK_US = 150_000  # asyncua's server and its client share one loop here


def number(raw: object) -> float:
    assert isinstance(raw, int)
    return float(struct.unpack(">d", raw.to_bytes(8, "big"))[0])


@dataclass
class Load:
    """Advances the import register, and remembers when it showed what."""

    shown: list[tuple[int, float]] = field(default_factory=list)  # from then on [boot us], value

    async def run(self, plant: Turbine, period_s: float = 0.11) -> None:
        value = 1_000_000.0
        while True:
            value += 1
            self.shown.append((CLOCK.boot(), value))
            await plant.put(IMPORT, value, stamp=datetime.now(UTC))
            await asyncio.sleep(period_s)

    def values(self, sent: int, at: int) -> set[float]:
        """Return what it showed at any instant between the two."""
        before = [value for since, value in self.shown if since <= sent][-1:]
        return {*before, *(value for since, value in self.shown if sent < since <= at)}


async def polls(driver: OpcUa, enough: Callable[[], bool], limit_s: float = 20) -> list[BlockRead]:
    """Poll until that is enough; a poll that fails gives nothing."""
    found = []
    async with asyncio.timeout(limit_s):
        while not enough():
            stated = driver.counts["statements"]
            with suppress(ReadError):
                found.append(await ask(driver, METER, 2))
                if driver.counts["statements"] > stated:  # a sample may be as old as the sampling interval
                    assert found[-1].at - found[-1].sent >= METER.poll_us // 2
            await asyncio.sleep(POLL_S)
    return found


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with stage() as one:
        yield one


def test_what_a_subscription_states_was_true_between_its_bounds(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        load, driver = Load(), OpcUa(plant.url, CLOCK, mode="subscribe", interval_us=HOUR_US)
        advancing = asyncio.create_task(load.run(plant))
        reads = await polls(driver, lambda: driver.counts["statements"] >= 8)
        assert driver.counts["requests"] + driver.counts["statements"] == len(reads)
        for read in reads:
            shown = load.values(read.sent - SLACK_US, read.at + SLACK_US)
            assert number(read.registers["energy_active_import"]) in shown
            assert read.at - read.sent <= 2 * METER.poll_us
            assert read.registers["energy_active_export"] == GOOD["energy_active_export"]
        assert all(one.at < other.at for one, other in pairwise(reads))
        steps = [number(read.registers["energy_active_import"]) for read in reads]
        assert steps == sorted(steps)
        stamps = [read.stamps["energy_active_import"] for read in reads]
        assert stamps == sorted(stamps)
        advancing.cancel()
        await driver.close()

    shared.play(scene)


def test_the_first_read_of_each_interval_goes_to_the_server(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, CLOCK, mode="subscribe", interval_us=2 * US)
        last, firsts = 0, 0
        async with asyncio.timeout(20):
            while driver.counts["statements"] < 6 or firsts < 3:
                begin, interval, before = CLOCK.boot(), CLOCK.wall() // (2 * US), driver.counts["requests"]
                read = await ask(driver, METER)
                if interval != last:
                    assert driver.counts["requests"] == before + 1
                    assert begin <= read.sent <= read.at
                    firsts += 1
                last = interval
                await asyncio.sleep(POLL_S)
        await driver.close()

    shared.play(scene)


def test_a_node_whose_changes_are_not_notified_is_read_every_time(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        plant.compute(IMPORT, lambda: ua.DataValue(ua.Variant(CLOCK.boot() / US, ua.VariantType.Double)))
        driver = OpcUa(plant.url, CLOCK, mode="subscribe", interval_us=HOUR_US)
        reads = await polls(driver, lambda: driver.counts["requests"] >= 12)
        assert driver.counts["statements"] == 0
        for read in reads:
            assert read.sent <= number(read.registers["energy_active_import"]) * US <= read.at
        await driver.close()

    shared.play(scene)


def test_meters_share_a_subscription_and_a_node_that_does_not_exist_harms_none(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, CLOCK, mode="subscribe", interval_us=HOUR_US)
        lame = Target("x2", METER.profile, METER.poll_us, nodes={"object": f"nsu={OWN};s=gt1", **NOWHERE})
        async with asyncio.timeout(20):
            while driver.counts["statements"] < 8:
                whole, part = await ask(driver, METER), await ask(driver, lame)
                assert whole.registers == GOOD
                assert part.registers == {**GOOD, "energy_active_export": None}
                await asyncio.sleep(POLL_S)
        assert driver.counts["requests"] < 16
        assert driver.counts["subscriptions"] == 1
        await driver.close()

    shared.play(scene)


def test_a_server_that_restarts_with_other_indices_is_read_and_subscribed_anew() -> None:
    async def scene() -> None:
        port = free_port()
        driver = OpcUa(f"opc.tcp://127.0.0.1:{port}", CLOCK, mode="subscribe", interval_us=HOUR_US)
        async with turbine(port=port):
            await polls(driver, lambda: driver.counts["statements"] >= 2)
        async with turbine(port=port, first_space="urn:example:turbine") as plant:
            assert plant.nodes[IMPORT].nodeid.NamespaceIndex == 2  # it was 4
            sessions = driver.counts["sessions"]
            first = await polls(driver, lambda: driver.counts["sessions"] > sessions)
            assert first[-1].registers == GOOD
            await plant.put(IMPORT, 7.0)
            stated = driver.counts["statements"]
            reads = await polls(driver, lambda: driver.counts["statements"] >= stated + 2)
            assert driver.counts["subscriptions"] == 2
            assert number(reads[-1].registers["energy_active_import"]) == 7
            await driver.close()

    asyncio.run(scene())


def test_a_subscription_that_falls_silent_is_polled_around_and_opened_again(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        load, driver = Load(), OpcUa(plant.url, CLOCK, mode="subscribe", interval_us=HOUR_US)
        advancing = asyncio.create_task(load.run(plant))
        await polls(driver, lambda: driver.counts["statements"] >= 2)
        for subscription in plant.server.iserver.subscription_service.subscriptions.values():
            if subscription._task is not None:
                subscription._task.cancel()  # it stays open and never publishes again
        begin, stated = CLOCK.boot(), driver.counts["statements"]
        reads = await polls(driver, lambda: driver.counts["subscriptions"] == 2)
        reads += await polls(driver, lambda: driver.counts["statements"] >= stated + 4)
        assert driver.counts["sessions"] == 2
        for read in reads:
            shown = load.values(read.sent - SLACK_US, read.at + SLACK_US)
            assert number(read.registers["energy_active_import"]) in shown
        gaps = [other.at - one.at for one, other in pairwise(reads)]
        assert max(gaps) < 4 * METER.poll_us + SLACK_US
        assert reads[0].at - begin < 2 * METER.poll_us
        advancing.cancel()
        await driver.close()

    shared.play(scene)
