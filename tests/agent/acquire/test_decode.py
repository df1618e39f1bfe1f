"""Words to raw integers to exact values."""

import struct
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.points import WIDTHS, ClockForm, Enc, Order, Part, Point
from agent.acquire.profile_entry import ORDERS
from shared.quantity import INT64_MAX

KWH = Fraction(10**6)


def part(kind: str, word_order: Order = "big", byte_order: Order = "big") -> Part:
    return Part(0, WIDTHS[kind], 3, kind, word_order, byte_order)


def raw(words: list[int], kind: str, word_order: Order = "big", byte_order: Order = "big") -> int | None:
    return decode.part_raw(decode.packed(words), part(kind, word_order, byte_order), frozenset())


def register(enc: Enc, mult: Fraction | tuple[Fraction, ...], kind: str, parts: int = 1) -> Point:
    places = tuple(Part(4 * n, WIDTHS[kind], 3, kind) for n in range(parts))
    return Point("energy_active_import", "register", places, enc, mult)


@pytest.mark.parametrize(
    ("words", "kind", "expected"),
    [
        ([0x8000], "int16", -32768),
        ([0x7FFF], "int16", 32767),
        ([0xFFFF], "uint16", 65535),
        ([0xFFFF, 0xFFFE], "int32", -2),
        ([0x0001, 0x0000], "uint32", 65536),
        ([0xFFFF, 0xFFFF, 0xFFFF], "int48", -1),
        ([0x0001, 0x0000, 0x0000], "uint48", 4294967296),
        ([0x8000, 0, 0, 0], "int64", -(2**63)),
        ([0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF], "uint64", 2**64 - 1),
        ([0x1234], "bcd16", 1234),
        ([0x0012, 0x3456], "bcd32", 123456),
        ([0x9999, 0x9999, 0x9999, 0x9999], "bcd64", 9999999999999999),
        ([12, 3456], "mod10k2", 123456),
        ([1, 0, 9999], "mod10k3", 100009999),
        ([9999, 9999, 9999, 9999], "mod10k4", 9999999999999999),
        ([0x42C8, 0x0000], "float32", 0x42C80000),
        ([0x3FF0, 0, 0, 0], "float64", 0x3FF0000000000000),
        ([0xFFFF, 0xFFFE], "abs32", 2),
        ([0x0000, 0x0002], "abs32", 2),
        ([0x8000], "abs16", 32768),
    ],
)
def test_each_type_gives_the_integer_that_its_words_write(words: list[int], kind: str, expected: int) -> None:
    assert raw(words, kind) == expected


@pytest.mark.parametrize(
    ("words", "word_order", "byte_order"),
    [
        ([0x0A0B, 0x0C0D], "big", "big"),
        ([0x0C0D, 0x0A0B], "little", "big"),
        ([0x0B0A, 0x0D0C], "big", "little"),
        ([0x0D0C, 0x0B0A], "little", "little"),
    ],
)
def test_all_four_orders_write_the_same_number(words: list[int], word_order: Order, byte_order: Order) -> None:
    assert raw(words, "uint32", word_order, byte_order) == 0x0A0B0C0D


@pytest.mark.parametrize("name", sorted(ORDERS))
def test_every_order_by_name_writes_the_same_number(name: str) -> None:
    """A name is the order of its letters: byte n of the number stands where the n-th letter stands."""
    significant = sorted(name)
    octets = bytes(0x11 * (significant.index(letter) + 1) for letter in name)
    words = [octets[n] << 8 | octets[n + 1] for n in range(0, len(octets), 2)]
    kind = f"uint{8 * len(name)}"
    word_order, byte_order, half_order = ORDERS[name]
    place = Part(0, WIDTHS[kind], 3, kind, word_order, byte_order, half_order)
    expected = int("".join(f"{n:02X}" for n in range(0x11, 0x11 * (len(name) + 1), 0x11)), 16)
    assert decode.part_raw(decode.packed(words), place, frozenset()) == expected
    point = Point("energy_active_import", "register", (place,), "int", Fraction(1))
    assert decode.block_reader(0, [point])(decode.packed(words), {}).registers == {
        "energy_active_import": expected if expected <= INT64_MAX else None
    }


@pytest.mark.parametrize(
    ("words", "kind", "bits", "expected"),
    [
        ([0x0501], "uint16", (8, 8), 5),
        ([0x0501], "uint16", (0, 8), 1),
        ([0x00F0], "int16", (4, 4), -1),
        ([0x0070], "int16", (4, 4), 7),
        ([0x8000, 0x0000], "uint32", (31, 1), 1),
        ([0x0012, 0x3400], "bcd32", (8, 16), 1234),
    ],
)
def test_a_number_may_be_some_bits_of_its_registers(
    words: list[int], kind: str, bits: tuple[int, int], expected: int
) -> None:
    place = Part(0, WIDTHS[kind], 3, kind, bits=bits)
    assert decode.part_raw(decode.packed(words), place, frozenset()) == expected


@pytest.mark.parametrize(("words", "kind"), [([0x12A4], "bcd16"), ([10000, 0], "mod10k2"), ([0xFFFF] * 4, "mod10k4")])
def test_digits_that_are_no_digits_are_not_available(words: list[int], kind: str) -> None:
    assert raw(words, kind) is None


def test_the_not_available_pattern_is_none_and_its_neighbour_is_not() -> None:
    code = frozenset({0x7FFFFFFF})
    assert decode.part_raw(decode.packed([0x7FFF, 0xFFFF]), part("int32"), code) is None
    assert decode.part_raw(decode.packed([0x7FFF, 0xFFFE]), part("int32"), code) == 0x7FFFFFFE


@pytest.mark.parametrize("bits", [0x7FC00000, 0xFFC00000, 0x7F800000, 0xFF800000, 0x7F800001])
def test_nan_and_infinity_are_not_available(bits: int) -> None:
    assert decode.exact(bits, "f32") is None
    assert decode.combine(register("f32", KWH, "float32"), (bits,)) == (None, None)


def test_the_smallest_floats_are_exact() -> None:
    assert decode.exact(0x00000001, "f32") == Fraction(1, 2**149)
    assert decode.exact(0x0000000000000001, "f64") == Fraction(1, 2**1074)
    assert decode.exact(0x8000000000000000, "f64") == 0


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_keeps_its_exact_value(value: float) -> None:
    bits = int.from_bytes(struct.pack(">d", value), "big")
    assert decode.exact(bits, "f64") == Fraction(value)


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.fractions(min_value=Fraction(1, 1000)))
def test_a_value_is_rounded_half_even_once(value: float, mult: Fraction) -> None:
    bits = int.from_bytes(struct.pack(">f", value), "big")
    expected = round(Fraction(value) * mult)  # Python rounds a Fraction half to even, exactly
    assert decode.count(bits, "f32", mult) == (expected if -(2**63) <= expected < 2**63 else None)


def test_what_leaves_int64_is_not_available_and_never_wrapped() -> None:
    point = register("int", Fraction(1000), "int64")
    most = INT64_MAX // 1000
    assert decode.combine(point, (most,)) == (most, most * 1000)
    assert decode.combine(point, (most + 1,)) == (None, None)
    assert decode.combine(point, (-most - 2,)) == (None, None)


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    point = register("int", (Fraction(10), Fraction(10)), "uint32", parts=2)
    assert decode.combine(point, (3, 4)) == ((3, 4), 70)
    assert decode.combine(point, (3, None)) == (None, None)


def test_a_sum_is_rounded_after_adding() -> None:
    point = register("int", (Fraction(1, 2), Fraction(1, 2)), "uint32", parts=2)
    assert decode.combine(point, (1, 1)) == ((1, 1), 1)


def test_a_block_keeps_registers_raw_and_counts_instantaneous_values() -> None:
    energy = Point("energy_active_import", "register", (Part(100, 2, 3, "uint32"),), "int", Fraction(10_000))
    power = Point("power_active_total", "instantaneous", (Part(103, 1, 3, "int16"),), "int", Fraction(1000))
    registers, values, _, _ = decode.block_reader(100, [energy, power])(
        decode.packed([0x0001, 0x0000, 0xDEAD, 0xFFFF]), {}
    )
    assert registers == {"energy_active_import": 65536}
    assert values == {"power_active_total": -1000}


def test_a_serial_is_text() -> None:
    number = Point("serial", "instantaneous", (Part(0, 2, 3, "uint32"),), "int", Fraction(1))
    letters = Point("serial", "instantaneous", (Part(0, 4, 3, "ascii"),), "int", Fraction(1))
    assert decode.text([0x00BC, 0x614E], number) == "12345678"
    assert decode.text([0x4142, 0x2D31, 0x0000, 0x4343], letters) == "AB-1"
    assert decode.text([0, 0, 0, 0], letters) is None


def test_text_keeps_to_its_characters() -> None:
    swapped = Point("serial", "instantaneous", (Part(0, 2, 3, "ascii", byte_order="little"),), "int", Fraction(1))
    assert decode.text([0x4241, 0x312D], swapped) == "AB-1"
    inner = Point("serial", "instantaneous", (Part(0, 4, 3, "ascii", bits=(16, 32)),), "int", Fraction(1))
    assert decode.text([0x0001, 0x4142, 0x2D31, 0x0002], inner) == "AB-1"
    control = Point("serial", "instantaneous", (Part(0, 2, 3, "ascii"),), "int", Fraction(1))
    assert decode.text([0x1B5B, 0x0A41], control) == "[A"  # a terminal's escape is no serial number


def test_an_offset_moves_an_instantaneous_value_exactly() -> None:
    """Raw 500 x 0.1 Hz + 0.0005 Hz: 50000.5 mHz, half to even."""
    place = (Part(0, 1, 3, "uint16"),)
    point = Point("frequency", "instantaneous", place, "int", Fraction(100), offset=Fraction(1, 2))
    read = decode.block_reader(0, [point])
    assert read(decode.packed([500]), {}).values == {"frequency": 50_000}
    assert read(decode.packed([0]), {}).values == {"frequency": 0}


def test_parts_of_a_sum_have_their_own_worth() -> None:
    """3 MWh and 250 Wh, as meters show it that split a register."""
    parts = (Part(10, 1, 3, "uint16"), Part(11, 1, 3, "uint16"))
    point = Point("energy_active_import", "register", parts, "int", (Fraction(10**9), Fraction(10**3)), (10_000, 1000))
    read = decode.block_reader(10, [point])(decode.packed([3, 250]), {})
    assert read.registers == {"energy_active_import": (3, 250)}
    assert decode.exact_sum(point, (3, 250)) == 3_000_250_000


SCALE = Point("SF", "scale", (Part(2, 1, 3, "int16"),), "int", Fraction(1), na=frozenset({0x8000}), form="power10")
ENERGY = Point("energy_active_import", "register", (Part(0, 2, 3, "uint32"),), "int", Fraction(1000), 2**32,
               scaled_by="SF", form="power10")  # fmt: skip
POWER = Point("power_active_total", "instantaneous", (Part(3, 1, 3, "int16"),), "int", Fraction(-1000),
              scaled_by="SF", form="power10")  # fmt: skip


def test_a_scale_acts_on_points_of_its_own_block_at_once() -> None:
    decoded = decode.block_reader(0, [SCALE, ENERGY, POWER])(decode.packed([0, 7, 0xFFFF, 5]), {"SF": 3})
    assert decoded.scales == {"SF": -1}
    assert decoded.registers == {"energy_active_import": 7}
    assert decoded.values == {"power_active_total": -500}  # 5 x -1 W x 0.1
    worth = decoded.scaled["energy_active_import"]
    assert (worth.mult, worth.mod, worth.step, worth.scaled_by) == (Fraction(100), 2**32, 100, None)


def test_a_scale_of_another_block_is_the_drivers_to_remember_and_may_change() -> None:
    read = decode.block_reader(0, [ENERGY])
    assert read(decode.packed([0, 7]), {"SF": 1}).scaled["energy_active_import"].mult == 10_000
    assert read(decode.packed([0, 7]), {"SF": 2}).scaled["energy_active_import"].mult == 100_000
    assert read(decode.packed([0, 7]), {"SF": 0}).scaled["energy_active_import"].mult == 1000
    assert read(decode.packed([0, 7]), {"SF": 0}).scales == {}


@pytest.mark.parametrize("known", [{}, {"SF": None}, {"SF": 11}, {"SF": -11}, {"SF": 0x7FFF}])
def test_a_register_of_unknown_worth_is_unknown(known: dict[str, int | None]) -> None:
    decoded = decode.block_reader(0, [ENERGY])(decode.packed([0, 7]), known)
    assert decoded.registers == {"energy_active_import": None}
    assert decoded.scaled == {}


def test_a_scale_that_its_own_block_withdraws_does_not_live_on() -> None:
    decoded = decode.block_reader(0, [SCALE, ENERGY])(decode.packed([0, 7, 0x8000]), {"SF": 1})
    assert (decoded.scales, decoded.registers) == ({"SF": None}, {"energy_active_import": None})


@pytest.mark.parametrize(
    ("raw", "mult", "mod"),
    [
        (0x3332, 10_000, 10**8),  # kilo, two decimals, eight digits: 10 Wh
        (0x0000, 1000, 10**5),  # units, none, five digits: 1 Wh
        (0x0160, 10**9, 10**6),  # mega, none, six digits: 1 MWh
        (0x0206, Fraction(1, 1000), 10**7),  # units, six decimals, seven digits: 1 uWh
    ],
)
def test_an_eig_format_says_unit_decimals_and_digits(raw: int, mult: Fraction | int, mod: int) -> None:
    point = replace(ENERGY, mod=None, form="eig_energy_format")
    worth = decode.resolved(point, raw, "eig_energy_format")
    assert worth is not None
    assert (worth.mult, worth.mod) == (mult, mod)


@pytest.mark.parametrize("raw", [0x0010, 0x0070, 0x0007, 0xFFFF])
def test_an_eig_format_that_no_manual_has_is_believed_nothing(raw: int) -> None:
    assert decode.resolved(ENERGY, raw, "eig_energy_format") is None


@pytest.mark.parametrize(
    ("bits", "enc", "step"),
    [
        (0x4B800000, "f32", Fraction(2)),  # 2^24
        (0x4B7FFFFF, "f32", Fraction(1)),  # 2^24 - 1
        (0xCB800000, "f32", Fraction(2)),  # the sign does not matter
        (0x3F800000, "f32", Fraction(1, 2**23)),
        (0x00000001, "f32", Fraction(1, 2**149)),
        (0x4340000000000000, "f64", Fraction(2)),  # 2^53
        (0x0000000000000000, "f64", Fraction(1, 2**1074)),
        (12345, "int", Fraction(1)),
    ],
)
def test_a_float_says_how_fine_it_counts(bits: int, enc: Enc, step: Fraction) -> None:
    assert decode.float_step(bits, enc) == step


@given(st.floats(min_value=2.0**-140, max_value=2.0**127, width=32))
def test_the_step_is_the_distance_to_the_next_number(value: float) -> None:
    bits = int.from_bytes(struct.pack(">f", value), "big")
    after, here = decode.exact(bits + 1, "f32"), decode.exact(bits, "f32")
    assert after is not None
    assert here is not None
    assert decode.float_step(bits, "f32") == after - here


def test_a_float_register_is_too_coarse_from_a_known_value_on() -> None:
    """float32 Wh: steps are 1 Wh up to 2^24 Wh, 2 Wh above it; of 1 Wh tolerance 16777216 Wh is the end."""
    wh, kwh = register("f32", Fraction(1000), "float32"), register("f32", KWH, "float32")
    assert decode.coarse_above(wh, 1000) == 2**24 * 1000
    assert decode.coarse_above(wh, 1999) == 2**24 * 1000
    assert decode.coarse_above(wh, 2000) == 2**25 * 1000
    assert decode.coarse_above(kwh, 62_500) == 2**20 * 10**6  # steps of 1/16 kWh end at 2^20 kWh
    assert decode.coarse_above(register("int", KWH, "uint32"), 1) is None
    two = register("f64", (Fraction(1000), Fraction(10**6)), "float64", parts=2)
    assert decode.coarse_above(two, 1000) == 2**43 * 10**6  # the part of kWh: 2^-10 kWh is 0.977 Wh


def test_a_setting_is_a_number_a_product_or_a_text() -> None:
    ratio = Point("ct_ratio", "setting", (Part(0, 2, 4, "uint32", "little"),), "int", Fraction(1, 10))
    assert decode.setting([0x0320, 0], ratio) == 80
    low = Part(9, 1, 3, "uint16", bits=(0, 8))
    primary = Point("ct_primary_A", "setting", (Part(10, 1, 3, "uint16"), low), "int", (Fraction(1), Fraction(1)),
                    product=True)  # fmt: skip
    assert decode.setting([200, 0x050A], primary) == 2000
    name = Point("meter_name", "setting", (Part(0, 2, 3, "ascii"),), "int", Fraction(1))
    assert decode.setting([0x4754, 0x3100], name) == "GT1"
    voltage = Point("vt_primary_V", "setting", (Part(0, 2, 3, "float32"),), "f32", Fraction(1))
    assert decode.setting([0x469C, 0x4000], voltage) == 20_000
    assert decode.setting([0x7FC0, 0x0000], voltage) is None


@pytest.mark.parametrize(
    ("form", "words", "expected"),
    [
        ("schneider4", [0x001A, 0x0B17, 0x0C1E, 0x1388], 1_795_437_005_000_000),
        ("schneider4", [0x001A, 0x0B57, 0x8C9E, 0x1389], 1_795_437_005_001_000),  # Tuesday, summer, "invalid": the same
        ("siemens4", [0x6B04, 0x31CD, 0, 0], 1_795_437_005_000_000),
        ("words6", [26, 11, 23, 12, 30, 5], 1_795_437_005_000_000),
        ("words6", [2026, 11, 23, 12, 30, 5], 1_795_437_005_000_000),
        # Electro Industries' own example: 9:35:07 on 12 October 2049, summer time: 29139 days and 34507 s.
        ("bytes6", [0x310A, 0x0C49, 0x2307], 2_517_644_107_000_000),
        ("unix", [0x6B04, 0x31CD], 1_795_437_005_000_000),
        ("schneider4", [0x001A, 0x0D17, 0x0C1E, 0], None),  # month 13
        ("schneider4", [0x001A, 0x0B17, 0x0C1E, 60_000], None),
        ("schneider4", [0, 0, 0, 0], None),
        ("words6", [26, 2, 30, 0, 0, 0], None),
        ("unix", [0, 0], None),  # never set
        ("unix", [0], None),
    ],
)
def test_a_meters_clock_is_a_date_or_nothing(form: ClockForm, words: list[int], expected: int | None) -> None:
    assert decode.clock(words, form) == expected
