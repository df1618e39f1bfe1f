"""The published rule: examples one can check by hand, and the law that energy is neither made nor lost."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Malformed
from shared.registers import Mark, Register, advances, at_boundary, bounds, number, registers, values

NONE, ROLL, SEAM = Mark.NONE, Mark.ROLLOVER, Mark.SEAM


def register(raw: list[int | None], *, flags: list[int] | None = None, mod: int | None = None) -> Register:
    """Return an integer register of 1 kWh steps read once at each boundary."""
    marks = tuple(flags or [0] * len(raw))
    return Register("int", tuple(None if one is None else (one,) for one in raw), Fraction(10**6), mod, 10**6, marks)


def test_a_gap_stays_a_gap_and_its_energy_stays_known() -> None:
    at, marks = [(0,), None, None, (3,)], [0, 10, 20, 30]
    found = register([100, None, None, 130])
    assert registers(found, at, marks) == [100_000_000, None, None, 130_000_000]
    assert values(found, at, marks) == [None, None, None]


def test_a_rollover_goes_on_past_the_modulus() -> None:
    at, marks = [(0,), (1,), (2,), (3,)], [0, 1, 2, 3]
    found = register([98, 99, 1, 4], flags=[0, 0, ROLL, 0], mod=100)
    assert values(found, at, marks) == [1_000_000, 2_000_000, 3_000_000]


def test_a_rollover_flag_on_the_first_read_changes_nothing() -> None:
    found = register([1, 4], flags=[ROLL, 0], mod=100)
    assert values(found, [(0,), (1,)], [0, 1]) == [3_000_000]


def test_nothing_counts_across_a_seam() -> None:
    found = register([50, None, 3, 5], flags=[0, 0, SEAM, 0])
    assert values(found, [(0,), None, (2,), (3,)], [0, 1, 2, 3]) == [None, None, 2_000_000]
    adjacent = register([50, 3, 5], flags=[0, SEAM, 0])
    assert values(adjacent, [(0,), (1,), (2,)], [0, 1, 2]) == [None, 2_000_000]


def test_two_reads_are_interpolated_exactly_and_rounded_half_even_once() -> None:
    # 5 of 10 parts between 0 and 1, and between 1 and 2: both halves go to the even neighbour
    assert at_boundary((Fraction(0), Fraction(1)), (0, 10), 5) == 0
    assert at_boundary((Fraction(1), Fraction(2)), (0, 10), 5) == 2
    assert at_boundary((Fraction(0), Fraction(10)), (0, 10), 3) == 3


def test_parts_are_summed_and_each_rolls_on_its_own() -> None:
    found = Register(
        "int", (((99, 5),), ((2, 6),)), (Fraction(1), Fraction(10)), (100, 1000), 1, (0, ROLL),
    )  # fmt: skip
    assert registers(found, [(0,), (1,)], [0, 1]) == [99 + 50, 102 + 60]


def test_floats_are_the_exact_value_of_their_bits() -> None:
    assert number(0x3DCCCCCD, "f32") == Fraction(13421773, 134217728)  # the float nearest to 0.1
    assert number(0x3FB999999999999A, "f64") == Fraction(0.1)
    for bits, enc in ((0x7F800000, "f32"), (0x7FC00000, "f32"), (2**32, "f32")):
        with pytest.raises(Malformed):
            number(bits, enc)  # type: ignore[arg-type] # literals above


def test_bounds_hold_what_the_register_can_have_been() -> None:
    found = Register("int", ((7,), (8, 9)), Fraction(10), None, 10, (0, 0))
    assert bounds(found, [(1,), (1, 2)]) == [(70, 80), (80, 100)]


def test_a_factor_acts_on_both_ends() -> None:
    found = register([10, 12])
    assert registers(found, [(0,), (1,)], [0, 1], Fraction(1001, 1000)) == [10_010_000, 12_012_000]


@given(st.lists(st.integers(0, 99_999), min_size=2, max_size=50), st.integers(0, 99_999))
def test_energy_is_neither_made_nor_lost(steps: list[int], first: int) -> None:
    """Intervals add up to the register's whole advance, rollovers included."""
    raw, flags, level = [first], [0], first
    for step in steps:
        level += step
        raw.append(level % 100_000)
        flags.append(ROLL if raw[-1] < raw[-2] else NONE)
    count = len(raw)
    found = register(list(raw), flags=flags, mod=100_000)
    got = values(found, [(at,) for at in range(count)], list(range(count)))
    assert sum(value or 0 for value in got) == sum(steps) * 10**6


@given(st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=2, max_size=30))
def test_known_values_are_differences_of_known_registers(levels: list[int | None]) -> None:
    for at, value in enumerate(advances(levels, [0] * len(levels))):
        before, after = levels[at], levels[at + 1]
        assert value == (None if before is None or after is None else after - before)
