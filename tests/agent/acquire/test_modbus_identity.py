"""Who a meter says that it is, how it is set and what time it has; scales; device identification; file records."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from agent.acquire.drivers import modbus_link
from agent.acquire.drivers.base import Identity, Refused, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.plan import Block
from agent.acquire.points import ClockRegisters, Part, Point, Profile
from agent.acquire.profile import find_profile
from shared.clock import SystemClock
from shared.errors import ReadError
from tests.faults.modbus_server import HOST, Action, Asked, Server, on_tcp, read_answer

CLOCK = SystemClock()
ILLEGAL_ADDRESS = 2


def setting(name: str, address: int, type_: str = "uint16") -> Point:
    count = {"uint16": 1, "uint32": 2, "float32": 2}[type_]
    return Point(
        name, "setting", (Part(address, count, 3, type_),), "f32" if type_ == "float32" else "int", Fraction(1)
    )


SERIAL = Point("serial", "setting", (Part(100, 2, 3, "uint32"),), "int", Fraction(1))
PROFILE: Profile = replace(
    find_profile("schneider-pm5000"),
    points=(
        Point("energy_active_import", "register", (Part(0, 2, 3, "uint32"),), "int", Fraction(1000), scaled_by="sf"),
        Point("frequency", "instantaneous", (Part(4, 1, 3, "uint16"),), "int", Fraction(10)),
    ),
    scales=(Point("sf", "scale", (Part(900, 1, 3, "int16"),), "int", Fraction(1), form="power10"),),
    serial=SERIAL,
    settings=(setting("ct_primary_A", 102), setting("vt_primary_V", 103), setting("parameter_counter", 5000)),
    clock=ClockRegisters(Part(110, 2, 3, "words"), "unix", "utc"),
    forbidden=(),
    discovery=None,
)
METER = Target("m1", PROFILE, unit=9)
HELD = {
    0: 0, 1: 5, 4: 4999, 900: 2,  # 5 x 10^2 counts, 49.99 Hz
    100: 0x00BC, 101: 0x614E, 102: 400, 103: 20_000, 110: 0x6912, 111: 0x3456,
}  # fmt: skip


def holding(held: Mapping[int, int], *, gaps: bool = True) -> Server:
    """Return a meter with these holding registers; a block that touches another is refused where there are gaps."""

    def answer(asked: Asked) -> Action:
        first, count = int.from_bytes(asked.pdu[1:3], "big"), int.from_bytes(asked.pdu[3:5], "big")
        span = range(first, first + count)
        if asked.pdu[0] != 3 or not any(one in held for one in span) or (not gaps and any(n not in held for n in span)):
            return asked.framed(bytes([asked.pdu[0] | 0x80, ILLEGAL_ADDRESS]))
        return asked.framed(read_answer(3, tuple(held.get(one, 0) for one in span)))

    return Server(lambda asked: iter((answer(asked),)), serial=False)


async def identity(server: Server, target: Target = METER) -> Identity:
    async with on_tcp(server) as port:
        driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
        try:
            return await driver.identity(target, 2.0)
        finally:
            await driver.close()


@pytest.mark.parametrize("gaps", [True, False])
def test_serial_settings_and_clock_are_told(*, gaps: bool) -> None:
    """A setting that the meter does not have is left out, and costs the others nothing."""
    before = CLOCK.boot()
    found = asyncio.run(identity(holding(HELD, gaps=gaps)))
    assert found.serial == "12345678"
    assert found.settings == {"ct_primary_A": 400, "vt_primary_V": 20_000}
    assert found.clock is not None
    assert found.clock.told == 0x69123456 * 1_000_000
    assert before < found.clock.sent < found.clock.at < CLOCK.boot()


def test_near_registers_are_asked_together() -> None:
    server = holding(HELD)
    asyncio.run(identity(server))
    assert len(server.asked) == 2  # 100 to 111, and the counter far away, which is refused


def test_a_meter_that_tells_nothing_is_asked_nothing() -> None:
    server = holding(HELD)
    silent = replace(METER, profile=replace(PROFILE, serial=None, settings=(), clock=None))
    assert asyncio.run(identity(server, silent)) == Identity()
    assert not server.asked


def test_a_meter_that_refuses_for_another_reason_has_no_identity() -> None:
    server = Server(lambda asked: iter((asked.framed(bytes([0x83, 4])),)), serial=False)
    with pytest.raises(Refused, match="exception 04"):
        asyncio.run(identity(server))


def test_a_scale_is_worth_until_a_read_fails() -> None:
    async def scene() -> None:
        held = dict(HELD)
        async with on_tcp(holding(held)) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            scale, energy = sorted(driver.blocks(METER), key=lambda block: -block.address)
            assert [point.kind for point in scale.points] == ["scale"]

            async def register(block: Block) -> object:
                return (await driver.read(METER, block, 1.0)).registers["energy_active_import"]

            assert await register(energy) is None  # its worth is not known yet
            await driver.read(METER, scale, 1.0)
            read = await driver.read(METER, energy, 1.0)
            assert read.registers["energy_active_import"] == 5
            assert read.scaled["energy_active_import"].mult == 100_000
            assert read.values["frequency"] == 49_990
            assert await register(energy) == 5
            held.clear()
            with pytest.raises(Refused):
                await driver.read(METER, energy, 1.0)
            held.update(HELD)
            assert await register(energy) is None  # another meter may stand there now
            await driver.close()

    asyncio.run(scene())


def _objects(*pairs: tuple[int, bytes]) -> bytes:
    return b"".join(bytes([number, len(text)]) + text for number, text in pairs)


def _identified(asked: Asked) -> Action:
    """Answer function 43 / 14 in two pieces for level 1; level 2 has one object more."""
    level, first = asked.pdu[2], asked.pdu[3]
    if level == 2:
        return asked.framed(bytes([43, 14, 2, 2, 0, 0, 1]) + _objects((3, b"http://maker")))
    if first == 0:
        return asked.framed(bytes([43, 14, 1, 2, 0xFF, 2, 2]) + _objects((0, b"Maker"), (1, b"PM1")))
    return asked.framed(bytes([43, 14, 1, 2, 0, 0, 1]) + _objects((2, b"V1.7")))


@pytest.mark.parametrize("serial", [False, True])
def test_a_device_says_who_made_it(*, serial: bool) -> None:
    async def scene() -> None:
        async with on_tcp(Server(lambda asked: iter((_identified(asked),)), serial=serial)) as port:
            link = modbus_link.rtu_over_tcp(HOST, port) if serial else modbus_link.tcp(HOST, port)
            driver = Modbus(link, CLOCK)
            told = await driver.device_identification(9, 2.0)
            assert told == {0: "Maker", 1: "PM1", 2: "V1.7", 3: "http://maker"}
            await driver.close()

    asyncio.run(scene())


def test_an_identification_that_is_cut_off_inside_is_no_answer() -> None:
    async def scene() -> None:
        cut = bytes([43, 14, 1, 2, 0, 0, 1, 0, 9]) + b"Ma"
        async with on_tcp(Server(lambda asked: iter((asked.framed(cut),)), serial=False)) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            with pytest.raises(ReadError, match="cut off"):
                await driver.device_identification(9, 0.5)
            await driver.close()

    asyncio.run(scene())


def test_records_of_a_file_are_read() -> None:
    """The example of the standard, section 6.14: file 4, two registers from record 1."""

    async def scene() -> None:
        def answer(asked: Asked) -> Action:
            assert asked.pdu == bytes.fromhex("140706000400010002")
            return asked.framed(bytes.fromhex("140605060DFE0020"))

        async with on_tcp(Server(lambda asked: iter((answer(asked),)), serial=False)) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), CLOCK)
            assert list(await driver.file_record(9, 4, 1, 2, 1.0)) == [0x0DFE, 0x0020]
            await driver.close()

    asyncio.run(scene())
