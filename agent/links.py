"""From the tables of a site file to links and drivers: one for each bus, whose meters all share it."""

from pathlib import Path

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Driver
from agent.acquire.drivers.modbus import Modbus as ModbusDriver
from agent.acquire.drivers.modbus_link import Link
from agent.buses import Modbus, ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusUdp
from agent.config import Site
from shared.clock import US, Clock
from shared.errors import ConfigError


def drivers(site: Site, clock: Clock) -> dict[str, Driver]:
    """Return one driver for each bus that has meters.

    Raises:
        ConfigError: a file that one needs cannot be used.
    """
    return {bus: driver(site, bus, clock) for bus in dict.fromkeys(meter.bus for meter in site.meter)}


def driver(site: Site, bus: str, clock: Clock) -> Driver:
    """Return the driver of a bus; asyncua is imported only here, and only for a site that has OPC UA.

    Raises:
        ConfigError: as `drivers`.
    """
    if bus in site.modbus:
        try:
            return ModbusDriver(link(site.modbus[bus]), clock)
        except ConfigError as error:
            raise ConfigError(f"bus {bus!r}: {error}") from error
    from agent.acquire.drivers.opcua import OpcUa

    server, where = site.opcua[bus], f"opcua.{bus}"
    for key in ("cert_file", "key_file", "server_cert_file", "user_cert_file", "user_key_file"):
        _text(f"{where}.{key}", getattr(server, key))
    return OpcUa(
        server.url, clock, security=server.security, cert_file=server.cert_file, key_file=server.key_file,
        username=server.username, password=_text(f"{where}.password_file", server.password_file),
        server_cert_file=server.server_cert_file, user_cert_file=server.user_cert_file,
        user_key_file=server.user_key_file, mode=server.mode, interval_us=site.interval_s * US,
    )  # fmt: skip


def link(bus: Modbus) -> Link:
    """Return the link of a Modbus table; nothing is opened.

    Raises:
        ConfigError: a certificate or key cannot be used.
    """
    match bus:
        case ModbusRtu():
            return modbus_link.rtu(bus.device, baudrate=bus.baudrate, parity=bus.parity, stop_bits=bus.stop_bits)
        case ModbusRtuTcp():
            return modbus_link.rtu_over_tcp(bus.host, bus.port)
        case ModbusUdp():
            return modbus_link.udp(bus.host, bus.port)
        case ModbusTcp():
            return modbus_link.tcp(bus.host, bus.port)
    return modbus_link.tls(
        bus.host, bus.port, ca_file=bus.ca_file, cert_file=bus.cert_file, key_file=bus.key_file
    )  # fmt: skip


def cost(bus: Modbus) -> tuple[int, int]:
    """Return what a round trip and each register cost on a link. [us]"""
    match bus:
        case ModbusRtu():
            return modbus_link.serial_cost(bus.baudrate)
        case ModbusRtuTcp():
            return modbus_link.rtu_over_tcp(bus.host, bus.port).cost
    return modbus_link.tcp("").cost


def _text(where: str, name: str | None) -> str | None:
    """Return what a file of the site holds, so that one that cannot be read is told at the start.

    Raises:
        ConfigError: it cannot.
    """
    try:
        return None if name is None else Path(name).read_bytes().decode("utf-8", errors="replace").strip()
    except OSError as error:
        raise ConfigError(f"{where}: {name}: {error.strerror}; give it to the agent's user") from error
