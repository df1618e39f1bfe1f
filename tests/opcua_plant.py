"""A real asyncua server with one metering point, for tests of what reads it."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import datetime
from fractions import Fraction

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds

from agent.acquire.drivers.base import BlockRead, Target
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.points import Profile
from agent.acquire.profile import find_profile, narrow

ECM = "http://opcfoundation.org/UA/ECM/"
OWN = "urn:example:turbine"
IMPORT, EXPORT, POWER = "AcActiveEnergyTotalImportHp", "AcActiveEnergyTotalExportHp", "AcActivePowerTotal"
KINDS = {IMPORT: ua.VariantType.Double, EXPORT: ua.VariantType.Double, POWER: ua.VariantType.Float}
VALUES = {IMPORT: 1_000_000.0, EXPORT: 0.5, POWER: 100.0}
MILLION_WH = 0x412E848000000000  # 1e6 as binary64
HALF_WH = 0x3FE0000000000000  # 0.5 as binary64
GOOD = {"energy_active_import": MILLION_WH, "energy_active_export": HALF_WH}

Prepare = Callable[[Server], Awaitable[None]]


def profile() -> Profile:
    """Return the ECM profile with three of its quantities."""
    wanted = ["energy_active_import", "energy_active_export", "power_active_total"]
    return narrow(find_profile("opcua-ecm"), wanted, Fraction(1))


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

    async def put(self, name: str, value: float, status: int = 0, stamp: datetime | None = None) -> None:
        """Let a node have that value, status and source stamp."""
        variant = ua.Variant(value, KINDS[name])
        told = None if stamp is None else ua.DateTime.combine(stamp.date(), stamp.timetz())
        answer = ua.DataValue(variant, ua.StatusCode(ua.UInt32(status)), SourceTimestamp=told)
        await self.server.write_attribute_value(self.nodes[name].nodeid, answer)

    def compute(self, name: str, answer: Callable[[], ua.DataValue]) -> None:
        """Let a node compute its value when it is read; asyncua notifies no change of such a node."""
        aspace = self.server.iserver.aspace
        aspace.set_attribute_value_callback(self.nodes[name].nodeid, AttributeIds.Value, lambda _n, _a: answer())


@asynccontextmanager
async def turbine(
    *, tag: str = "gt1", first_space: str = "urn:other", port: int | None = None, prepare: Prepare | None = None
) -> AsyncIterator[Turbine]:
    """Give a running server; its namespace indices depend on ``first_space``."""
    server = Server()
    await server.init()
    url = f"opc.tcp://127.0.0.1:{port or free_port()}"
    server.set_endpoint(url)
    await server.register_namespace(first_space)
    ecm, own = await server.register_namespace(ECM), await server.register_namespace(OWN)
    folder = await server.nodes.objects.add_folder(node_id("plant", own), ua.QualifiedName("Plant", own))
    point = await folder.add_object(node_id("gt1", own), ua.QualifiedName("GT1", own))
    await point.add_variable(node_id("tag", own), ua.QualifiedName("ApplicationTag", ecm), tag)
    nodes = {}
    for name, value in VALUES.items():
        nodes[name] = await point.add_variable(node_id(name, own), ua.QualifiedName(name, ecm), value, KINDS[name])
    for name, told in (("SerialNumber", "A-17"), ("CtPrimary", 4000.0)):
        nodes[name] = await point.add_variable(node_id(name, own), ua.QualifiedName(name, own), told)
    if prepare is not None:
        await prepare(server)
    async with server:
        yield Turbine(server, url, nodes)


class Stage:
    """One server for many scenes: to start one takes seconds."""

    def __init__(self, runner: asyncio.Runner, plant: Turbine) -> None:
        self._runner, self._plant = runner, plant

    def play(self, scene: Callable[[Turbine], Coroutine[None, None, None]]) -> None:
        """Run a scene with the server as it was at the start."""
        self._runner.run(self._reset())
        self._runner.run(scene(self._plant))

    async def _reset(self) -> None:
        for name, value in VALUES.items():
            await self._plant.put(name, value)


@contextmanager
def stage() -> Iterator[Stage]:
    """Give a stage with a running server."""
    with asyncio.Runner() as runner:
        context = turbine()
        yield Stage(runner, runner.run(_entered(context)))
        runner.run(_left(context))


async def _entered(context: AbstractAsyncContextManager[Turbine]) -> Turbine:
    return await context.__aenter__()


async def _left(context: AbstractAsyncContextManager[Turbine]) -> None:
    await context.__aexit__(None, None, None)


async def ask(driver: OpcUa, target: Target, timeout_s: float = 5) -> BlockRead:
    """Return the answer to one poll."""
    return await driver.read(target, driver.blocks(target)[0], timeout_s)


async def until(condition: Callable[[], bool], limit_s: float = 15) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: it did not come.
    """
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - what is awaited sets no event
            await asyncio.sleep(0.02)
