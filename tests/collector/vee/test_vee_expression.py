"""Formulas of a site: what they say, and that nothing else is let through."""

from collections.abc import Sequence

import numpy as np
import pytest

from collector.vee import Finding, Setting, validate
from collector.vee.expression import parse
from collector.vee.rules.f7_formula import Formulas, Own
from collector.vee.series import Series
from shared.errors import ConfigError
from tests.collector.vee.made import made, numbers

BOTH = "max(power_active_total_max) <= 2500e6 and mean(voltage_l1n_mean) > 220000"


def holds(series: Series, *formulas: str) -> list[Finding]:
    own = tuple(Own(f"f{at}", text) for at, text in enumerate(formulas))
    return validate(series, ["F7"], {"F7": [Setting(limits=Formulas(own))]})


def two_days(power: Sequence[int | None], voltage: Sequence[int | None]) -> Series:
    """Return two days of 12-hour intervals."""
    statistics = {"power_active_total_max": numbers(*power), "voltage_l1n_mean": numbers(*voltage)}
    return made([1] * 4, length=43_200, statistics=statistics)


def test_a_formula_holds_for_each_local_day() -> None:
    good = [230_000] * 4
    assert holds(two_days([2_500_000_000, 1, 1, 1], good), BOTH) == []
    (found,) = holds(two_days([1, 1, 1, 2_500_000_001], good), BOTH)
    assert (found.rule, found.severity, found.first, found.stop) == ("F7", "W", 2, 4)
    assert (found.observed, found.limit) == (2_500_000_001, 2_500_000_000)
    assert found.text == f"The local day from 2026-01-02T00:00:00Z to 2026-01-03T00:00:00Z does not keep to f0: {BOTH}."


def test_the_side_that_fails_is_the_one_shown() -> None:
    (found,) = holds(two_days([1] * 4, [230_000, 210_000, 240_000, 240_000]), BOTH)
    assert (found.first, found.observed, found.limit) == (0, 220_000, 220_000)


def test_what_is_not_known_has_no_say() -> None:
    assert holds(two_days([1, None, 1, 1], [None, None, 240_000, None]), BOTH) == []
    (found,) = holds(two_days([1, None, 1, 1], [None, 200_000, 240_000, None]), BOTH)
    assert (found.first, found.observed) == (0, 200_000)


def test_without_an_aggregate_each_interval_is_looked_at() -> None:
    series = made([100, 200, 300, None, 500], statistics={"power_active_total_mean": numbers(400, 800, 1201, 1, None)})
    found = holds(series, "abs(power_active_total_mean - value * 3600 / 900) <= 0.5")
    assert [(one.first, one.stop, one.observed, one.limit) for one in found] == [(2, 3, 1, 0)]


def test_counting_and_arithmetic_by_hand() -> None:
    series = made([0, 0, 5, 7, 8, 9], siblings={"energy_reactive_import": numbers(1, 1, 1, 1, 1, 1)})
    assert holds(series, "count(value == 0) == 2", "sum(value) / count(value > 0) == 29 / 4", "min(-value) == -9") == []
    assert holds(series, "mean(value + 2 * energy_reactive_import) == 29 / 6 + 2") == []
    found = holds(series, "count(value == 0) < 2", "not (1 < max(value) <= 9)", "max(value) < 5 or min(value) > 1")
    assert [(one.observed, one.limit) for one in found] == [(2, 2), (0, 0), (9, 5)]


def test_division_by_zero_is_not_known() -> None:
    assert [(one.first, one.stop) for one in holds(made([0, 5]), "1 / value > 1")] == [(1, 2)]


def test_a_formula_of_what_a_channel_does_not_have_says_nothing() -> None:
    assert holds(made([1]), BOTH) == []


def test_the_channels_own_estimates_count() -> None:
    status = np.array([1, 5], dtype=np.uint8)
    assert holds(made([1, 9], status=status), "max(value) < 9") != []


WRONG = {
    "": "not an expression",
    "1 <": "not an expression",
    "x = 1": "not an expression",
    "max(power)": "no statistic and no quantity 'power'",
    "max(value)": "must compare something",
    "1 < 2": "must compare something",
    "value": "must compare something",
    "True": "True is no number",
    "'a' < value": "'a' is no number",
    "1j < value": "1j is no number",
    "value.real > 1": "Attribute has no place",
    "__import__('os').system('x') > 1": "calls are min, max, mean, sum, count and abs",
    "open(value) > 1": "calls are",
    "max(value, 3) > 1": "each of one part",
    "max(*value) > 1": "each of one part",
    "max(value=3) > 1": "each of one part",
    "[v for v in value] > 1": "ListComp has no place",
    "(lambda: 1)() > value": "calls are",
    "value[0] > 1": "Subscript has no place",
    "value ** 9 > 1": "Pow is none of + - * /",
    "value // 2 > 1": "FloorDiv is none of",
    "value << 9 > 1": "LShift is none of",
    "~value > 1": "Invert has no place",
    "value in value": "comparisons are",
    "value is 1": "comparisons are",
    "value if value else value": "IfExp has no place",
    "(value := 1) > 1": "NamedExpr has no place",
    "f'{value}' > 1": "JoinedStr has no place",
    "max(max(value)) > 1": "max is of intervals",
    "max(3) > value": "max is of intervals",
    "max(value > 1) > 1": "max is of numbers",
    "max(value) > value": "a day's figure beside one of each interval",
    "value and 1": "numbers and comparisons are mixed",
    "(value > 1) + 1 > 1": "numbers and comparisons are mixed",
    "not value": "numbers and comparisons are mixed",
    "value > 1" + " or value > 1" * 80: "at most 500",
    "1" + "+1" * 100 + " > value": "parts, at most 120",
    "-" * 30 + "value > 1": "nested more than 24 deep",
    "\x00": "not an expression",
}


@pytest.mark.parametrize("text", WRONG)
def test_nothing_else_is_let_through(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^formula") as caught:
        parse(text)
    assert WRONG[text] in str(caught.value)


def test_a_refusal_names_the_column() -> None:
    with pytest.raises(ConfigError, match="formula column 15: no statistic"):
        parse("value > 1 and vlaue > 2")


@pytest.mark.parametrize("depth", [10, 400, 10_000])
def test_no_depth_of_brackets_does_harm(depth: int) -> None:
    text = "(" * depth + "value" + ")" * depth + " > 1"
    if depth == 10:
        assert parse(text).names == ("value",)
    else:
        with pytest.raises(ConfigError):
            parse(text)
