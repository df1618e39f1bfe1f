"""The Modbus driver against real servers: pymodbus's own, and one that misbehaves byte by byte."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import BlockRead, Refused, Target, Unreachable
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.profile import find_profile
from shared.clock import SystemClock
from shared.errors import ReadError

HOST = "127.0.0.1"
PM5000 = find_profile("schneider-pm5000")
METER = Target("m1", PM5000, unit=7)
ENERGIES = [0, 0, 1, 0x86A0, 0, 1, 0, 0, *[0] * 8, 0, 0, 0, 5, 0x8000, 0, 0, 0]  # 3203: 100000, 2^32, 5, n/a


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def pymodbus_server(port: int) -> AsyncIterator[None]:
    registers = [
        SimData(129, values=[0x00BC, 0x614E], datatype=DataType.REGISTERS),
        SimData(3059, values=[0x42C8, 0, *[0] * 6, 0x3F80, 0, *[0] * 40, 0x4248, 0], datatype=DataType.REGISTERS),
        SimData(3203, values=ENERGIES, datatype=DataType.REGISTERS),
    ]
    server = ModbusTcpServer([SimDevice(7, simdata=registers)], address=(HOST, port))
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(talk: Talk) -> AsyncIterator[int]:
    """Give the port of a server that answers as `talk` says."""

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(guarded, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def reply(request: bytes, words: list[int]) -> bytes:
    """Return the bytes of an answer, by hand from the standard: MBAP header, function, byte count, registers."""
    body = bytes([request[6], request[7], 2 * len(words)]) + b"".join(word.to_bytes(2, "big") for word in words)
    return request[:4] + len(body).to_bytes(2, "big") + body


async def ask(driver: Modbus, block: int = 0, target: Target = METER, timeout_s: float = 1.0) -> BlockRead:
    return await driver.read(target, driver.blocks(target)[block], timeout_s)


def test_a_block_is_read_and_decoded() -> None:
    async def scene() -> None:
        port = free_port()
        async with pymodbus_server(port):
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            try:
                energy = await ask(driver)
                assert energy.registers == {
                    "energy_active_import": 100_000,
                    "energy_active_export": 2**32,
                    "energy_reactive_import": 5,
                    "energy_reactive_export": None,  # not available
                }
                assert energy.sent < energy.at
                rest = await ask(driver, 1)
                assert rest.values == {
                    "power_active_total": 100_000_000,
                    "power_reactive_total": 1_000_000,
                    "frequency": 50_000,
                }
                assert (await driver.identity(METER, 1.0)).serial == "12345678"
            finally:
                await driver.close()

    asyncio.run(scene())


def test_a_refusal_names_its_code_and_keeps_the_connection() -> None:
    async def scene() -> None:
        connections = 0

        async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            while True:
                request = await reader.readexactly(12)
                writer.write(request[:4] + b"\0\3" + bytes([request[6], request[7] | 0x80, 2]))

        async with raw_server(refusing) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            for _ in range(2):
                with pytest.raises(Refused, match=r"unit 7, holding registers 3203 to 3226: .*exception 02") as caught:
                    await ask(driver)
                assert caught.value.code == 2
            await driver.close()
            assert connections == 1

    asyncio.run(scene())


def test_a_late_reply_never_becomes_another_registers_value() -> None:
    """The first answer comes after the timeout; the next request is answered on a connection of its own."""

    async def scene() -> None:
        asked: list[int] = []

        async def first_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                request = await reader.readexactly(12)
                asked.append(int.from_bytes(request[8:10], "big"))
                late = len(asked) == 1
                await asyncio.sleep(0.2 if late else 0)
                writer.write(reply(request, [0, 0, 0, 9 if late else 1] * 6))

        async with raw_server(first_late) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            with pytest.raises(ReadError, match=r"no usable answer in 0\.1 s"):
                await ask(driver, timeout_s=0.1)
            second = await ask(driver)
            assert set(second.registers.values()) == {1}
            await driver.close()

    asyncio.run(scene())


def test_a_read_that_is_cancelled_closes_the_connection() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG001 - the form of a handler
            await reader.readexactly(12)
            assert await reader.read() == b""
            ended.set()

        async with raw_server(silent) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(driver, timeout_s=5), 0.1)
            await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(scene())


@pytest.mark.parametrize("words", [[0] * 23, [0] * 25, [0]], ids=["one too few", "one too many", "one"])
def test_an_answer_with_another_number_of_registers_is_no_answer(words: list[int]) -> None:
    async def scene() -> None:
        async def wrong(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(reply(await reader.readexactly(12), words))
            await reader.read()

        async with raw_server(wrong) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            with pytest.raises(ReadError, match=rf"answered {len(words)} registers"):
                await ask(driver, timeout_s=0.5)
            await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize("change", [(0, 1), (6, 9)], ids=["another transaction", "another unit"])
def test_an_answer_to_another_request_is_no_answer(change: tuple[int, int]) -> None:
    async def scene() -> None:
        async def crossed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            answer = bytearray(reply(await reader.readexactly(12), [0] * 24))
            answer[change[0]] += change[1]
            writer.write(bytes(answer))
            await reader.read()

        async with raw_server(crossed) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            with pytest.raises(ReadError):
                await ask(driver, timeout_s=0.2)
            await driver.close()

    asyncio.run(scene())


def test_a_connection_that_the_meter_closed_while_idle_is_opened_again() -> None:
    async def scene() -> None:
        connections = 0

        async def once_each(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            writer.write(reply(await reader.readexactly(12), [0, 0, 0, 3] * 6))
            await reader.readexactly(1)  # the next request finds the door closing

        async with raw_server(once_each) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            first, second = await ask(driver), await ask(driver, timeout_s=5)
            assert first.registers == second.registers
            assert connections == 2
            await driver.close()

    asyncio.run(scene())


def test_an_endpoint_that_takes_no_connection_is_unreachable() -> None:
    async def scene() -> None:
        driver = Modbus(modbus_link.tcp(HOST, free_port()), SystemClock())
        with pytest.raises(Unreachable, match="check address, port and network"):
            await ask(driver)

    asyncio.run(scene())


def test_requests_leave_without_delay() -> None:
    """TCP_NODELAY: asyncio sets it, and the driver relies on that."""

    async def scene() -> None:
        port = free_port()
        async with pymodbus_server(port):
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            await ask(driver)
            assert driver._link._line is not None
            opened = driver._link._line.transport.get_extra_info("socket")
            assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await driver.close()

    asyncio.run(scene())
