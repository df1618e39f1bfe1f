"""The published test scenarios of Energinet DataHub, through our functions.

Those of the handbook (samples/energinet/ORIGIN.md) and the rest that could be had (tests/cases/energinet/ORIGIN.md).
"""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from collector.settle import carry_round, determinants
from collector.settle.determine.profile import Profile
from collector.vee import Series, validate
from collector.vee.localtime import EPOCH, layout, midnight
from shared.status import Status
from tests.collector.settle.energinet import QUALITY, ZONE, Calculation, Rows, arguments, counts, rows, seconds, stamp

CASES = Path(__file__).resolve().parents[2] / "cases/energinet"
QUARTER = 900


def case(handbook: Path, kind: str, sample: str, name: str) -> Path:
    """Return a scenario's folder: ours, or the handbook's."""
    ours = CASES / kind / name
    return ours if ours.exists() else handbook / "samples/energinet" / sample / name


# --- energy_calculation: an area's series, and what is lost in it -----------------------------------------------


@pytest.mark.parametrize(
    ("name", "series"),
    [
        ("given_minimal_standard_energy_scenario", 17),
        ("given_calculation_period_before_quarterly_resolution_transition_datetime", 10),
        ("given_exchange_between_two_other_ga", 4),
        ("given_exchange_to_and_from_is_same_ga", 3),
        ("given_mp_starts_or_stops", 1),
        ("given_only_exchange_mp_in_ga", 2),
        ("given_only_nonprofiled_in_ga", 5),
        ("given_only_production_in_ga", 3),
        ("given_period_is_two_days_with_settlement_change", 1),
    ],
)
def test_every_series_of_an_area_comes_out_as_published(handbook: Path, name: str, series: int) -> None:
    calculation = Calculation(case(handbook, "energy_calculation", "minimal_energy", name))
    assert len(calculation.published) == series
    for file, wanted in calculation.published.items():
        assert {key: calculation.series(file, key) for key in wanted} == wanted, file
        if file == "exchange_per_neighbor":
            assert {neighbour for neighbour, _, _ in wanted} == calculation.neighbours()


# --- missing_measurements: which local days lack an interval -----------------------------------------------------


@pytest.mark.parametrize(
    "name", ["wip_mm_log_simplest", "wip_mm_log_summertime_and_period_edge", "wip_mm_log_wintertime_and_period_edge"]
)
def test_the_days_that_lack_an_interval_are_as_published(handbook: Path, name: str) -> None:
    folder = handbook / "samples/energinet/missing_measurements" / name
    asked = arguments(folder / "when/scenario_parameters.yml")
    first, stop = seconds(asked["period_start_datetime"]), seconds(asked["period_end_datetime"])
    areas = asked.get("grid_area_codes", "")
    measured = rows(folder / "when/measurements_gold/current_v1.csv")
    found = set()
    for point in rows(folder / "when/electricity_market__missing_measurements_log/metering_point_periods_v1.csv"):
        if not areas or f'"{point["grid_area_code"]}"' in areas:
            mine = [row for row in measured if row["metering_point_id"] == point["metering_point_id"]]
            length = {"PT1H": 3600, "PT15M": 900}[point["resolution"]]
            found |= {(point["metering_point_id"], day) for day in lacking_days(mine, first, stop, length)}
    wanted = rows(folder / "then/missing_measurements_log.csv")
    assert found == {(row["metering_point_id"], row["date"]) for row in wanted}


def lacking_days(measured: Rows, first: int, stop: int, length: int) -> set[str]:
    """Return the starts of the local days that rule C1 finds a gap in."""
    n = (stop - first) // length
    status = np.full(n, Status.MISSING, dtype=np.uint8)
    for row in measured:
        at = (seconds(row["observation_time"]) - first) // length
        if 0 <= at < n:
            status[at] = QUALITY[row["quality"]]
    series = Series(
        start=first, length=length, values=np.zeros(n, dtype=np.int64), status=status, timezone=ZONE, kind="load"
    )
    where = layout(ZONE, first, length, n)
    days = {int(where.day[slot]) for gap in validate(series, ["C1"]) for slot in range(gap.first, gap.stop)}
    return {stamp(midnight(ZONE, int(where.ordinal[day]))) for day in days}


# --- capacity_settlement: mean of the ten largest hours of twelve local months -----------------------------------

#: The stored copies lack the points of these two; "Relocation march 15th." stands in their files.
RELOCATED = dict.fromkeys(("relocation_calculation_period", "relocation_selection_period"), "2026-03-14T23:00:00Z")
PARENT, CHILD = "170000000000000201", "900000000000000001"


@pytest.mark.parametrize(
    "name",
    [
        "Include_unchanges_calculated_measurements",
        "change_to_summertime",
        "change_to_wintertime",
        "child_creation_in_calculation_period",
        "from _and_to_date_child_metering_point",
        "given_a_smoke_test_scenario",
        "given_a_smoke_test_scenario_with_decimal",
        "given_a_smoke_test_scenario_with_more_mp",
        "leap_year_calculation_period",
        "leap_year_selection_period",
        "quarterly_measurement",
        "relocation_calculation_period",
        "relocation_selection_period",
    ],
)
def test_the_ten_largest_hours_are_as_published(handbook: Path, name: str) -> None:
    folder = case(handbook, "capacity_settlement", "capacity_settlement", name)
    wanted = rows(folder / "then/measurements.csv")
    measured = rows(folder / "when/measurements_gold/current_v1.csv")
    year, month = calculated(folder, wanted)
    after = date(year + month // 12, month % 12 + 1, 1)
    ends = after.replace(year=after.year - 1), date(year, month, 1), after
    first, begin, stop = (midnight_of(day) for day in ends)
    made = dict[tuple[str, str], int]()
    for parent, child, since, until in lives(folder):
        mine = [row for row in measured if row["metering_point_id"] == parent]
        for start, end in moves(name, first, stop):
            days = [at for at in midnights(max(begin, start), end) if since <= at < (until or stop)]
            ten = largest(mine, start, end) if days else 0
            made |= {(child, stamp(day)): ten for day in days}
    assert made == {(row["metering_point_id"], row["date"]): counts(row["quantity"]) for row in wanted}


def calculated(folder: Path, wanted: Rows) -> tuple[int, int]:
    """Return year and month; where the stored copy lacks them, those of the expected days."""
    begin = date.fromisoformat(wanted[0]["date"][:10]) + timedelta(days=1)
    given = folder / "when/scenario_parameters.yml"
    if not given.exists():
        return begin.year, begin.month
    asked = arguments(given)
    return int(asked["calculation_year"]), int(asked["calculation_month"])


def lives(folder: Path) -> Iterator[tuple[str, str, int, int | None]]:
    """Give parent, child and the child's time; where the stored copy lacks the points, one of each, all the time."""
    given = folder / "when/electricity_market__capacity_settlement/metering_point_periods_v1.csv"
    if not given.exists():
        yield PARENT, CHILD, 0, None
        return
    for row in rows(given):
        until = seconds(row["child_period_to_date"]) if row["child_period_to_date"] else None
        since = seconds(row["child_period_from_date"])
        yield row["metering_point_id"], row["child_metering_point_id"], since, until


def moves(name: str, first: int, stop: int) -> list[tuple[int, int]]:
    """Return the parts of the twelve months, one for each who lived there: the hours of one are not the other's."""
    moved = seconds(RELOCATED[name]) if name in RELOCATED else first
    return [(start, end) for start, end in ((first, moved), (moved, stop)) if start < end]


def midnights(start: int, stop: int) -> list[int]:
    days = range((stop - start) // 86_400 + 2)
    local = date.fromordinal(EPOCH + int(layout(ZONE, start, QUARTER, 1).ordinal[0]))
    return [at for day in days if start <= (at := midnight_of(local + timedelta(days=day))) < stop]


def midnight_of(day: date) -> int:
    return midnight(ZONE, day.toordinal() - EPOCH)


def largest(measured: Rows, first: int, stop: int) -> int:
    """Return the mean of the ten largest hours, rounded as published. [10^-3 kWh]"""
    made = determinants(profile(measured, first, stop), ["top_hours:10"])
    return carry_round([made["top_hours:10"].exact])[0] or 0


def profile(measured: Rows, first: int, stop: int) -> Profile:
    values = np.zeros((stop - first) // QUARTER, dtype=np.int64)
    status = np.full(len(values), Status.MISSING, dtype=np.uint8)
    for row in measured:
        at = (seconds(row["observation_time"]) - first) // QUARTER
        if 0 <= at < len(values) and row["quantity"]:
            values[at], status[at] = counts(row["quantity"]), QUALITY[row["quality"]]
    return Profile(start=first, length=QUARTER, values=values, status=status, timezone=ZONE)
