"""The five links: each against a real server, with what it does when something goes wrong on it."""

import asyncio
import datetime as dt
import ipaddress
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pymodbus.framer import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Refused, Unreachable
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_link import Link
from shared.clock import SystemClock
from shared.errors import ConfigError, ReadError
from tests.agent.acquire.modbus_terminals import cable
from tests.faults.modbus_kinds import dripping, exception, silent
from tests.faults.modbus_server import Action, Asked, Server, on_tcp, on_terminal

HOST = "127.0.0.1"
CLOCK = SystemClock()
DEVICES = [SimDevice(7, simdata=[SimData(100, values=list(range(100, 140)), datatype=DataType.REGISTERS)])]


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def good(link: Link) -> None:
    """Two questions, a refusal between them, and one after the link was closed."""
    driver = Modbus(link, CLOCK)
    assert list(await driver.registers(7, 3, 100, 3, 1.0)) == [100, 101, 102]
    with pytest.raises(Refused, match="exception 02"):
        await driver.registers(7, 3, 139, 2, 1.0)
    assert list(await driver.registers(7, 3, 110, 2, 1.0)) == [110, 111]
    await driver.close()
    assert list(await driver.registers(7, 3, 139, 1, 1.0)) == [139]
    await driver.close()


Serving = ModbusTcpServer | ModbusUdpServer | ModbusTlsServer | ModbusSerialServer


@asynccontextmanager
async def serving(server: Serving) -> AsyncIterator[None]:
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


def test_udp() -> None:
    async def scene() -> None:
        port = free_port(socket.SOCK_DGRAM)
        async with serving(ModbusUdpServer(DEVICES, address=(HOST, port))):
            await good(modbus_link.udp(HOST, port))

    asyncio.run(scene())


def test_rtu_over_tcp() -> None:
    async def scene() -> None:
        port = free_port()
        async with serving(ModbusTcpServer(DEVICES, framer=FramerType.RTU, address=(HOST, port))):
            await good(modbus_link.rtu_over_tcp(HOST, port))

    asyncio.run(scene())


def test_a_serial_line() -> None:
    async def scene() -> None:
        async with cable() as (ours, theirs), serving(ModbusSerialServer(DEVICES, port=theirs, baudrate=9600)):
            await good(modbus_link.rtu(ours, baudrate=9600, parity="none"))

    asyncio.run(scene())


# --- TLS -------------------------------------------------------------------------------------------------------------


class Authority:
    """A certificate authority of the test."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self._signed(self.name, self.key, ca=True))

    def _signed(self, name: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder(self.name, name, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def certificate(self, name: str) -> tuple[str, str]:
        """Return files of a certificate and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(self._signed(subject, key, ca=False))
        form = serialization.PrivateFormat.PKCS8
        files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
        return str(files[0]), str(files[1])


def _context(authority: Authority, *, asks: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.certificate("meter"))
    if asks:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.file)
    return context


def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    async def scene() -> None:
        authority, port = Authority(tmp_path, "ca"), free_port()
        server = ModbusTlsServer(
            DEVICES, framer=FramerType.SOCKET, address=(HOST, port), sslctx=_context(authority, asks=True)
        )
        cert, key = authority.certificate("gateway")
        async with serving(server):
            await good(modbus_link.tls(HOST, port, ca_file=str(authority.file), cert_file=cert, key_file=key))

    asyncio.run(scene())


def test_tls_refuses_a_device_that_another_authority_vouches_for(tmp_path: Path) -> None:
    async def scene() -> None:
        port = free_port()
        context = _context(Authority(tmp_path, "theirs"), asks=False)
        async with serving(ModbusTlsServer(DEVICES, framer=FramerType.SOCKET, address=(HOST, port), sslctx=context)):
            other = Authority(tmp_path, "ours")
            driver = Modbus(modbus_link.tls(HOST, port, ca_file=str(other.file)), CLOCK)
            with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
                await driver.registers(7, 3, 100, 1, 1.0)

    asyncio.run(scene())


def test_tls_files_that_are_not_there_are_the_operators() -> None:
    with pytest.raises(ConfigError, match=r"check /nowhere/ca\.pem"):
        modbus_link.tls(HOST, 802, ca_file="/nowhere/ca.pem")


# --- when something goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [modbus_link.tcp, modbus_link.rtu_over_tcp, modbus_link.udp])
def test_where_nobody_listens_the_link_is_unreachable(made: Callable[[str, int], Link]) -> None:
    async def scene() -> None:
        driver = Modbus(made(HOST, free_port()), CLOCK)
        with pytest.raises(Unreachable, match="check address"):
            await driver.registers(7, 3, 100, 1, 1.0)
        await driver.close()

    asyncio.run(scene())


def test_a_port_that_is_not_there_is_unreachable() -> None:
    async def scene() -> None:
        driver = Modbus(modbus_link.rtu("/dev/nosuchport"), CLOCK)
        with pytest.raises(Unreachable, match=r"/dev/nosuchport: .*No such file"):
            await driver.registers(7, 3, 100, 1, 0.5)

    asyncio.run(scene())


def test_a_port_that_cannot_be_set_so_is_unreachable() -> None:
    """A pseudo-terminal has no parity on some kernels; where it has, there is nothing to see."""
    near, far = os.openpty()

    async def scene() -> None:
        driver = Modbus(modbus_link.rtu(os.ttyname(far), parity="even"), CLOCK)
        with pytest.raises(ReadError):
            await driver.registers(7, 3, 100, 1, 0.2)
        await driver.close()

    try:
        asyncio.run(scene())
    finally:
        os.close(near)
        os.close(far)


def test_a_serial_port_that_is_pulled_out_is_found_again_or_unreachable() -> None:
    async def scene() -> None:
        async with on_terminal(Server(silent, serial=True)) as device:
            driver = Modbus(modbus_link.rtu(device, baudrate=115_200, parity="none"), CLOCK)
            await driver.registers(1, 3, 100, 2, 1.0)
        for _ in range(2):
            with pytest.raises(ReadError):
                await driver.registers(1, 3, 100, 2, 0.2)

    asyncio.run(scene())


def test_a_unit_that_errs_late_does_not_make_the_link_unreachable() -> None:
    """Its wrong answer leaves no time to connect anew; the units beside it are not dead for that."""

    async def scene() -> None:
        def wrong(asked: Asked) -> list[Action]:
            return [asked.true] if asked.turn == 1 else [0.19, asked.framed(asked.answer, unit=3)]

        server = Server(lambda asked: iter(wrong(asked)), serial=False)
        async with on_tcp(server) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            await driver.registers(9, 3, 100, 2, 1.0)
            with pytest.raises(ReadError) as caught:
                await driver.registers(9, 3, 100, 2, 0.2)
            assert not isinstance(caught.value, Unreachable)
            await driver.close()

    asyncio.run(scene())


def test_a_datagram_that_comes_late_is_passed_over() -> None:
    async def scene() -> None:
        asked: list[bytes] = []

        class Peer(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                assert hasattr(transport, "sendto")
                self.send = transport.sendto

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                """Answer the first question only with the second, ahead of its own answer."""
                asked.append(data)
                for n, one in enumerate(asked if len(asked) > 1 else []):
                    self.send(one[:4] + b"\0\5" + one[6:8] + b"\2\0" + bytes([n]), addr)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Peer, local_addr=(HOST, 0))
        driver = Modbus(modbus_link.udp(HOST, transport.get_extra_info("sockname")[1]), CLOCK)
        with pytest.raises(ReadError, match="no usable answer"):
            await driver.registers(7, 3, 100, 1, 0.05)
        assert list(await driver.registers(7, 3, 200, 1, 1.0)) == [1]
        await driver.close()
        transport.close()

    asyncio.run(scene())


def test_a_busy_meter_is_asked_again_inside_the_deadline() -> None:
    async def scene() -> None:
        def busy_twice(asked: Asked) -> list[Action]:
            return [asked.true] if asked.turn > 2 else [asked.framed(bytes([0x83, 6 if asked.turn == 1 else 5]))]

        server = Server(lambda asked: iter(busy_twice(asked)), serial=False)
        async with on_tcp(server) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            assert (await driver.registers(9, 3, 100, 2, 2.0))[0] == 3
            await driver.close()
        assert len(server.asked) == 3

    asyncio.run(scene())


def test_a_meter_that_stays_busy_is_told_as_such_and_in_time() -> None:
    async def scene() -> None:
        server = Server(lambda asked: exception(6, asked), serial=False)
        async with on_tcp(server) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            begin = CLOCK.boot()
            with pytest.raises(Refused, match="exception 06") as caught:
                await driver.registers(9, 3, 100, 2, 0.25)
            assert CLOCK.boot() - begin < 400_000
            assert caught.value.code == 6
            await driver.close()
        assert 2 <= len(server.asked) <= 3

    asyncio.run(scene())


def test_the_deadline_holds_however_slowly_an_answer_drips_in() -> None:
    async def scene() -> None:
        async with on_tcp(Server(lambda asked: dripping(0.05, asked), serial=False)) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            begin = CLOCK.boot()
            with pytest.raises(ReadError, match=r"no usable answer in 0\.2 s"):
                await driver.registers(9, 3, 100, 2, 0.2)
            assert 190_000 <= CLOCK.boot() - begin < 500_000
            await driver.close()

    asyncio.run(scene())


@asynccontextmanager
async def terminal(server: Server) -> AsyncIterator[Link]:
    async with on_terminal(server) as device:
        yield modbus_link.rtu(device, baudrate=115_200, parity="none")


@asynccontextmanager
async def gateway(server: Server) -> AsyncIterator[Link]:
    server.forwards = True
    async with on_tcp(server) as port:
        yield modbus_link.rtu_over_tcp(HOST, port)


@pytest.mark.parametrize("place", [terminal, gateway])
def test_a_late_answer_on_a_serial_line_never_answers_the_next_question(
    place: Callable[[Server], AbstractAsyncContextManager[Link]],
) -> None:
    """Two questions of one unit and length: the second is asked only after one of another length was answered.

    A gateway hands what comes late to the connection that is open then.
    """

    async def scene() -> None:
        def first_late(asked: Asked) -> list[Action]:
            return [0.3, asked.true] if asked.turn == 1 else [asked.true]

        server = Server(lambda asked: iter(first_late(asked)), serial=True)
        async with place(server) as link:
            driver = Modbus(link, CLOCK)
            with pytest.raises(ReadError, match="no usable answer"):
                await driver.registers(9, 3, 100, 4, 0.05)
            with pytest.raises(ReadError, match="no usable answer"):  # it is still late
                await driver.registers(9, 3, 200, 4, 0.05)
            words = await driver.registers(9, 3, 200, 4, 2.0)
            assert tuple(words) == server.truth[9, 3, 200, 4]
            await driver.close()
        counts = [int.from_bytes(pdu[3:5], "big") for pdu in server.asked]
        assert counts[0] == counts[-1] == 4
        assert 4 not in counts[1:-1]  # nothing that the late answer fits was asked meanwhile

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("baudrate", "cost"),
    [
        (9_600, (30_416, 2_291)),  # 13 characters of 1.1458 ms, twice 4.0104 ms, 7.5 ms; a register is 2 characters
        (19_200, (18_958, 1_145)),
        (115_200, (12_241, 190)),  # 13 of 95.5 us, twice 1.75 ms, 7.5 ms
    ],
)
def test_a_serial_line_costs_what_its_baud_rate_says(baudrate: int, cost: tuple[int, int]) -> None:
    assert modbus_link.rtu("/dev/ttyS0", baudrate=baudrate).cost == cost
