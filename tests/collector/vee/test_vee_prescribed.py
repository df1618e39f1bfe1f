"""The methods of the rule books, each against days whose levels can be averaged by hand."""

import numpy as np
import pytest

from collector.vee import Series, estimate
from collector.vee.series import NotEstimable
from shared.status import Status

MONDAY = 1767571200  # 2026-01-05T00:00Z
HOURS = 24


def days(levels: list[int], **more: object) -> Series:
    """Return hourly days of constant level from the Monday on."""
    values = np.repeat(levels, HOURS).astype(np.int64)
    fields: dict[str, object] = {"kind": "load", "timezone": "UTC"} | more
    status = np.full(len(values), Status.VALID, np.uint8)
    return Series(start=MONDAY, length=3600, values=values, status=status, **fields)  # type: ignore[arg-type] # per test


def level(series: Series, day: int, method: str) -> set[int]:
    return set(estimate(series, day * HOURS, day * HOURS + HOURS, method=method).values.tolist())


RISING = [1000 + 10 * day for day in range(50)]
MON = 28  # a Monday with four weeks before it and three behind


def test_eei_draws_a_line_to_two_hours_and_takes_like_days_beyond() -> None:
    """Example E5: eight quarters are a line, nine are not (here two hours and three)."""
    series = days(RISING)
    assert estimate(series, MON * 24, MON * 24 + 2, method="eei").inputs["ends"] == {"left": 1270, "right": 1280}
    assert "days" in estimate(series, MON * 24, MON * 24 + 3, method="eei").inputs


def test_eei_takes_like_days_where_an_end_cannot_be_used() -> None:
    """Example E6: the left neighbour of a short gap carries a power outage."""
    outage = np.zeros(50 * HOURS, np.bool_)
    outage[MON * HOURS - 1] = True
    assert "days" in estimate(days(RISING, outage=outage), MON * HOURS, MON * HOURS + 1, method="eei").inputs


def test_ieso_draws_a_line_to_one_hour_and_takes_the_extreme_beyond() -> None:
    """Example E13 and its branch at one hour."""
    series = days([*[1000] * 7, *[410] * 7, *[395] * 7, *[402] * 7, *[500] * 7])
    assert level(series, 28, "ieso") == {410}
    assert level(
        days([*[1000] * 7, *[410] * 7, *[395] * 7, *[402] * 7, *[500] * 7], kind="generation"), 28, "ieso"
    ) == {395}
    assert "ends" in estimate(series, 28 * HOURS + 4, 28 * HOURS + 5, method="ieso").inputs


def test_elexon_averages_the_weekday_within_a_month_on_both_sides() -> None:
    same = [RISING[day] for day in (0, 7, 14, 21, 35, 42, 49)]
    assert level(days(RISING), MON, "elexon") == {round(sum(same) / len(same))}


def test_the_german_way_averages_the_seven_days_before() -> None:
    assert level(days(RISING), MON, "de_7day") == {sum(RISING[21:28]) // 7}


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("aemo_14", RISING[21]),
        ("aemo_15", round(sum(RISING[day] for day in (0, 7, 14, 21, 35, 42, 49)) / 7)),
        ("aemo_19", 0),
        ("aemo_20", RISING[21]),
        ("aemo_22", sum(RISING[day] for day in (0, 7, 14, 21)) // 4),
        ("aemo_25", round(sum(RISING[0:28]) / 28)),
    ],
)
def test_aemo_types_are_what_they_say(method: str, expected: int) -> None:
    assert level(days(RISING), MON, method) == {expected}


def test_aemo_23_is_the_year_before() -> None:
    year = [1000 + day for day in range(380)]
    assert level(days(year), 370, "aemo_23") == {1000 + 370 - 364}
    with pytest.raises(NotEstimable, match="year before"):
        level(days(year), 300, "aemo_23")


def test_aemo_24_is_scaled_to_the_register() -> None:
    levels = [1000] * 50
    registers = np.concatenate([[0], np.repeat([*levels[:MON], 1200, *levels[MON + 1 :]], HOURS).cumsum()])
    known = np.ones(len(registers), np.bool_)
    known[MON * HOURS + 1 : MON * HOURS + HOURS] = False
    assert level(days(levels, registers=registers, registers_known=known), MON, "aemo_24") == {1200}
    with pytest.raises(NotEstimable, match="does not apply"):
        level(days(levels), MON, "aemo_24")


def test_the_prescribed_energy_stands_beside_every_other_method() -> None:
    made = estimate(days(RISING), MON * HOURS, MON * HOURS + HOURS)
    like_days = sum(RISING[day] for day in (25, 24, 23)) * HOURS // 3
    assert made.inputs["prescribed"] == {"method": "eei", "energy": like_days}
