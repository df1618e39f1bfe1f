from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import ConfigError
from shared.formula import Formula, evaluate, parse

PCC = "dc1/pcc-main.energy_active_import"
PV = "dc1/pv.energy_active_export"


def test_a_formula_is_a_signed_sum_with_exact_factors() -> None:
    assert parse(f"{PCC} - 0.97 * {PV}").terms == ((Fraction(1), PCC), (Fraction(-97, 100), PV))


def test_factors_may_stand_on_either_side_and_repeat() -> None:
    assert parse("2 * hall-a * 0.5").terms == ((Fraction(1), "hall-a"),)


def test_a_leading_sign_and_signed_factors_are_read() -> None:
    assert parse("- a - -0.5 * b + c").terms == ((Fraction(-1), "a"), (Fraction(1, 2), "b"), (Fraction(1), "c"))


def test_references_are_named_once_in_order() -> None:
    assert parse("b + a - b").refs == ("b", "a")


@pytest.mark.parametrize(
    ("text", "column", "word"),
    [
        ("", 1, "empty"),
        ("a +", 3, "lacking"),
        ("a + - b", 5, "lacking"),
        ("a b", 3, "lacking before 'b'"),
        ("a * b", 1, "multiplied"),
        ("0.5", 1, "no channel"),
        ("a + 2 *", 7, "nothing follows"),
        ("a + * b", 5, "is wanted"),
        ("a + 0.97*b", 5, "spaces"),
        ("a + (b)", 5, "spaces"),
        ("a + 1e3 * B", 11, "no point"),
        ("dc1/pcc.energy_active", 1, "no quantity"),
        ("1.5.2 * a", 1, "no factor"),
    ],
)
def test_a_wrong_formula_is_refused_with_its_column(text: str, column: int, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert f"column {column}:" in str(caught.value)
    assert word in str(caught.value)


def test_the_value_is_exact() -> None:
    assert evaluate(parse("0.1 * a + 0.2 * b"), {"a": 1, "b": 1}) == Fraction(3, 10)


def test_a_gap_stays_a_gap() -> None:
    assert evaluate(parse("a - b"), {"a": 5, "b": None}) is None


def test_an_absent_term_is_no_part_of_the_sum() -> None:
    assert evaluate(parse("a - b"), {"a": 5}, absent={"b"}) == 5


def test_nothing_present_is_a_gap_not_zero() -> None:
    assert evaluate(parse("a"), {}, absent={"a"}) is None


def test_a_forgotten_term_is_a_bug_not_zero() -> None:
    with pytest.raises(KeyError):
        evaluate(parse("a - b"), {"a": 5})


@given(st.lists(st.tuples(st.decimals(-9, 9, places=4), st.integers(-(10**18), 10**18)), min_size=1, max_size=6))
def test_text_and_arithmetic_agree(parts: list[tuple[object, int]]) -> None:
    text = " + ".join(f"{factor} * p{n}" for n, (factor, _) in enumerate(parts))
    wanted = sum(Fraction(str(factor)) * value for factor, value in parts)
    formula = parse(text)
    assert isinstance(formula, Formula)
    assert evaluate(formula, {f"p{n}": value for n, (_, value) in enumerate(parts)}) == wanted
