"""SunSpec discovery: over chains of models, honest and hostile."""

import asyncio
from collections.abc import Mapping, Sequence
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.drivers.base import Refused
from agent.acquire.plan import requests
from agent.acquire.points import Profile
from agent.acquire.profile import find_profile, narrow
from agent.acquire.sunspec import Found, located, walk
from shared.errors import ReadError

SUNSPEC, DER = find_profile("sunspec"), find_profile("sunspec-der")


class Device:
    """Registers; the others are refused, as Modbus devices do."""

    def __init__(self, registers: Mapping[int, int], code: int = 2) -> None:
        self._registers = registers
        self._code = code
        self.asked = 0

    async def read(self, address: int, count: int) -> Sequence[int]:
        self.asked += 1
        try:
            return [self._registers[address + n] for n in range(count)]
        except KeyError:
            raise Refused(f"no {address}", self._code) from None


def device(chain: Sequence[tuple[int, int]], base: int = 40_000) -> Device:
    """Return a device with models of these identifiers and lengths."""
    registers = {base: 0x5375, base + 1: 0x6E53}
    at = base + 2
    for identifier, length in chain:
        registers |= {at: identifier, at + 1: length}
        registers |= dict.fromkeys(range(at + 2, at + 2 + length), 0)
        at += 2 + length
    return Device(registers | {at: 0xFFFF, at + 1: 0})


def found(chain: Sequence[tuple[int, int]], base: int = 40_000) -> tuple[Found, ...]:
    return asyncio.run(walk(device(chain, base).read))


METER = [(1, 66), (203, 105)]


@pytest.mark.parametrize("base", [40_000, 50_000, 0])
def test_models_are_found_at_each_base(base: int) -> None:
    assert found(METER, base) == (Found(1, base + 2, 66), Found(203, base + 70, 105))


def test_points_stand_where_the_device_has_its_model() -> None:
    """Model 203 begins at 40070: total import is 46 on, its scale factor 54."""
    placed = located(SUNSPEC, found(METER))
    assert placed.point("energy_active_import").parts[0].address == 40_116
    assert {scale.quantity: scale.parts[0].address for scale in placed.scales}["TotWh_SF"] == 40_124
    assert placed.serial is not None
    assert placed.serial.parts[0].address == 40_052
    assert (placed.discovery, placed.maps) == (None, ())
    assert len(requests(placed, (30_000, 20))) == 1
    assert requests(SUNSPEC, (30_000, 20)) == ()


def test_scale_and_register_of_a_device_give_energy() -> None:
    placed = located(SUNSPEC, found(METER))
    (block,) = requests(placed, (30_000, 20))
    words = {40_116: 0, 40_117: 12_345, 40_124: 1, 40_092: 0x8000}
    read = decode.block_reader(block.address, block.points)(
        decode.packed([words.get(block.address + n, 0) for n in range(block.count)]), {}
    )
    assert read.registers["energy_active_import"] == 12_345
    assert read.scaled["energy_active_import"].mult == Fraction(10_000)
    assert read.registers["energy_active_export"] is None  # acc32 0: not accumulated
    assert read.values["power_active_total"] is None  # its scale factor is not implemented


@pytest.mark.parametrize(
    ("profile", "chain", "model"),
    [
        (SUNSPEC, [(1, 66), (103, 50), (1, 65), (203, 105)], 203),
        (SUNSPEC, [(1, 66), (213, 124), (201, 105)], 201),
        (SUNSPEC, [(1, 66), (103, 50), (701, 153)], 701),
        (SUNSPEC, [(1, 66), (64_001, 10), (111, 60)], 111),
        (DER, [(1, 66), (103, 50), (1, 65), (203, 105)], 103),
    ],
)
def test_all_points_are_of_the_best_model(profile: Profile, chain: list[tuple[int, int]], model: int) -> None:
    models = found(chain)
    place = next(one for one in models if one.id == model)
    placed = located(profile, models)
    for point in (*placed.points, *placed.scales):
        assert all(place.address <= part.address and part.end <= place.end for part in point.parts)


def test_the_serial_is_that_of_the_instrument_and_not_of_its_host() -> None:
    models = found([(1, 66), (103, 50), (1, 65), (203, 105)])
    placed = located(SUNSPEC, models)
    assert placed.serial is not None
    assert placed.serial.parts[0].address == models[2].address + 50


def test_of_several_of_one_model_the_first_is_read() -> None:
    models = found([(1, 66), (203, 105), (203, 105)])
    assert located(SUNSPEC, models).point("energy_active_import").parts[0].address == models[1].address + 46


def test_a_point_beyond_the_length_that_a_model_has_is_left_out() -> None:
    placed = located(SUNSPEC, found([(1, 66), (203, 60)]))
    assert {point.quantity for point in placed.points} == {
        "energy_active_import", "energy_active_export", "power_active_total", "power_reactive_total",
    }  # fmt: skip


def test_a_point_without_its_scale_is_left_out() -> None:
    placed = located(SUNSPEC, found([(1, 66), (203, 50)]))  # ends before TotWh_SF
    assert {point.quantity for point in placed.points} == {"power_active_total", "power_reactive_total"}


def test_quantities_and_factor_of_the_site_file_stay() -> None:
    wanted = narrow(SUNSPEC, ["energy_active_import"], Fraction(160))
    placed = located(wanted, found(METER))
    assert [(point.quantity, point.mult) for point in placed.points] == [("energy_active_import", Fraction(160_000))]
    assert [scale.quantity for scale in placed.scales] == ["TotWh_SF"]


def test_a_device_without_the_models_is_named() -> None:
    with pytest.raises(ReadError, match=r"has SunSpec models 1, 160; profile 'sunspec' reads one of 203, 204"):
        located(SUNSPEC, found([(1, 66), (160, 88)]))


def test_no_sunspec_at_all() -> None:
    with pytest.raises(ReadError, match="switch SunSpec on in the device"):
        asyncio.run(walk(Device({}).read))


def test_a_gateway_that_speaks_for_a_silent_unit_is_no_answer() -> None:
    silent = Device({}, code=11)
    with pytest.raises(Refused):
        asyncio.run(walk(silent.read))
    assert silent.asked == 1


def test_a_chain_of_empty_models_ends() -> None:
    endless = Device({40_000: 0x5375, 40_001: 0x6E53} | {n: (7 if n % 2 == 0 else 0) for n in range(40_002, 65_536)})
    with pytest.raises(ReadError, match="no end after 100 models"):
        asyncio.run(walk(endless.read))
    assert endless.asked <= 101


def test_registers_that_are_all_zero_are_no_model() -> None:
    zeros = Device({40_000: 0x5375, 40_001: 0x6E53} | dict.fromkeys(range(40_002, 65_536), 0))
    with pytest.raises(ReadError, match="model 0 of 0 registers at 40002"):
        asyncio.run(walk(zeros.read))


def test_a_model_that_leaves_the_address_space_is_refused() -> None:
    beyond = Device({40_000: 0x5375, 40_001: 0x6E53, 40_002: 1, 40_003: 0xFFFF})
    with pytest.raises(ReadError, match="model 1 of 65535 registers at 40002"):
        asyncio.run(walk(beyond.read))


@given(st.lists(st.integers(0, 0xFFFF), min_size=20, max_size=400))
def test_whatever_a_device_answers_the_walk_ends_and_no_models_overlap(words: list[int]) -> None:
    hostile = Device({40_000: 0x5375, 40_001: 0x6E53} | {40_002 + n: words[n % len(words)] for n in range(25_534)})
    try:
        models = asyncio.run(walk(hostile.read))
    except ReadError:
        models = ()
    assert hostile.asked <= 110
    for before, after in pairwise(models):
        assert before.end == after.address
    assert all(one.end < 1 << 16 for one in models)
