"""The OPC UA driver against a real asyncua server."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction

import pytest
from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.status_codes import StatusCodes

from agent.acquire.drivers.base import BlockRead, Target, Unreachable
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.profile import find_profile, narrow
from shared.clock import SystemClock
from shared.errors import ReadError

ECM = "http://opcfoundation.org/UA/ECM/"
OWN = "urn:example:turbine"
PROFILE = narrow(
    find_profile("opcua-ecm"), ["energy_active_import", "energy_active_export", "power_active_total"], Fraction(1)
)
MILLION_WH = 0x412E848000000000  # 1e6 as binary64


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def node_id(name: str, space: int) -> ua.NodeId:
    return ua.NodeId(ua.String(name), ua.Int16(space))


class Turbine:
    """A server with one metering point."""

    def __init__(self, server: Server, url: str, nodes: dict[str, Node]) -> None:
        self.server, self.url, self.nodes = server, url, nodes


@asynccontextmanager
async def turbine(*, tag: str = "gt1", first_space: str = "urn:other") -> AsyncIterator[Turbine]:
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    server.set_endpoint(url)
    await server.register_namespace(first_space)  # so that indices differ from server to server
    ecm, own = await server.register_namespace(ECM), await server.register_namespace(OWN)
    folder = await server.nodes.objects.add_folder(node_id("plant", own), ua.QualifiedName("Plant", own))
    point = await folder.add_object(node_id("gt1", own), ua.QualifiedName("GT1", own))
    await point.add_variable(node_id("tag", own), ua.QualifiedName("ApplicationTag", ecm), tag)
    nodes = {}
    for name, value, kind in (
        ("AcActiveEnergyTotalImportHp", 1_000_000.0, ua.VariantType.Double),
        ("AcActiveEnergyTotalExportHp", 0.5, ua.VariantType.Double),
        ("AcActivePowerTotal", 100.0, ua.VariantType.Float),
    ):
        nodes[name] = await point.add_variable(node_id(name, own), ua.QualifiedName(name, ecm), value, kind)
    async with server:
        yield Turbine(server, url, nodes)


async def ask(driver: OpcUa, target: Target, timeout_s: float = 5) -> BlockRead:
    return await driver.read(target, driver.blocks(target)[0], timeout_s)


METER = Target("gt1", PROFILE)
GOOD = {"energy_active_import": MILLION_WH, "energy_active_export": 0x3FE0000000000000}


def test_a_meter_is_found_by_its_tag_and_its_names() -> None:
    async def scene() -> None:
        async with turbine() as plant:
            driver = OpcUa(plant.url, SystemClock())
            read = await ask(driver, METER)
            assert read.registers == GOOD
            assert read.values == {"power_active_total": 100_000}
            assert read.sent < read.at
            assert await driver.identity(METER, 5) is None
            await driver.close()

    asyncio.run(scene())


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


def test_a_value_that_is_not_good_is_not_available_and_harms_no_other() -> None:
    async def scene() -> None:
        async with turbine() as plant:
            driver = OpcUa(plant.url, SystemClock())
            for status in (StatusCodes.BadSensorFailure, StatusCodes.UncertainLastUsableValue):
                answer = ua.DataValue(ua.Variant(7.0, ua.VariantType.Double), ua.StatusCode(ua.UInt32(status)))
                await plant.server.write_attribute_value(plant.nodes["AcActiveEnergyTotalImportHp"].nodeid, answer)
                read = await ask(driver, METER)
                assert read.registers == {**GOOD, "energy_active_import": None}
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
            await plant.nodes["AcActiveEnergyTotalImportHp"].add_property(
                node_id("unit", 2), ua.QualifiedName("EngineeringUnits", 0), kwh
            )
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
