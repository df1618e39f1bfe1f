"""Every Modbus profile, simulated on a real socket and read by the driver: values, scales, serial, settings, clock."""

import asyncio
import socket
from fractions import Fraction

from agent.acquire import decode
from agent.acquire.drivers.base import Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_link import tcp
from agent.acquire.profile import find_profile, known_profiles
from agent.buses import ModbusTcp
from agent.field.simulate_meter import SimMeter, Simulated
from agent.field.simulate_modbus import ModbusPort
from shared.clock import SystemClock

HOST = "127.0.0.1"
CLOCK = SystemClock()
MODBUS = [profile for name in known_profiles() if (profile := find_profile(name)).protocol == "modbus"]
SEVEN_MWH = 7 * 10**9  # a multiple of every register's step


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def simulated(unit: int) -> Simulated:
    profile = MODBUS[unit - 1]
    start = {point.quantity: SEVEN_MWH for point in profile.points if point.kind == "register"}
    made = SimMeter(profile.id, profile, "load", "12345", start=start, settings={"ct_primary_A": Fraction(200)})
    return Simulated(made, step=1, wrong=(), seed=1)


async def read_all(driver: Modbus, unit: int) -> None:
    """Compare what is read of one unit with what its meter shows."""
    profile = MODBUS[unit - 1]
    target = await driver.resolve(Target(profile.id, profile, unit=unit), 5)
    shown: dict[str, Fraction | int | None] = {}
    for block in driver.blocks(target):
        read = await driver.read(target, block, 1)
        for name, raw in read.registers.items():
            point = read.scaled.get(name) or target.profile.point(name)
            assert point.scaled_by is None
            assert raw is not None, name
            shown[name] = decode.exact_sum(point, raw if isinstance(raw, tuple) else (raw,))
    assert shown == {point.quantity: SEVEN_MWH for point in target.profile.points if point.kind == "register"}
    told = await driver.identity(target, 2)
    assert told.serial == (None if target.profile.serial is None else "12345")
    assert set(told.settings) == {setting.quantity for setting in profile.settings}
    assert told.settings.get("ct_primary_A", 200) == 200
    assert (told.clock is None) == (profile.clock is None)
    if told.clock is not None:
        assert abs(told.clock.told - CLOCK.wall()) < 3_000_000


def test_every_profile_is_read_as_it_is_simulated() -> None:
    async def scene() -> None:
        port = free_port()
        server = ModbusPort(
            ModbusTcp(host=HOST, port=port), {unit: simulated(unit) for unit in range(1, len(MODBUS) + 1)}, CLOCK
        )
        await server.start()
        driver = Modbus(tcp(HOST, port), CLOCK)
        for unit in range(1, len(MODBUS) + 1):
            await read_all(driver, unit)
        await driver.close()
        await server.stop()

    asyncio.run(scene())
