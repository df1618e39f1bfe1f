"""The server end of every Modbus link of a site file: TCP, TLS, UDP, RTU through a socket, RTU on a pseudo-terminal."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer, ModbusUdpServer
from pymodbus.simulator import SimDevice

from agent.buses import Modbus, ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusTls, ModbusUdp
from agent.field import simulate_certificate, simulate_terminal
from shared.clock import Clock
from shared.errors import ConfigError

Trace = Callable[[bool, ModbusPDU], ModbusPDU]
_Socket = ModbusTcp | ModbusRtuTcp | ModbusTls | ModbusUdp
Server = ModbusTcpServer | ModbusTlsServer | ModbusUdpServer | ModbusSerialServer


@contextlib.asynccontextmanager
async def serving(bus: Modbus, devices: Sequence[SimDevice], trace: Trace, clock: Clock) -> AsyncIterator[None]:
    """Serve devices on a link until the block ends.

    Raises:
        ConfigError: it cannot be listened on.
    """
    if isinstance(bus, ModbusRtu):
        with simulate_terminal.line(bus) as device:
            async with _listening(_serial(bus, device, devices, trace), bus):
                yield
        return
    async with _listening(_socket(bus, list(devices), trace, clock), bus):
        yield


@contextlib.asynccontextmanager
async def _listening(server: Server, bus: Modbus) -> AsyncIterator[None]:
    try:
        await server.serve_forever(background=True)
    except RuntimeError as error:  # pymodbus says no more than this
        raise ConfigError(
            f"{place(bus)}: cannot listen; another program may have it, or it needs root below 1024"
        ) from error
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped


def place(bus: Modbus) -> str:
    """Return how messages call a link."""
    return bus.device if isinstance(bus, ModbusRtu) else f"{bus.host}:{bus.port}"


def _serial(bus: ModbusRtu, device: str, devices: Sequence[SimDevice], trace: Trace) -> Server:
    return ModbusSerialServer(
        list(devices), port=device, baudrate=bus.baudrate, stopbits=bus.stop_bits, trace_pdu=trace
    )  # fmt: skip


def _socket(
    bus: ModbusTcp | ModbusRtuTcp | ModbusTls | ModbusUdp, devices: list[SimDevice], trace: Trace, clock: Clock
) -> Server:
    match bus:
        case ModbusTcp():
            return ModbusTcpServer(devices, address=(bus.host, bus.port), trace_pdu=trace)
        case ModbusRtuTcp():
            return ModbusTcpServer(
                devices, framer=FramerType.RTU, address=(bus.host, bus.port), trace_pdu=trace
            )  # fmt: skip
        case ModbusTls():
            proof = simulate_certificate.context(bus, clock.wall())
            return ModbusTlsServer(
                devices, framer=FramerType.SOCKET, address=(bus.host, bus.port), sslctx=proof, trace_pdu=trace
            )
    return ModbusUdpServer(devices, address=(bus.host, bus.port), trace_pdu=trace)
