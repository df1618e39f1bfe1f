"""The whole of `estimate`: choice, totals, ranges, and what is never read."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.vee import Estimate, Series, estimate
from collector.vee.registry import ESTIMATORS
from collector.vee.series import NotEstimable
from shared.status import Status

MONDAY = 1767571200  # 2026-01-05T00:00Z
QUARTERS = 96


def building(count: int = 35, *, kind: str = "load", seed: int = 7, **more: object) -> Series:
    """Return days of a load with a working-day pattern and a little noise, in quarter-hours."""
    slots = np.arange(count * QUARTERS)
    busy = (slots % QUARTERS >= 32) & (slots % QUARTERS < 72) & (slots // QUARTERS % 7 < 5)
    noise = np.random.default_rng(seed).normal(0, 2_000, len(slots))
    values = np.rint(100_000 + 200_000 * busy + noise).astype(np.int64)
    status = np.ones(len(slots), dtype=np.uint8)
    fields: dict[str, object] = {"timezone": "UTC"} | more
    return Series(start=MONDAY, length=900, values=values, status=status, kind=kind, **fields)  # type: ignore[arg-type] # per test


def short(values: list[int | None], **more: object) -> Series:
    status = [Status.MISSING if value is None else Status.VALID for value in values]
    return Series(
        start=MONDAY,
        length=900,
        values=np.array([value or 0 for value in values], dtype=np.int64),
        status=np.array(status, dtype=np.uint8),
        timezone="UTC",
        kind="load",
        **more,  # type: ignore[arg-type] # optional fields of each test
    )


def plain(made: Estimate) -> tuple[object, ...]:
    return made.values.tolist(), made.method, made.low, made.high, made.inputs, made.back_test


def with_registers(series: Series, known: list[int]) -> Series:
    mask = np.zeros(series.size + 1, dtype=bool)
    mask[known] = True
    boundary = np.concatenate([[5], 5 + series.values.cumsum()])
    return replace(series, registers=boundary, registers_known=mask)


def test_up_to_two_hours_a_line_is_the_first_choice() -> None:
    """Example E5: 8 quarter-hours are 2 h, 9 are more."""
    series = building(3)
    assert estimate(series, 130, 138).method == "linear"
    assert estimate(series, 130, 139).method != "linear"


def test_beside_an_outage_a_like_day_is_taken() -> None:
    """Example E6."""
    outage = np.zeros(3 * QUARTERS, dtype=bool)
    outage[129] = True
    assert estimate(building(3, outage=outage), 130, 133).method == "sym_bridge"


def test_a_method_that_clearly_wins_the_back_test_is_taken() -> None:
    """Each day the load jumps at 08:00; a line across the jump is wrong by up to 200 kW, the like days are not."""
    series = building()
    made = estimate(series, 15 * QUARTERS + 29, 15 * QUARTERS + 35)
    assert made.method == "sym_bridge"
    errors = made.inputs["back_test_errors"]
    assert isinstance(errors, dict)
    assert float(errors["sym_bridge"]) < 0.5 * float(errors["linear"])
    assert made.back_test == pytest.approx(float(errors["sym_bridge"]), rel=1e-3)


def test_a_load_that_wanders_keeps_the_line() -> None:
    series = building()
    series.values[:] = 10**6 + np.random.default_rng(1).integers(-500, 501, series.size).cumsum()
    assert estimate(series, 1500, 1504).method == "linear"


def test_a_check_meter_comes_first() -> None:
    series = building()
    made = estimate(building(check=series.values // 2), 1300, 1304)
    assert made.method == "check"
    assert np.abs(made.values - series.values[1300:1304]).max() <= 2


def test_the_method_asked_for_is_the_one_used() -> None:
    for method in ("linear", "like_day_avg", "like_day", "sym_bridge", "conservative"):
        assert estimate(building(), 1500, 1540, method=method).method == method


def test_an_unknown_method_is_refused_with_those_known() -> None:
    with pytest.raises(ValueError, match="no method 'guess'; known: aemo_11, aemo_12, "):
        estimate(building(3), 5, 6, method="guess")


@pytest.mark.parametrize(("first", "stop"), [(-1, 2), (5, 5), (6, 5), (280, 300)])
def test_a_span_outside_the_series_is_refused(first: int, stop: int) -> None:
    with pytest.raises(ValueError, match="first, stop"):
        estimate(building(3), first, stop)


def test_known_registers_at_both_ends_make_the_energy_exact() -> None:
    series = building()
    first, stop = 1500, 1540
    made = estimate(with_registers(series, [first, stop]), first, stop)
    true = int(series.values[first:stop].sum())
    assert int(made.values.sum()) == true
    assert (made.low, made.high) == (true, true)
    assert made.inputs["total"] == true
    assert made.inputs["registers"] == [[0, 40, true]]


def test_a_register_known_inside_the_gap_binds_both_parts() -> None:
    series = building()
    made = estimate(with_registers(series, [1500, 1510, 1540]), 1500, 1540)
    assert int(made.values[:10].sum()) == int(series.values[1500:1510].sum())
    assert int(made.values[10:].sum()) == int(series.values[1510:1540].sum())


def test_with_a_total_and_nothing_else_energy_is_spread_evenly() -> None:
    made = estimate(short([None, None, None]), 0, 3, total=100)
    assert made.values.tolist() == [33, 34, 33]
    assert (made.method, made.low, made.high, made.back_test) == ("linear", 100, 100, None)


def test_one_usable_side_gives_a_flat_line_for_two_hours_at_most() -> None:
    made = estimate(short([7, None, None]), 1, 3)
    assert made.values.tolist() == [7, 7]
    assert made.inputs == {"ends": {"left": 7, "right": None}, "form": "flat"}
    with pytest.raises(NotEstimable, match="stays missing"):
        estimate(short([7, *[None] * 9]), 1, 10)


def test_with_nothing_known_the_gap_stays_missing() -> None:
    with pytest.raises(NotEstimable, match=r"slots \[0, 2\)"):
        estimate(short([None, None]), 0, 2)


def test_a_total_below_zero_is_refused_on_a_load() -> None:
    with pytest.raises(ValueError, match="cannot be negative"):
        estimate(short([1, None, 1]), 1, 2, total=-1)


def test_a_load_is_never_estimated_below_zero() -> None:
    series = building(seed=3)
    series.values[:] = np.maximum(series.values - 101_000, 0)
    assert estimate(series, 1500, 1596).values.min() >= 0


def test_the_range_holds_the_true_energy_of_nine_gaps_in_ten() -> None:
    """At least 88 % (accuracy.md, goal 5), over 160 gaps of four channels; twelve such channels gave 91.7 % of 480."""
    held = [within(building(seed=seed), first, first + 20) for seed in range(4) for first in range(1300, 2100, 20)]
    assert sum(held) >= 0.88 * len(held)


def within(series: Series, first: int, stop: int) -> bool:
    made = estimate(series, first, stop)
    assert made.low is not None
    assert made.high is not None
    return made.low <= int(series.values[first:stop].sum()) <= made.high


def test_inputs_are_json_without_floats() -> None:
    series = building()
    for first, stop, total in ((1500, 1504, None), (1500, 1600, 20_000_000)):
        text = json.dumps(estimate(series, first, stop, total=total).inputs)
        json.loads(text, parse_float=lambda number: pytest.fail(f"a float: {number}"))


def test_the_same_input_gives_the_same_output() -> None:
    assert plain(estimate(building(), 1500, 1600)) == plain(estimate(building(), 1500, 1600))


def test_history_beyond_ten_weeks_plays_no_part() -> None:
    long, other = building(90), building(90)
    other.values[: 10 * QUARTERS] = 7
    assert plain(estimate(long, 85 * QUARTERS, 86 * QUARTERS)) == plain(estimate(other, 85 * QUARTERS, 86 * QUARTERS))


METHODS = st.sampled_from([None, *(name for name in ESTIMATORS.names() if name != "aemo_24")])


@settings(max_examples=60, deadline=None)
@given(st.integers(100, 2900), st.integers(1, 300), st.integers(0, 10**12), METHODS)
def test_an_estimate_adds_up_to_its_total_exactly(first: int, length: int, total: int, method: str | None) -> None:
    try:
        made = estimate(building(), first, first + length, total=total, method=method)
    except NotEstimable:
        assert method is not None
        return
    assert sum(made.values.tolist()) == total
    assert made.values.min() >= 0


@settings(max_examples=60, deadline=None)
@given(
    st.integers(100, 2900),
    st.integers(1, 300),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(list(Status)),
    METHODS,
)
def test_slots_in_the_gap_are_never_read(
    first: int, length: int, rubbish: int, status: Status, method: str | None
) -> None:
    clean, spoilt = building(), building()
    spoilt.values[first : first + length] = rubbish
    spoilt.status[first : first + length] = status
    outcomes = []
    for series in (clean, spoilt):
        try:
            outcomes.append(plain(estimate(series, first, first + length, method=method)))
        except NotEstimable as error:
            outcomes.append((str(error),))
    assert outcomes[0] == outcomes[1]
