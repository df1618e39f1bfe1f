"""Every kind of bus, simulated: what becomes of device paths and certificates, who is silent, what is notified."""

import asyncio
import os
import ssl
import stat
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Refused, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.opcua import OpcUa
from agent.acquire.profile import find_profile
from agent.buses import Modbus as Bus
from agent.buses import ModbusRtu, ModbusTls
from agent.buses import OpcUa as OpcUaBus
from agent.field import simulate_certificate, simulate_terminal
from agent.field.simulate import Settings, Site
from agent.field.simulate_energy import US
from agent.field.simulate_faults import parse
from agent.field.simulate_meter import SimMeter
from agent.links import link
from shared.clock import SystemClock
from shared.errors import ConfigError, ReadError
from tests.agent.field.sites import alive
from tests.brokers import free_port

CLOCK = SystemClock()
SDM630 = find_profile("eastron-sdm630")
SEVEN = {"energy_active_import": 7_000_000_000}
READ = 0x45DA_C000  # 7000 as a float32


def rtu(device: Path, **more: object) -> ModbusRtu:
    return ModbusRtu(device=str(device), **({"parity": "none"} | more))  # type: ignore[arg-type] # keys of the table


def meters(bus: Bus, units: int = 2) -> Settings:
    made = [
        SimMeter(f"m{unit}", SDM630, "load", serial=str(unit), bus=bus, unit=unit, start=SEVEN)
        for unit in range(1, units + 1)
    ]
    return Settings(made, US, constant_power=0)


async def energy(driver: Modbus, unit: int) -> object:
    target = Target(f"m{unit}", SDM630, unit=unit)
    assert (await driver.identity(target, 2)).serial == str(unit)
    reads = [await driver.read(target, block, 1) for block in driver.blocks(target)]
    return next(read.registers["energy_active_import"] for read in reads if read.registers)


def test_a_serial_line_stands_at_its_path_and_goes(tmp_path: Path) -> None:
    device = tmp_path / "ttyA"

    async def scene() -> None:
        for _ in range(2):  # the path is free again
            async with alive(meters(rtu(device))):
                assert str(device.readlink()).startswith("/dev/pts/")
                driver = Modbus(link(rtu(device)), CLOCK)
                assert [await energy(driver, unit) for unit in (1, 2)] == [READ, READ]
                with pytest.raises(ReadError, match="no usable answer"):
                    await driver.registers(9, 4, 72, 2, 0.1)  # nobody speaks for a unit that is not there
                await driver.close()
                assert await energy(driver, 1) == READ  # as after a restart of the agent
                await driver.close()
            assert not device.is_symlink()

    asyncio.run(scene())


def test_only_an_older_link_to_a_terminal_is_replaced(tmp_path: Path) -> None:
    device = tmp_path / "ttyA"
    device.symlink_to("/dev/pts/987654")  # of a simulator that was killed

    async def scene() -> None:
        async with alive(meters(rtu(device))):
            assert str(device.readlink()) != "/dev/pts/987654"

    asyncio.run(scene())
    other = tmp_path / "other"
    other.symlink_to(tmp_path / "else")
    (tmp_path / "file").touch()
    for there in (other, tmp_path / "file", tmp_path):
        with pytest.raises(ConfigError, match="there is something already"):
            Site(meters(rtu(there)), CLOCK)
    assert other.is_symlink()


@pytest.mark.parametrize(
    ("bus", "said"),
    [
        (rtu(Path("/dev/ttyUSB7")), "/dev is this machine's own"),
        (rtu(Path("/dev/serial/by-id/x")), "/dev is this machine's own"),
        (rtu(Path("/tmp/../dev/ttyUSB7")), "/dev is this machine's own"),
        (rtu(Path("/nonexistent/ttyA")), "no folder /nonexistent; make it first"),
        (rtu(Path("/tmp/ttyA"), parity="even"), 'write parity = "none"'),
    ],
)
def test_a_line_that_cannot_be_simulated_is_told_before_anything_starts(bus: ModbusRtu, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        simulate_terminal.check(bus)
    with pytest.raises(ConfigError, match=said):
        Site(meters(bus), CLOCK)


def test_bytes_that_nobody_takes_are_lost_and_the_line_goes_on(tmp_path: Path) -> None:
    async def scene() -> None:
        with simulate_terminal.line(rtu(tmp_path / "ttyA")) as ours:
            near, far = (
                os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for path in (ours, str(tmp_path / "ttyA"))
            )
            for _ in range(40):  # far more than a terminal holds
                _put(near, b"x" * 1000)
                await asyncio.sleep(0)
            async with asyncio.timeout(5):
                while b"y" not in _taken(far):
                    _put(near, b"y")
                    await asyncio.sleep(0.01)
            os.close(near)
            os.close(far)

    asyncio.run(scene())


def _put(descriptor: int, content: bytes) -> None:
    with suppress(BlockingIOError):  # the cable is slower than this loop
        os.write(descriptor, content)


def _taken(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 100_000)
    except BlockingIOError:
        return b""


# --- TLS ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_certificate_is_made_once_and_used_again(tmp_path: Path, host: str) -> None:
    bus = ModbusTls(host=host, port=free_port(), ca_file=str(tmp_path / "lab.pem"))

    async def scene() -> None:
        for _ in range(2):
            async with alive(meters(bus)):
                driver = Modbus(link(bus), CLOCK)
                assert await energy(driver, 1) == READ
                await driver.close()

    asyncio.run(scene())
    before = (tmp_path / "lab.pem").read_bytes()
    asyncio.run(scene())
    assert (tmp_path / "lab.pem").read_bytes() == before
    assert stat.S_IMODE((tmp_path / "lab.pem.simulated-key").stat().st_mode) == 0o600
    made = x509.load_pem_x509_certificate(before)
    assert (made.not_valid_after_utc - made.not_valid_before_utc).days == 366
    assert made.not_valid_before_utc.timestamp() < datetime.now(made.not_valid_before_utc.tzinfo).timestamp()


def test_a_certificate_of_somebody_else_is_never_overwritten(tmp_path: Path) -> None:
    bus = ModbusTls(host="127.0.0.1", port=free_port(), ca_file=str(tmp_path / "lab.pem"))
    other = ModbusTls(host="127.0.0.1", port=free_port(), ca_file=str(tmp_path / "other.pem"))
    simulate_certificate.context(other, CLOCK.wall())
    theirs = (tmp_path / "other.pem").read_bytes()
    (tmp_path / "lab.pem").write_bytes(theirs)
    with pytest.raises(ConfigError, match="it is not overwritten"):
        simulate_certificate.context(bus, CLOCK.wall())
    (tmp_path / "lab.pem.simulated-key").write_bytes(b"no key")
    with pytest.raises(ConfigError, match="it is not overwritten"):
        simulate_certificate.context(bus, CLOCK.wall())
    assert (tmp_path / "lab.pem").read_bytes() == theirs
    with pytest.raises(ConfigError, match="make its folder first"):
        simulate_certificate.context(bus.model_copy(update={"ca_file": "/nonexistent/lab.pem"}), CLOCK.wall())


def test_the_certificate_is_of_its_host_only(tmp_path: Path) -> None:
    bus = ModbusTls(host="127.0.0.1", port=free_port(), ca_file=str(tmp_path / "lab.pem"))

    async def scene() -> None:
        async with alive(meters(bus)):
            context = ssl.create_default_context(cafile=bus.ca_file)
            context.verify_flags |= ssl.VERIFY_X509_STRICT  # Python 3.13 asks for it by default
            _, writer = await asyncio.open_connection("127.0.0.1", bus.port, ssl=context)
            writer.close()
            with pytest.raises(ssl.SSLCertVerificationError, match="localhost"):
                await asyncio.open_connection("127.0.0.1", bus.port, ssl=context, server_hostname="localhost")

    asyncio.run(scene())


# --- Faults on other links, OPC UA --------------------------------------------------------------------------------


def test_faults_are_on_every_link(tmp_path: Path) -> None:
    async def scene() -> None:
        bus = rtu(tmp_path / "ttyA")
        plain = meters(bus, 3)
        wrong = [parse(text) for text in ("m1:dead:0:99", "m2:refuse=04:0:99", "m3:slow=150:0:99")]
        async with alive(Settings(plain.meters, US, faults=wrong, constant_power=0)) as first:
            await CLOCK.sleep(max(first - CLOCK.wall() / US, 0) + 0.01)
            driver = Modbus(modbus_link.rtu(bus.device, parity="none"), CLOCK)
            with pytest.raises(ReadError, match="no usable answer"):
                await driver.registers(1, 4, 72, 2, 0.1)
            with pytest.raises(Refused, match="exception 04"):
                await driver.registers(2, 4, 72, 2, 1)
            begin = CLOCK.boot()
            assert list(await driver.registers(3, 4, 72, 2, 1)) == [0x45DA, 0xC000]
            assert CLOCK.boot() - begin >= 150_000
            await driver.close()

    asyncio.run(scene())


def test_a_subscription_hears_what_changes() -> None:
    async def scene() -> None:
        url, profile = f"opc.tcp://127.0.0.1:{free_port()}", find_profile("opcua-ecm")
        bus = OpcUaBus(url=url, mode="subscribe")
        meter = SimMeter("gt1", profile, "load", bus=bus)
        async with alive(Settings([meter], US, constant_power=3_600_000_000)):
            driver = OpcUa(url, CLOCK, mode="subscribe", interval_us=2 * US)
            target, shown = Target("gt1", profile, poll_us=US), []
            async with asyncio.timeout(30):
                while driver.counts["statements"] < 3:
                    read = await driver.read(target, driver.blocks(target)[0], 4)
                    shown.append(read.registers["energy_active_import"])
                    await asyncio.sleep(0.5)
            assert None not in shown
            assert len(set(shown)) > 3
            assert driver.troubles == {}
            await driver.close()

    asyncio.run(scene())


def test_a_lab_has_no_secured_opc_ua() -> None:
    bus = OpcUaBus(url="opc.tcp://127.0.0.1:4840", username="reader")
    with pytest.raises(ConfigError, match="leave both out in a lab"):
        Site(Settings([SimMeter("gt1", find_profile("opcua-ecm"), "load", bus=bus)], US), CLOCK)
