"""Words to raw integers to exact values."""

import struct
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire import decode
from agent.acquire.points import WIDTHS, Enc, Order, Part, Point
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
    registers, values = decode.block_values([0x0001, 0x0000, 0xDEAD, 0xFFFF], 100, [energy, power])
    assert registers == {"energy_active_import": 65536}
    assert values == {"power_active_total": -1000}


def test_a_serial_is_text() -> None:
    number = Point("serial", "instantaneous", (Part(0, 2, 3, "uint32"),), "int", Fraction(1))
    letters = Point("serial", "instantaneous", (Part(0, 4, 3, "ascii"),), "int", Fraction(1))
    assert decode.text([0x00BC, 0x614E], number) == "12345678"
    assert decode.text([0x4142, 0x2D31, 0x0000, 0x4343], letters) == "AB-1"
    assert decode.text([0, 0, 0, 0], letters) is None
