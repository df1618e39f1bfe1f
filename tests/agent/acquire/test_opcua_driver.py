"""The OPC UA driver against a real asyncua server."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from agent.acquire.drivers.base import Recorded, Refused, Target, Unreachable
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.points import Part, Point
from shared.clock import US, SystemClock
from shared.errors import ReadError
from tests.opcua_plant import (
    EXPORT,
    GOOD,
    HALF_WH,
    IMPORT,
    OWN,
    POWER,
    Stage,
    Turbine,
    ask,
    free_port,
    node_id,
    profile,
    stage,
    turbine,
)  # fmt: skip

PROFILE = profile()
METER = Target("gt1", PROFILE)
SEVEN = 0x401C000000000000  # 7.0 as binary64
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOON_US = 1_795_435_200 * US


@pytest.fixture(scope="module")
def shared() -> Iterator[Stage]:
    with stage() as one:
        yield one


def test_a_meter_is_found_by_its_tag_and_its_names(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, SystemClock())
        read = await ask(driver, METER)
        assert read.registers == GOOD
        assert read.values == {"power_active_total": 100_000}
        assert read.sent < read.at
        assert read.uncertain == frozenset()
        assert (await driver.identity(METER, 5)).serial is None
        assert await driver.resolve(METER, 5) == METER
        await driver.close()

    shared.play(scene)


def test_nodes_by_uri_do_not_care_for_indices() -> None:
    async def scene() -> None:
        named = {
            "energy_active_import": f"nsu={OWN};s=AcActiveEnergyTotalImportHp",
            "object": f"nsu={OWN};s=gt1",
        }
        async with turbine(tag="something else", first_space=OWN) as plant:
            driver = OpcUa(plant.url, SystemClock())
            assert (await ask(driver, Target("x1", PROFILE, nodes=named))).registers == GOOD
            await driver.close()

    asyncio.run(scene())


def test_bad_is_no_value_uncertain_a_marked_one_and_neither_harms_another(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, SystemClock())
        node = ("gt1", "energy_active_import")
        for status in (StatusCodes.BadSensorFailure, 0xC0000000):  # the second severity is reserved: as Bad
            await plant.put(IMPORT, 7.0, status)
            read = await ask(driver, METER)
            assert read.registers == {**GOOD, "energy_active_import": None}
            assert (read.uncertain, driver.last_status[node]) == (frozenset(), status)
            assert f"0x{status:08X}" in driver.troubles[node]
            assert "energy_active_import" not in read.stamps
        await plant.put(IMPORT, 7.0, StatusCodes.UncertainLastUsableValue)
        read = await ask(driver, METER)
        assert read.registers == {**GOOD, "energy_active_import": SEVEN}
        assert read.uncertain == {"energy_active_import"}
        assert driver.last_status[node] == StatusCodes.UncertainLastUsableValue
        assert driver.troubles == {}
        await driver.close()

    shared.play(scene)


def test_a_meter_of_which_every_node_is_bad_is_told_with_its_codes(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, SystemClock())
        for name in (IMPORT, EXPORT, POWER):
            await plant.put(name, 7.0, StatusCodes.BadSensorFailure)
        with pytest.raises(Refused, match=r"no node of gt1 gives a value: BadSensorFailure 0x808C0000;") as caught:
            await ask(driver, METER)
        assert (caught.value.code, caught.value.lives) == (StatusCodes.BadSensorFailure, True)
        for name in (IMPORT, EXPORT, POWER):
            await plant.put(name, 7.0, StatusCodes.BadNoCommunication)
        with pytest.raises(ReadError, match="check the device behind the server") as silent:
            await ask(driver, METER)
        assert not isinstance(silent.value, Refused)
        await plant.put(POWER, 1.0)
        read = await ask(driver, METER)
        assert set(read.registers.values()) == {None}
        assert read.values == {"power_active_total": 1000}
        await driver.close()

    shared.play(scene)


def test_a_node_that_does_not_exist_or_fit_harms_no_other(shared: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, SystemClock())
        for text, told in (
            (f"nsu={OWN};s=nowhere", "BadNodeIdUnknown"),
            ("nsu=urn:nowhere;s=x", "no namespace urn:nowhere"),
            (f"nsu={OWN};NoSuchName", "its object has no NoSuchName"),
            (f"nsu={OWN};s=SerialNumber", "of type String, the profile says float64"),
            ("kWh", "names no node"),
        ):
            target = Target("gt1", PROFILE, nodes={"energy_active_import": text})
            await driver.close()  # a new session looks the nodes up
            caplog.clear()
            for _ in range(2):
                assert (await ask(driver, target)).registers == {**GOOD, "energy_active_import": None}
            assert told in driver.troubles["gt1", "energy_active_import"]
            assert [record.msg for record in caplog.records] == ["opcua_node_bad"]  # once
        gone = dict.fromkeys(("energy_active_import", "energy_active_export"), f"nsu={OWN};s=nowhere")
        await driver.close()
        with pytest.raises(Refused, match="BadNodeIdUnknown"):
            await ask(driver, Target("gt1", PROFILE, nodes={**gone, "power_active_total": f"nsu={OWN};s=none"}))
        await driver.close()

    shared.play(scene)


def test_source_stamps_are_kept_and_one_that_goes_backwards_is_not_fresh(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        driver = OpcUa(plant.url, SystemClock())
        name, seen = "energy_active_import", []
        for seconds in (10, 10, 4, 4, 11, 4, 5):
            await plant.put(IMPORT, 7.0, stamp=NOON + timedelta(seconds=seconds))
            read = await ask(driver, METER)
            assert read.registers["energy_active_export"] == HALF_WH
            seen.append((read.registers[name], read.stamps.get(name)))
        fresh = [(SEVEN, NOON_US + 10 * US)] * 2
        # A fallen-back source stays out; a clock that was set back counts again as soon as it runs.
        assert seen == [
            *fresh, (None, None), (None, None), (SEVEN, NOON_US + 11 * US), (None, None), (SEVEN, NOON_US + 5 * US)
        ]  # fmt: skip
        await plant.put(IMPORT, 7.0, stamp=NOON)
        await driver.close()
        assert (await ask(driver, METER)).stamps[name] == NOON_US  # a new session begins anew
        await driver.close()

    shared.play(scene)


def test_identity_has_serial_settings_and_the_servers_clock(shared: Stage) -> None:
    async def scene(plant: Turbine) -> None:
        part = Part(0, 4, 3, "float64", "big", "big")
        settings = tuple(
            Point(name, "setting", (part,), "f64", Fraction(1), node=f"nsu={OWN};s={node}")
            for name, node in (("ct_primary_A", "CtPrimary"), ("firmware", "SerialNumber"), ("lock", "none"))
        )
        serial = Point("serial", "setting", (part,), "int", Fraction(1), node=f"nsu={OWN};s=SerialNumber")
        target = Target("gt1", replace(PROFILE, serial=serial, settings=settings))
        driver, clock = OpcUa(plant.url, SystemClock()), SystemClock()
        identity = await driver.identity(target, 5)
        assert identity.serial == "A-17"
        assert identity.settings == {"ct_primary_A": Fraction(4000), "firmware": "A-17"}
        assert identity.clock is not None
        assert identity.clock.sent < identity.clock.at
        assert abs(identity.clock.told - clock.wall()) < 10 * US
        await driver.close()

    shared.play(scene)


def test_history_gives_the_registers_kept_between_two_instants() -> None:
    async def scene() -> None:
        async with turbine() as plant:
            driver = OpcUa(plant.url, SystemClock())
            plant.server.iserver.history_manager.storage.max_history_data_response_size = 3  # so that it must go on
            await plant.server.historize_node_data_change(plant.nodes[IMPORT], period=timedelta(days=1))
            begin = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
            for second in range(10):
                status = {3: StatusCodes.BadSensorFailure, 4: StatusCodes.UncertainInitialValue}.get(second, 0)
                await plant.put(IMPORT, 7.0 + second, status, begin + timedelta(seconds=second))
            begin_us = round(begin.timestamp()) * US
            last = begin_us + 9 * US
            async with asyncio.timeout(5):  # the server keeps what its own subscription tells it
                while not await driver.history(METER, last, last + 1, 5):  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0.02)
            found = await driver.history(METER, begin_us, begin_us + 9 * US, 5)
            assert found[0] == Recorded("energy_active_import", begin_us, SEVEN)
            assert [(one.stamp - begin_us) // US for one in found] == [0, 1, 2, 4, 5, 6, 7, 8]
            assert {one.quantity for one in found} == {"energy_active_import"}
            assert await driver.history(METER, begin_us + 20 * US, begin_us + 30 * US, 5) == []
            await driver.close()

    asyncio.run(scene())


def test_a_meter_without_a_tag_is_told_how_to_be_found() -> None:
    async def scene() -> None:
        async with turbine(tag="gt2") as plant:
            driver = OpcUa(plant.url, SystemClock())
            with pytest.raises(ReadError, match=r"0 objects .* ApplicationTag 'gt1'"):
                await ask(driver, METER)
            with pytest.raises(ReadError, match="no namespace urn:nowhere"):
                await ask(driver, Target("gt1", PROFILE, nodes={"object": "nsu=urn:nowhere;s=x"}))
            assert (await ask(driver, Target("gt2", PROFILE))).registers == GOOD  # the session lives on
            await driver.close()

    asyncio.run(scene())


def test_a_node_in_another_unit_is_refused_and_a_server_that_restarts_is_read_again() -> None:
    async def scene() -> None:
        async with turbine() as plant:
            driver = OpcUa(plant.url, SystemClock())
            await ask(driver, METER)
            await plant.server.stop()
            with pytest.raises(ReadError):
                await ask(driver, METER, 1)
            await plant.server.start()
            assert (await ask(driver, METER)).registers == GOOD
            await driver.close()
            kwh = ua.EUInformation(UnitId=ua.Int32(0x4B5748), DisplayName=ua.LocalizedText("kWh"))
            await plant.nodes[IMPORT].add_property(node_id("unit", 2), ua.QualifiedName("EngineeringUnits", 0), kwh)
            with pytest.raises(ReadError, match="EngineeringUnits say kWh, the profile Wh"):
                await ask(driver, METER)
            await driver.close()

    asyncio.run(scene())


def test_a_server_that_is_not_there_is_unreachable() -> None:
    async def scene() -> None:
        driver = OpcUa(f"opc.tcp://127.0.0.1:{free_port()}", SystemClock())
        with pytest.raises(Unreachable, match="no session"):
            await ask(driver, METER, 2)

    asyncio.run(scene())


def test_asyncua_is_not_imported_by_the_rest_of_acquisition() -> None:
    code = "import sys, agent.acquire.poller, agent.acquire.drivers.modbus; print('asyncua' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
