"""The OPC UA driver against node-opcua, a server of another stack: reads, a subscription, a kill and a restart."""

import asyncio
import struct
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from agent.acquire.drivers.base import BlockRead, Refused, Target
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.points import Part, Point
from shared.clock import US, SystemClock
from shared.errors import ReadError
from tests.conftest import lacking
from tests.opcua_peer import NoPeer, installed, serving
from tests.opcua_plant import HALF_WH, ask, free_port, profile

CLOCK = SystemClock()
OWN = "nsu=urn:example:turbine"
NODES = {
    "energy_active_import": f"{OWN};s=import",
    "energy_active_export": f"{OWN};s=export",
    "power_active_total": f"{OWN};s=power",
}
SERIAL = Point("serial", "setting", (Part(0, 8, 3, "ascii", "big", "big"),), "int", Fraction(1), node=f"{OWN};s=serial")
METER = Target("gt1", replace(profile(), serial=SERIAL), poll_us=300_000, nodes=NODES)
STEP_US = 100_000  # the peer's register is the wall clock in steps of 0.1 s
SLACK = 2  # steps by which its timer may be late


@pytest.fixture(scope="module")
def peer() -> Path:
    try:
        return installed()
    except NoPeer as error:
        lacking(str(error))


def steps(read: BlockRead) -> float:
    raw = read.registers["energy_active_import"]
    assert isinstance(raw, int)
    return float(struct.unpack(">d", raw.to_bytes(8, "big"))[0])


def assert_true(read: BlockRead) -> None:
    """Assert that the register showed what was read, at an instant between the bounds of the read."""
    offset = CLOCK.wall() - CLOCK.boot()
    assert (read.sent + offset) // STEP_US - SLACK <= steps(read) <= (read.at + offset) // STEP_US


async def polls(driver: OpcUa, name: str, count: int) -> list[BlockRead]:
    """Poll until so many of that were counted; each value is held against the truth."""
    found: list[BlockRead] = []
    async with asyncio.timeout(30):
        while driver.counts[name] < count:
            with suppress(ReadError):
                found.append(await ask(driver, METER, 2))
                assert_true(found[-1])
            await asyncio.sleep(0.3)
    return found


def test_another_stack_is_read_with_stamps_and_status_and_serial(peer: Path, tmp_path: Path) -> None:
    async def scene(port: int) -> None:
        driver = OpcUa(f"opc.tcp://127.0.0.1:{port}", CLOCK)
        read = await ask(driver, METER)
        assert_true(read)
        assert read.registers["energy_active_export"] == HALF_WH
        assert read.values == {"power_active_total": 100_000}
        assert abs(read.stamps["energy_active_import"] - CLOCK.wall()) < 5 * US
        identity = await driver.identity(METER, 5)
        assert identity.serial == "A-17"
        assert identity.clock is not None
        assert abs(identity.clock.told - CLOCK.wall()) < 5 * US
        with pytest.raises(Refused, match="the server tells no history: energy_active_import Bad"):
            await driver.history(METER, 0, CLOCK.wall(), 5)
        assert driver.counts["sessions"] == 1
        failed = replace(METER, nodes={**NODES, "energy_active_export": f"{OWN};s=failed"})
        await driver.close()
        assert (await ask(driver, failed)).registers["energy_active_export"] is None
        assert driver.troubles["gt1", "energy_active_export"].startswith("BadSensorFailure")
        nowhere = replace(METER, nodes={**NODES, "energy_active_export": f"{OWN};s=nowhere"})
        await driver.close()
        assert_true(await ask(driver, nowhere))
        assert driver.troubles["gt1", "energy_active_export"].startswith("BadNodeIdUnknown")
        await driver.close()

    port = free_port()
    with serving(peer, port, tmp_path, "urn:other"):
        asyncio.run(scene(port))


def test_another_stack_is_subscribed_to_and_again_after_a_kill_and_a_restart(peer: Path, tmp_path: Path) -> None:
    async def first(driver: OpcUa) -> None:
        await polls(driver, "statements", 5)
        assert driver.counts["requests"] < 12

    async def second(driver: OpcUa) -> None:
        found = await polls(driver, "statements", 10)
        assert driver.counts["sessions"] >= 2
        assert driver.counts["subscriptions"] == 2
        assert found[0].registers["energy_active_export"] == HALF_WH

    port = free_port()
    driver = OpcUa(f"opc.tcp://127.0.0.1:{port}", CLOCK, mode="subscribe", interval_us=3600 * US)
    with asyncio.Runner() as runner:
        with serving(peer, port, tmp_path, "urn:other") as server:
            runner.run(first(driver))
            server.kill()
        with serving(peer, port, tmp_path, "urn:example:turbine"):  # so that the meter's namespace index moves
            runner.run(second(driver))
            runner.run(driver.close())
