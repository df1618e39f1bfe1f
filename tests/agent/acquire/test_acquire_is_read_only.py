"""No write to a meter is reachable: not in the code of the agent, and not on the wire."""

import ast
import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from pymodbus.client.mixin import ModbusClientMixin

import agent
from agent.acquire.drivers import modbus_frame, modbus_link
from agent.acquire.drivers.base import Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.profile import find_profile
from shared.clock import SystemClock
from shared.errors import ReadError
from tests.faults.modbus_kinds import exception, silent
from tests.faults.modbus_server import HOST, Server, on_tcp

READS = {3, 4, 20, 43}
ROOT = Path(agent.__file__ or "").parent
#: All of the agent but its simulator, which the daemon never imports and which refuses what is no read.
SOURCES = sorted(path for path in ROOT.rglob("*.py") if not path.name.startswith("simulate"))
OPCUA_WRITES = {
    "write", "write_value", "write_values", "write_attribute", "write_attribute_value", "set_value", "set_writable",
    "set_attribute", "set_attr_bit", "call_method", "call", "history_update", "add_nodes", "delete_nodes",
    "write_params", "add_variable", "add_object", "add_folder", "add_method",
}  # fmt: skip
MODBUS_WRITES = {name for name in dir(ModbusClientMixin) if "write" in name or name.startswith(("diag", "mask"))}
#: Streams, files and texts that are no meters: `x.write` of these is none of a meter's.
OUTPUTS = {"write"}


def names(source: Path) -> set[str]:
    tree = ast.parse(source.read_text(encoding="utf-8"))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}


def imported(source: Path, package: str) -> set[str]:
    """Return what a file imports from a package."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    plain = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    found = {f"{node.module}.{alias.name}" for node in froms for alias in node.names}
    return {name for name in found | set(plain) if name.split(".")[0] == package}


def test_no_function_that_writes_to_a_meter_is_named() -> None:
    assert len(SOURCES) > 30
    assert {"write_register", "write_registers", "write_coil", "readwrite_registers"} <= MODBUS_WRITES
    for source in SOURCES:
        assert not names(source) & (MODBUS_WRITES | OPCUA_WRITES) - OUTPUTS, source


def test_pymodbus_is_used_for_frames_of_reads_and_nothing_else() -> None:
    found = {name for source in SOURCES for name in imported(source, "pymodbus")}
    assert found == {
        "pymodbus.framer.FramerRTU",
        "pymodbus.pdu.ModbusPDU",
        "pymodbus.pdu.file_message.FileRecord",
        "pymodbus.pdu.file_message.ReadFileRecordRequest",
        "pymodbus.pdu.mei_message.ReadDeviceInformationRequest",
        "pymodbus.pdu.mei_message.ReadDeviceInformationResponse",
        "pymodbus.pdu.register_message.ReadHoldingRegistersRequest",
        "pymodbus.pdu.register_message.ReadInputRegistersRequest",
        "pymodbus.transport.serialtransport.create_serial_connection",
    }


def test_every_question_that_can_be_built_is_a_read() -> None:
    """`modbus_frame` is the one place where questions are made; whatever its makers are given, they read."""
    makers = [
        node.name
        for node in ast.parse(Path(modbus_frame.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef) and getattr(node.returns, "id", "") == "Question"
    ]
    assert makers == ["registers", "file_record", "identification"]
    built = [modbus_frame.registers(3, 0, 1), modbus_frame.registers(4, 0, 1), modbus_frame.file_record(1, 0, 1)]
    built += [modbus_frame.identification(level, 0) for level in (1, 2)]
    assert {question.function for question in built} == READS
    for function in set(range(256)) - {3, 4}:
        with contextlib.suppress(KeyError):
            raise AssertionError(modbus_frame.registers(function, 0, 1))
    users = [source.name for source in SOURCES if "Question(" in source.read_text(encoding="utf-8")]
    assert users == ["modbus_frame.py"]


def test_the_wire_sees_reads_only() -> None:
    """All that a driver can do, against units that answer, refuse and keep silent."""

    async def everything(driver: Modbus, unit: int) -> None:
        target = Target("m1", find_profile("schneider-pm5000"), unit=unit)
        sunspec = replace(target, profile=replace(target.profile, discovery="sunspec"))
        for doing in (
            *(driver.read(target, block, 0.05) for block in driver.blocks(target)),
            driver.identity(target, 0.05),
            driver.resolve(sunspec, 0.1),
            driver.registers(unit, 4, 0, 2, 0.05),
            driver.file_record(unit, 1, 0, 2, 0.05),
            driver.device_identification(unit, 0.05),
        ):
            with contextlib.suppress(ReadError):
                await doing

    async def scene() -> set[int]:
        seen: set[int] = set()
        for fault in (silent, lambda asked: exception(1, asked), lambda asked: exception(6, asked)):
            for serial in (False, True):
                server = Server(fault, serial=serial)
                async with on_tcp(server) as port:
                    made = modbus_link.rtu_over_tcp if serial else modbus_link.tcp
                    driver = Modbus(made(HOST, port), SystemClock())
                    for unit in (1, 9):
                        await everything(driver, unit)
                    await driver.close()
                seen |= {pdu[0] for pdu in server.asked}
        return seen

    assert asyncio.run(scene()) == READS
