"""What an OPC UA answer is worth."""

from fractions import Fraction

import pytest
from asyncua import ua
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.drivers import opcua_values as worth
from agent.acquire.points import Enc, Part, Point

Kind = ua.VariantType


def point(kind: str, enc: Enc, na: frozenset[int] = frozenset()) -> Point:
    return Point("energy_active_import", "register", (Part(0, 4, 3, kind, "big", "big"),), enc, Fraction(5, 2), na=na)


def answer(value: object, kind: Kind, status: int = 0) -> ua.DataValue:
    return ua.DataValue(ua.Variant(value, kind), ua.StatusCode(ua.UInt32(status)))


@pytest.mark.parametrize(
    ("value", "kind", "wanted", "raw"),
    [
        (7.0, Kind.Double, point("float64", "f64"), 0x401C000000000000),
        (7.0, Kind.Float, point("float64", "f64"), 0x401C000000000000),  # a Float is a Double without loss
        (7.0, Kind.Float, point("float32", "f32"), 0x40E00000),
        (7.0, Kind.Double, point("float32", "f32"), None),  # not the other way round
        (7, Kind.UInt32, point("uint32", "int"), 7),
        (-7, Kind.Int64, point("int64", "int"), -7),
        (0xFFFFFFFF, Kind.UInt32, point("uint32", "int", frozenset({0xFFFFFFFF})), None),
        (7, Kind.UInt32, point("float64", "f64"), None),
        (7.0, Kind.Double, point("uint32", "int"), None),
        (True, Kind.Boolean, point("uint32", "int"), None),
        ("7", Kind.String, point("uint32", "int"), None),
        ([7.0], Kind.Double, point("float64", "f64"), None),
    ],
)
def test_a_value_is_taken_in_the_profiles_type_or_not_at_all(
    value: object, kind: Kind, wanted: Point, raw: int | None
) -> None:
    assert worth.raw(answer(value, kind), wanted) == raw
    refused = worth.misfit(answer(value, kind), wanted) is not None
    assert refused == (raw is None and value != 0xFFFFFFFF)


@given(st.integers(0, 0xFFFFFFFF))
def test_every_status_is_good_uncertain_or_bad_and_bad_has_no_value(status: int) -> None:
    told = answer(7.0, Kind.Double, status)
    severity = status >> 30  # OPC 10000-4 section 7.39.1: 3 is reserved and to be taken as Bad
    assert worth.code(told) == status
    assert worth.is_bad(status) == (severity in (2, 3))
    assert worth.is_uncertain(status) == (severity == 1)
    assert (worth.raw(told, point("float64", "f64")) is None) == (severity in (2, 3))
    assert f"0x{status:08X}" in worth.name(status)


@pytest.mark.parametrize(
    ("value", "kind", "told"),
    [
        (4000.0, Kind.Double, Fraction(10_000)),
        (4000, Kind.UInt16, Fraction(10_000)),
        ("V2.1 ", Kind.String, "V2.1"),
        (float("nan"), Kind.Double, None),
        (float("inf"), Kind.Double, None),
        ([1.0], Kind.Double, None),
        (ua.LocalizedText("delta"), Kind.LocalizedText, "delta"),
    ],
)
def test_a_setting_is_a_number_in_its_unit_or_a_text(value: object, kind: Kind, told: object) -> None:
    assert worth.setting(answer(value, kind), point("float64", "f64")) == told


def test_a_serial_is_text_whatever_its_type() -> None:
    assert worth.text(answer(" 00123 ", Kind.String)) == "00123"
    assert worth.text(answer(123, Kind.UInt32)) == "123"
    assert worth.text(answer("", Kind.String)) is None
    assert worth.text(answer("x", Kind.String, 0x80310000)) is None


def test_answers_are_the_same_by_value_and_status() -> None:
    assert worth.same(answer(7.0, Kind.Double), answer(7.0, Kind.Double))
    assert worth.same(answer(float("nan"), Kind.Double), answer(float("nan"), Kind.Double))
    assert not worth.same(answer(7.0, Kind.Double), answer(7.5, Kind.Double))
    assert not worth.same(answer(7.0, Kind.Double), answer(7.0, Kind.Double, 0x40920000))


@given(st.lists(st.integers(0, 50)))
def test_a_source_that_never_goes_back_is_always_fresh_and_a_fallen_back_one_is_not(times: list[int]) -> None:
    stamps = worth.Stamps()
    assert all(stamps.fresh(("m", "q"), told) for told in sorted(times))
    if times and max(times) > 0:
        assert not stamps.fresh(("m", "q"), max(times) - 1)
        assert not stamps.fresh(("m", "q"), max(times) - 1)  # it stands still
        assert stamps.fresh(("m", "q"), max(times))
    assert stamps.fresh(("m", "q"), None)
    assert stamps.fresh(("other", "q"), 0)


@given(st.integers(0, 2**52))
def test_a_stamp_is_kept_to_the_microsecond(told: int) -> None:
    assert worth.microseconds(worth.instant(told)) == told
