"""Each method alone, against figures that can be worked out by hand."""

from collections.abc import Mapping
from datetime import date

import numpy as np
import pytest

from collector.vee import Series, estimate
from collector.vee.estimators.sym_bridge import bridge
from collector.vee.series import NotEstimable
from shared.status import Status

MONDAY = 1767571200  # 2026-01-05T00:00Z, a Monday
HOURS = 24


def days(levels: Mapping[int, int | None], count: int, *, kind: str = "load", **more: object) -> Series:
    """Return hourly days of constant level from the Monday on; None: the day is missing; others have level 1000."""
    values = np.repeat([levels.get(day, 1000) or 0 for day in range(count)], HOURS).astype(np.int64)
    lacking = np.repeat([levels.get(day, 1000) is None for day in range(count)], HOURS)
    status = np.where(lacking, Status.MISSING, Status.VALID).astype(np.uint8)
    fields: dict[str, object] = {"timezone": "UTC", "start": MONDAY} | more
    return Series(length=3600, values=values, status=status, kind=kind, **fields)  # type: ignore[arg-type] # per test


def day_of(series: Series, day: int, method: str) -> tuple[set[int], object]:
    made = estimate(series, day * HOURS, day * HOURS + HOURS, method=method)
    return set(made.values.tolist()), made.inputs["days"]


def quarters(values: list[int | None], **more: object) -> Series:
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


def test_a_line_leads_from_end_to_end() -> None:
    """Example E4."""
    made = estimate(quarters([10, None, None, None, None, 20]), 1, 5, method="linear")
    assert made.values.tolist() == [12, 14, 16, 18]
    assert made.method == "linear"
    assert made.inputs["ends"] == {"left": 10, "right": 20}


def test_one_interval_is_the_mean_of_its_neighbours() -> None:
    """Example E7, in thousandths."""
    assert estimate(quarters([7500, None, 9500]), 1, 2, method="linear").values.tolist() == [8500]


@pytest.mark.parametrize("status", [Status.SUSPECT, Status.ESTIMATED, Status.MISSING, Status.SUBSTITUTED])
def test_only_measured_values_are_ends(status: Status) -> None:
    series = quarters([10, None, 20])
    series.status[2] = status
    with pytest.raises(NotEstimable, match="right end"):
        estimate(series, 1, 2, method="linear")


def test_a_power_outage_is_no_end() -> None:
    """Example E6."""
    series = quarters([10, None, None, None, 20], outage=np.array([True, False, False, False, False]))
    with pytest.raises(NotEstimable, match="left end"):
        estimate(series, 1, 4, method="linear")


def test_three_like_days_are_averaged_slot_by_slot() -> None:
    """Example E8: (40, 44, 42) (60, 54, 57) (50, 50, 56) give 42, 57, 52; days 1, 2, 3 before day 4, a Friday."""
    series = days({}, 6)
    for day, row in enumerate([(40, 60, 50), (44, 54, 50), (42, 57, 56)], start=1):
        series.values[day * HOURS : day * HOURS + 3] = row
    made = estimate(series, 4 * HOURS, 4 * HOURS + 3, method="like_day_avg")
    assert made.values.tolist() == [42, 57, 52]
    assert made.inputs["days"] == {"2026-01-09": ["2026-01-08", "2026-01-07", "2026-01-06"]}


def test_weekdays_saturdays_and_sundays_do_not_stand_for_each_other() -> None:
    """Day 12 is the second Saturday, day 14 the third Monday."""
    series = days({5: 200, 6: 100, 12: 200, 13: 100}, 16)
    assert day_of(series, 12, "like_day_avg") == ({200}, {"2026-01-17": ["2026-01-10"]})
    assert day_of(series, 14, "like_day_avg")[1] == {"2026-01-19": ["2026-01-16", "2026-01-15", "2026-01-14"]}


@pytest.mark.parametrize("spoilt", [Status.MISSING, Status.ESTIMATED, Status.SUSPECT])
def test_a_spoilt_day_is_no_reference(spoilt: Status) -> None:
    series = days({3: 9000}, 5)
    series.status[3 * HOURS + 20] = spoilt
    assert day_of(series, 4, "like_day_avg")[0] == {1000}


def test_a_day_with_an_outage_is_no_reference() -> None:
    """Example E42."""
    outage = np.zeros(5 * HOURS, dtype=bool)
    outage[3 * HOURS + 20] = True
    assert day_of(days({3: 9000}, 5, outage=outage), 4, "like_day_avg")[0] == {1000}


def test_reference_days_lie_at_most_35_days_back() -> None:
    """Saturdays on days 5, 12, ... 47; only day 12, 35 days before day 47, and day 5 are known."""
    gone = dict.fromkeys(range(13, 47))
    assert day_of(days({**gone, 5: 7000, 12: 3000}, 48), 47, "like_day_avg")[0] == {3000}
    with pytest.raises(NotEstimable, match="no whole like day"):
        day_of(days({**gone, 12: None, 5: 7000}, 48), 47, "like_day_avg")


def test_a_holiday_takes_holidays_first_then_sundays() -> None:
    """Example E11: the Thursday 2026-02-12 (day 38); holidays on days 31 and 2; Sundays on days 34, 27 and before."""
    feasts = {date(2026, 2, 12), date(2026, 2, 5), date(2026, 1, 7)}
    series = days({2: 300, 31: 600, 34: 900, 27: 1}, 40, holidays=feasts)
    assert day_of(series, 38, "like_day_avg") == ({600}, {"2026-02-12": ["2026-02-05", "2026-01-07", "2026-02-08"]})


def test_a_holiday_never_stands_for_a_working_day() -> None:
    series = days({3: 100}, 5, holidays={date(2026, 1, 8)})
    assert day_of(series, 4, "like_day_avg")[0] == {1000}


def test_the_prescribed_order_of_a_tuesday() -> None:
    """Example E12: Tuesday is day 8; last week's Tuesday is spoilt, its Wednesday is whole."""
    assert day_of(days({1: None, 2: 500}, 12), 8, "like_day")[0] == {500}
    assert day_of(days({1: None, 2: None, 3: None, 9: 700}, 12), 8, "like_day")[0] == {700}
    assert day_of(days({1: 400}, 12), 8, "like_day")[0] == {400}


@pytest.mark.parametrize(
    ("target", "order"),
    [(7, [0]), (9, [2, 8, 3, 1, 10]), (10, [3, 9, 8, 2, 1]), (11, [4]), (12, [5]), (13, [6])],
)
def test_the_prescribed_order_of_every_weekday(target: int, order: list[int]) -> None:
    gone: dict[int, int | None] = {}
    for day in order:
        assert day_of(days({**gone, day: 77}, 12 + 3), target, "like_day")[0] == {77}
        gone[day] = None
    with pytest.raises(NotEstimable, match="prescribed order"):
        day_of(days(gone, 12 + 3), target, "like_day")


def test_a_holiday_takes_the_most_recent_sunday() -> None:
    series = days({6: 111, 13: 222}, 18, holidays={date(2026, 1, 21)})
    assert day_of(series, 16, "like_day")[0] == {222}


@pytest.mark.parametrize(("kind", "expected"), [("load", 410), ("generation", 395)])
def test_the_benefit_of_the_doubt_goes_to_the_market(kind: str, expected: int) -> None:
    """Example E13: 410, 395, 402 at the same slot of the last three weeks; a gap of two hours on day 22."""
    made = estimate(days({1: 410, 8: 395, 15: 402}, 24, kind=kind), 22 * HOURS, 22 * HOURS + 2, method="conservative")
    assert made.values.tolist() == [expected, expected]


def test_a_net_flow_has_no_conservative_side() -> None:
    with pytest.raises(NotEstimable, match="does not apply"):
        day_of(days({}, 24, kind="net"), 22, "conservative")


def test_days_of_both_sides_are_taken_in_turn() -> None:
    """Day 14 is a Monday; the like days around it are 11, 10 (Friday, Thursday) and 15, 16."""
    series = days({10: 400, 11: 800, 15: 1200, 16: 1600, 13: 0, 14: 0}, 20)
    made = estimate(series, 14 * HOURS, 15 * HOURS, method="sym_bridge")
    assert made.inputs["days"] == {"2026-01-19": ["2026-01-16", "2026-01-20", "2026-01-15", "2026-01-21"]}


def test_at_the_end_of_history_the_days_before_do() -> None:
    made = estimate(days({}, 10), 9 * HOURS, 10 * HOURS, method="sym_bridge")
    assert made.values.tolist() == [1000] * HOURS
    assert made.inputs["days"] == {"2026-01-14": ["2026-01-13", "2026-01-12", "2026-01-09", "2026-01-08"]}


def test_a_perfect_pattern_is_restored_exactly() -> None:
    series = days({}, 28)
    series.values[:] = 1000 + 10 * (np.arange(28 * HOURS) % HOURS)
    made = estimate(series, 340, 350, method="sym_bridge")
    assert made.values.tolist() == series.values[340:350].tolist()


def test_a_bridge_meets_both_ends() -> None:
    """With a memory of nearly one it is the line between them; with none it is nothing."""
    left, right = np.array([10.0]), np.array([40.0])
    assert bridge(left, right, 2, 0.99999).round(2).tolist() == [[20.0, 30.0]]
    assert bridge(left, right, 2, 0.0).tolist() == [[0.0, 0.0]]
    assert bridge(left, np.array([np.nan]), 2, 0.5).tolist() == [[5.0, 2.5]]
    assert bridge(np.array([np.nan]), np.array([np.nan]), 2, 0.5).tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("method", ["like_day_avg", "sym_bridge", "like_day"])
def test_days_are_matched_by_the_wall_clock(method: str) -> None:
    """Chicago, clock change on Sunday 2026-03-08: on the Tuesday after, the load starts at 08:00 local as before."""
    start = 1771912800  # 2026-02-24T06:00Z, Tuesday 00:00 in Chicago
    n = 21 * HOURS - 1
    series = days({}, 21, timezone="America/Chicago", start=start)
    clock = (np.arange(n) + (np.arange(n) >= 12 * HOURS + 2)) % HOURS
    values = np.where((clock >= 8) & (clock < 18), 900, 100)
    cut = Series(
        start=start,
        length=3600,
        values=values,
        status=series.status[:n],
        timezone="America/Chicago",
        kind="load",
    )
    tuesday = 14 * HOURS - 1
    made = estimate(cut, tuesday, tuesday + HOURS, method=method)
    assert made.values.tolist() == [100] * 8 + [900] * 10 + [100] * 6


def test_an_hour_that_no_reference_day_has_lies_on_the_line_around_it() -> None:
    """Berlin's spring Sunday (day 3, no 02:00) is the only reference of the next Sunday's gap from 01:00 to 04:00."""
    start = 1774479600  # 2026-03-25T23:00Z: Thursday 2026-03-26 local
    n = 12 * HOURS - 1
    values = np.full(n, 500, dtype=np.int64)
    sunday = 3 * HOURS
    values[sunday + 1 : sunday + 3] = [400, 600]  # 01:00 and 03:00
    series = Series(
        start=start,
        length=3600,
        values=values,
        status=np.ones(n, dtype=np.uint8),
        timezone="Europe/Berlin",
        kind="load",
    )
    at = 10 * HOURS - 1 + 1  # the Sunday after, 01:00
    assert estimate(series, at, at + 3, method="like_day_avg").values.tolist() == [400, 500, 600]


def test_a_check_meter_is_calibrated_on_the_overlap() -> None:
    series = days({}, 4)
    twice = Series(
        start=series.start,
        length=3600,
        values=series.values,
        status=series.status,
        timezone="UTC",
        kind="load",
        check=np.where(np.arange(96) < 50, 500, 600).astype(np.int64),
    )
    made = estimate(twice, 60, 62, method="check")
    slope = (50 * 1000 * 500 + 44 * 1000 * 600) / (50 * 500**2 + 44 * 600**2)
    assert made.values.tolist() == [round(600 * slope)] * 2
    assert made.inputs["overlap"] == 94


def test_a_check_meter_with_a_gap_cannot_stand_in() -> None:
    known = np.ones(96, dtype=bool)
    known[61] = False
    series = days({}, 4, check=np.full(96, 500), check_known=known)
    with pytest.raises(NotEstimable, match="check meter is not known"):
        estimate(series, 60, 62, method="check")
    with pytest.raises(NotEstimable, match="does not apply"):
        estimate(days({}, 4), 60, 62, method="check")
