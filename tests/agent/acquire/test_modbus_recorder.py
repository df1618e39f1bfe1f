"""A meter's load profile over Modbus: a log in registers of a pymodbus server, records of a file, logs with holes."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.acquire.drivers import modbus_link, modbus_recorder
from agent.acquire.drivers.base import Recorded, Refused, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.drivers.modbus_frame import Question
from agent.acquire.points import ClockRegisters, Part, Point, Recorder
from agent.acquire.profile import find_profile
from shared.clock import SystemClock
from shared.errors import ReadError
from tests.agent.acquire.test_modbus_driver import free_port
from tests.faults.modbus_server import HOST, Action, Asked, Server, on_tcp

US = 1_000_000
T0 = 1_772_460_000
STEP = 900
IMPORT = "energy_active_import"
STAMP = ClockRegisters(Part(0, 2, 3, "words"), "unix", "utc")
CHANNEL = Point(IMPORT, "register", (Part(2, 2, 3, "uint32"),), "int", Fraction(1000), na=frozenset({0xFFFFFFFF}))
NEWEST = Point("newest", "setting", (Part(999, 1, 3, "uint16"),), "int", Fraction(1))
RING = Recorder("block", 3, 1000, 96, 4, STAMP, "end", (CHANNEL,), STEP, NEWEST)


def words(number: int) -> list[int]:
    return [number >> 16, number & 0xFFFF]


def ring(labels: Sequence[int], newest: int, entries: int = 96) -> list[int]:
    """Return the registers of a log, oldest label first; the newest stands at an index. Registers are label / 900."""
    found = [0] * (4 * entries)
    for age, label in enumerate(reversed(labels)):
        at = (newest - age) % entries * 4
        found[at : at + 4] = words(label) + words(label // STEP)
    return found


def told(label: int) -> Recorded:
    return Recorded(IMPORT, label * US, label // STEP)


class Paper:
    """A log that answers from memory, and counts the requests."""

    def __init__(self, registers: Sequence[int], newest: int) -> None:
        self.registers, self.newest, self.asked = registers, newest, 0

    async def ask(self, question: Question) -> Sequence[int]:
        self.asked += 1
        address, count = int.from_bytes(question.pdu[1:3], "big"), int.from_bytes(question.pdu[3:5], "big")
        return [self.newest] if address == 999 else self.registers[address - 1000 :][:count]


def read(paper: Paper, kept: Recorder, start: int, stop: int) -> list[Recorded]:
    return asyncio.run(modbus_recorder.recorded(paper.ask, kept, 125, start * US, stop * US))


@given(
    st.sets(st.integers(0, 120), min_size=1, max_size=96), st.integers(0, 95), st.integers(-5, 125), st.integers(1, 60)
)  # fmt: skip
def test_exactly_the_entries_of_a_span_are_found_whatever_is_lacking(
    places: set[int], newest: int, first: int, count: int
) -> None:
    labels = [T0 + STEP * place for place in sorted(places)]
    start, stop = T0 + STEP * first, T0 + STEP * (first + count)
    paper = Paper(ring(labels, newest), newest)
    assert read(paper, RING, start, stop) == [told(label) for label in labels if start <= label < stop]


def test_a_short_span_of_a_long_log_takes_few_requests() -> None:
    labels = [T0 + STEP * place for place in range(96)]
    paper = Paper(ring(labels, 40), 40)
    assert len(read(paper, RING, labels[20], labels[30])) == 10
    assert paper.asked <= 4  # the newest's place, the newest, the youngest of the span, the span


def test_the_first_entry_is_the_newest_where_no_register_says_which() -> None:
    labels = [T0 + STEP * place for place in range(96)]
    shifted = [word for label in reversed(labels) for word in (*words(label), *words(label // STEP))]
    found = read(Paper(shifted, 0), replace(RING, newest=None), labels[7], labels[40])
    assert found == [told(label) for label in labels[7:40]]


def test_a_label_of_the_start_of_its_interval_is_moved_to_its_end() -> None:
    paper = Paper(ring([T0, T0 + STEP], 1), 1)
    found = read(paper, replace(RING, stamp_marks="start"), T0, T0 + 3 * STEP)
    assert [one.stamp for one in found] == [(T0 + STEP) * US, (T0 + 2 * STEP) * US]


def test_a_register_that_is_not_available_is_no_entry() -> None:
    registers = ring([T0, T0 + STEP], 1)
    registers[2:4] = [0xFFFF, 0xFFFF]
    assert read(Paper(registers, 1), RING, T0, T0 + 2 * STEP) == [told(T0 + STEP)]


def test_a_log_that_never_began_holds_nothing() -> None:
    assert read(Paper([0] * 384, 0), RING, T0, T0 + STEP) == []


METER = Target("m1", replace(find_profile("schneider-iem3000"), recorder=RING), unit=7)


def test_a_log_in_registers_is_read_from_a_pymodbus_server() -> None:
    async def scene() -> None:
        labels = [T0 + STEP * place for place in range(96)]
        registers = [SimData(999, values=[5, *ring(labels, 5)], datatype=DataType.REGISTERS)]
        port = free_port()
        server = ModbusTcpServer([SimDevice(7, simdata=registers)], address=(HOST, port))
        await server.serve_forever(background=True)
        driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
        found = await driver.recorded(METER, labels[3] * US, labels[91] * US, 5.0)
        assert found == [told(label) for label in labels[3:91]]
        without = replace(METER, profile=replace(METER.profile, recorder=None))
        assert await driver.recorded(without, 0, 2**60, 5.0) == []
        await driver.close()
        await server.shutdown()  # type: ignore[no-untyped-call] # pymodbus leaves it untyped

    asyncio.run(scene())


def filed(labels: Sequence[int], file: int) -> Server:
    """Return a server whose units hold a log in a file, by the bytes of Modbus section 6.14."""
    registers = [word for label in reversed(labels) for word in (*words(label), *words(label // STEP))]

    def answer(asked: Asked) -> list[Action]:
        function, length, kind = asked.pdu[:3]
        number, record, count = (int.from_bytes(asked.pdu[at : at + 2], "big") for at in (3, 5, 7))
        if (function, length, kind, number) != (20, 7, 6, file) or record + count > len(registers):
            return [asked.framed(bytes([function | 0x80, 2]))]
        octets = b"".join(word.to_bytes(2, "big") for word in registers[record : record + count])
        return [asked.framed(bytes([20, 2 + len(octets), 1 + len(octets), 6]) + octets)]

    return Server(lambda asked: iter(answer(asked)), serial=False)


def test_a_log_in_a_file_is_read_by_function_20() -> None:
    async def scene() -> None:
        labels = [T0 + STEP * place for place in range(96)]
        server = filed(labels, 4)
        kept = replace(RING, form="file", function=20, file=4, address=0, newest=None)
        async with on_tcp(server) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            meter = replace(METER, profile=replace(METER.profile, recorder=kept))
            found = await driver.recorded(meter, labels[10] * US, labels[90] * US, 5.0)
            assert found == [told(label) for label in labels[10:90]]
            other = replace(meter, profile=replace(meter.profile, recorder=replace(kept, file=5)))
            with pytest.raises(Refused, match="02"):
                await driver.recorded(other, labels[10] * US, labels[90] * US, 5.0)
            await driver.close()
        assert {pdu[0] for pdu in server.asked} == {20}

    asyncio.run(scene())


def test_a_recorder_that_takes_longer_than_allowed_is_left() -> None:
    async def scene() -> None:
        slow = Server(lambda asked: iter([0.08, asked.true]), serial=False)
        async with on_tcp(slow) as port:
            driver = Modbus(modbus_link.tcp(HOST, port), SystemClock())
            begin = SystemClock().boot()
            with pytest.raises(ReadError):
                await driver.recorded(METER, 0, 2**60, 0.2)
            assert SystemClock().boot() - begin < 0.5 * US
            await driver.close()

    asyncio.run(scene())
