"""Every product profile, one test each: vectors, plan, what is known of its registers, and the way through a meter."""

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.plan import plan, requests
from agent.acquire.points import Point, Profile
from agent.acquire.profile import find_profile, known_profiles
from agent.field import simulate_encode as encode
from agent.field import simulate_map
from shared.quantity import quantity

LIBRARY = [find_profile(name) for name in known_profiles()]
MODBUS = [profile for profile in LIBRARY if profile.protocol == "modbus"]
COST = (30_000, 20)  # of a request, of a register more [us]


def named(profile: Profile) -> str:
    return profile.id


def points(profile: Profile) -> Sequence[Point]:
    """Return the points of all models of a profile that has models, else its points."""
    return [point for one in profile.maps for point in one.points] or profile.points


def test_the_library_has_every_meter_of_the_handbook() -> None:
    assert known_profiles() == [
        "abb-b23-b24", "accuenergy-acuvim2", "carlo-gavazzi-em24", "carlo-gavazzi-em340", "eastron-sdm120",
        "eastron-sdm630", "eig-shark100", "eig-shark200", "elkor-wattson", "janitza-umg604", "janitza-umg96",
        "opcua-ecm", "opcua-ecm-e2", "opcua-profienergy", "opcua-profienergy-e2", "phoenix-eem-ma",
        "schneider-iem3000", "schneider-ion7650", "schneider-pm3200", "schneider-pm5000", "siemens-pac1600",
        "siemens-pac3200", "socomec-countis-e", "socomec-diris-b30", "sunspec", "sunspec-der",
    ]  # fmt: skip


@pytest.mark.parametrize("profile", LIBRARY, ids=named)
def test_every_register_that_money_rests_on_has_literal_words(profile: Profile) -> None:
    covered = {vector.quantity for vector in profile.vectors}  # loading has compared them
    assert {point.quantity for point in profile.points if point.kind == "register"} <= covered
    assert all(vector.source for vector in profile.vectors)
    assert profile.sources


@pytest.mark.parametrize("profile", LIBRARY, ids=named)
def test_every_setting_type_serial_and_clock_has_literal_words(profile: Profile) -> None:
    covered = {vector.quantity for vector in profile.vectors}
    assert (profile.clock is None) or "clock" in covered
    assert (profile.serial is None) or "serial" in covered
    odd = {point.quantity for point in profile.settings if point.product or point.enc != "int"}
    assert odd <= covered


@pytest.mark.parametrize("profile", LIBRARY, ids=named)
def test_what_a_count_is_worth_and_where_it_restarts_is_known_or_a_reason_stands(profile: Profile) -> None:
    for point in points(profile):
        if point.kind != "register":
            continue
        wide = all(part.count == 4 for part in point.parts)
        assert point.mod is not None or point.enc != "int" or wide or point.form == "eig_energy_format"
        assert point.step is not None or point.enc != "int" or point.scaled_by is not None
        assert all(mult > 0 for mult in point.mults)


@pytest.mark.parametrize("profile", MODBUS, ids=named)
def test_no_two_numbers_overlap_and_no_block_is_forbidden(profile: Profile) -> None:
    placed = simulate_map.settled(profile)
    spans = sorted(
        (part.function, part.address, part.end) for p in (*placed.points, *placed.scales) for part in p.parts
    )
    for (before, _, end), (function, start, _) in pairwise(spans):
        assert function != before or start >= end
    blocks = requests(placed, COST)
    brought = {point.quantity for block in blocks for point in block.points}
    assert {point.quantity for point in placed.points} <= brought
    assert all(block.count <= profile.max_registers for block in blocks)
    assert plan(
        [*placed.settings, *([placed.serial] if placed.serial else [])], max_registers=profile.max_registers
    ) or (not placed.settings and placed.serial is None)


@pytest.mark.parametrize("profile", LIBRARY, ids=named)
@given(seed=st.integers(0, 2**32))
def test_what_a_meter_shows_is_what_is_read(profile: Profile, seed: int) -> None:
    chance = random.Random(seed)
    for point in simulate_map.settled(profile).points:
        value = _value(point, chance)
        block = [word for words in encode.words(point, value) for word in words]
        read = decode.block_reader(0, [_together(point)])(decode.packed(block), {})
        if point.kind == "register":
            raw = read.registers[point.quantity]
            assert raw is not None
            raws = raw if isinstance(raw, tuple) else (raw,)
            assert decode.exact_sum(point, raws) == value
        else:
            assert read.values[point.quantity] == value


def _value(point: Point, chance: random.Random) -> int:
    """Return a value that the point can show exactly. [counts of its unit]"""
    if point.kind == "register":
        step = encode.resolution(point)
        most = 5 * 10**9 if point.enc == "f32" else 10**11
        return chance.randrange(1, max(2, most // step)) * step
    worth = abs(point.mults[0])
    count = chance.randrange(0, 30_000)
    count = count if quantity(point.quantity).name == "frequency" else count - 15_000
    assert worth.denominator == 1
    return count * int(worth)


def _together(point: Point) -> Point:
    """Return the point with its parts one after the other from address 0."""
    parts, at = [], 0
    for part in point.parts:
        parts.append(replace(part, address=at))
        at += part.count
    return replace(point, parts=tuple(parts))


@pytest.mark.parametrize("profile", LIBRARY, ids=named)
def test_what_a_meter_cannot_say_is_no_number(profile: Profile) -> None:
    for point in simulate_map.settled(profile).points:
        codes = encode.unavailable(point)
        if codes is not None:
            together = _together(point)
            read = decode.block_reader(0, [together])(decode.packed([word for words in codes for word in words]), {})
            assert {*read.registers.values(), *read.values.values()} == {None}


# The conflicts that the handbook found between sources (facts/users.md section 3.3): each would have been an invoice.


def vector_words(profile: str, quantity_name: str) -> list[int]:
    made = find_profile(profile)
    return list(next(v for v in made.vectors if v.quantity == quantity_name and v.value is not None).words)


def test_conflict_a_one_register_off_is_65536_times_off() -> None:
    point = find_profile("schneider-iem3000").point("energy_active_import")
    registers = [0x0000, *vector_words("schneider-iem3000", "energy_active_import"), 0x0000]
    at = point.parts[0].address - 1
    read = decode.block_reader(at, [point])(decode.packed(registers), {})
    assert read.registers == {"energy_active_import": 10_000_000}
    too_early, too_late = registers[:4], registers[2:]
    read_at = decode.block_reader(point.parts[0].address, [point])
    assert read_at(decode.packed(too_early), {}).registers == {"energy_active_import": 10_000_000 // 65536}
    assert read_at(decode.packed(too_late), {}).registers == {"energy_active_import": 10_000_000 * 65536}
    assert find_profile("schneider-pm3200").point("energy_active_import").parts[0].address == 3204
    assert point.parts[0].address == 3203


def test_conflict_b_base_10000_and_plain_differ_and_a_plain_word_may_be_refused() -> None:
    point = find_profile("schneider-ion7650").point("energy_active_import")
    words = vector_words("schneider-ion7650", "energy_active_import")
    read = decode.block_reader(point.parts[0].address, [point])
    assert read(decode.packed(words), {}).registers == {"energy_active_import": 123_456}
    assert words[0] * 65536 + words[1] == 789_888
    assert read(decode.packed([0x0001, 0xE240]), {}).registers == {
        "energy_active_import": None
    }  # 123456 as a plain integer


def test_conflict_c_em24_reads_the_total_low_word_first() -> None:
    point = find_profile("carlo-gavazzi-em24").point("energy_active_import")
    assert (point.parts[0].address, point.parts[0].word_order, point.confidence) == (0x3E, "little", "medium")
    read = decode.block_reader(0x3E, [point])(decode.packed([0x0001, 0x0000]), {})
    assert read.registers == {"energy_active_import": 1}
    assert any("0x42" in note and "display" in note for note in find_profile("carlo-gavazzi-em24").notes)


def test_conflict_d_abb_export_power_is_negative_and_not_42_megawatts() -> None:
    point = find_profile("abb-b23-b24").point("power_active_total")
    read = decode.block_reader(point.parts[0].address, [point])(decode.packed([0xFFFF, 0xFC18]), {})
    assert read.values == {"power_active_total": -10_000}


def test_conflict_e_acuvim_energy_read_as_float_is_no_near_value() -> None:
    profile = find_profile("accuenergy-acuvim2")
    assert profile.point("energy_active_import").enc == "int"
    (as_float,) = {decode.exact(123_456, "f32")}
    assert as_float is not None
    assert as_float < Fraction(1, 10**30)
    assert any("CONFLICT E" in note for note in profile.notes)


def test_both_tariffs_of_a_pac_are_one_register() -> None:
    point = find_profile("siemens-pac3200").point("energy_active_import")
    read = decode.block_reader(801, [point])(decode.packed([0x412E, 0x8480, 0, 0, 0x3FE0, 0, 0, 0]), {})
    raw = read.registers["energy_active_import"]
    assert isinstance(raw, tuple)
    assert decode.exact_sum(point, raw) == 1_000_000_500


def test_a_shark_is_worth_what_its_format_says_and_unknown_until_then() -> None:
    profile = find_profile("eig-shark200")
    point, scale = profile.point("energy_active_import"), profile.scales[0]
    energies = decode.block_reader(1499, [point])
    assert energies(decode.packed([0, 7]), {}).registers == {"energy_active_import": None}
    said = decode.block_reader(scale.parts[0].address, [scale])(decode.packed([0x3332]), {}).scales
    assert said == {"energy_format": 0x3332}
    read = energies(decode.packed([0, 7]), said)
    assert read.registers == {"energy_active_import": 7}
    worth = read.scaled["energy_active_import"]
    assert (worth.mult, worth.mod, worth.step, worth.scaled_by) == (Fraction(10_000), 10**8, 10_000, None)
