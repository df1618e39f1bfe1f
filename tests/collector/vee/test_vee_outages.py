"""When voltages say that the power was away."""

import pytest

from collector.vee.inputs import Column
from collector.vee.outages import outages
from tests.collector.vee.made import numbers

V = 230_000


def lost(*phases: Column) -> list[bool] | None:
    found = outages(phases)
    return None if found is None else found.tolist()


@pytest.mark.parametrize(("low", "out"), [(22_999, True), (23_000, False)])
def test_an_outage_is_less_than_a_tenth_of_the_usual_voltage(low: int, out: bool) -> None:  # noqa: FBT001 - a row
    assert lost(numbers(V, low, V)) == [False, out, False]


def test_all_phases_must_be_without_voltage() -> None:
    assert lost(numbers(V, 0, V, 0), numbers(V, V, 0, 0), numbers(V, 0, 0, 0)) == [False, False, False, True]


def test_what_is_not_known_is_no_outage() -> None:
    assert lost(numbers(V, 0, V), numbers(V, None, V)) == [False, False, False]


def test_a_phase_that_is_not_wired_says_nothing() -> None:
    assert lost(numbers(V, 0, V), numbers(0, 0, 0)) == [False, True, False]


def test_without_any_voltage_nothing_is_said() -> None:
    assert lost() is None
    assert lost(numbers(0, 0)) is None
    assert lost(numbers(None, None)) is None
