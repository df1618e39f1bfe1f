"""The published test scenarios of Energinet DataHub, through our functions (samples/energinet/ORIGIN.md).

Quantities of the files are kWh with three decimals: counts of 10^-3 kWh here.
"""

import ast
import csv
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from collector.settle import carry_round, determinants, evaluate
from collector.settle.determine.profile import Profile
from collector.settle.evaluation import Term
from collector.vee import Series, validate
from collector.vee.localtime import EPOCH, layout, midnight
from shared.formula import parse
from shared.status import Status

ZONE = "Europe/Copenhagen"
QUALITY = {"measured": Status.VALID, "estimated": Status.ESTIMATED, "missing": Status.MISSING}
NAMES = {"VALID": "measured", "MISSING": "missing"}
Rows = list[dict[str, str]]


def rows(path: Path) -> Rows:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file, delimiter=";"))


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def stamp(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def arguments(path: Path) -> dict[str, str]:
    lines = [line.partition(":") for line in path.read_text(encoding="utf-8").splitlines() if ":" in line]
    return {key.strip(): value.strip().strip('"') for key, _, value in lines}


# --- minimal_energy: one hour, five series -----------------------------------------------------------------------


@pytest.fixture
def energy(handbook: Path) -> Path:
    return handbook / "samples/energinet/minimal_energy/given_minimal_standard_energy_scenario"


START = seconds("2023-07-02T02:00:00Z")
TYPES = {"production": "E18", "exchange": "E20", "flex": "E17", "non_profiled": "E17"}


def terms_of(folder: Path) -> tuple[dict[str, dict[str, str]], dict[str, list[int | None]], set[str]]:
    """Return the points in grid area 800, their quarters (an hourly value stands in each), and which are hourly."""
    losses = {row["metering_point_id"] for row in rows(folder / "when/grid_loss_metering_points.csv")}
    points = {row["metering_point_id"]: row for row in rows(folder / "when/metering_point_periods.csv")}
    points = {name: row for name, row in points.items() if name not in losses and belongs(row)}
    hourly = {name for name, row in points.items() if row["resolution"] == "PT1H"}
    quarters: dict[str, list[int | None]] = {name: [None] * 4 for name in points}
    for row in rows(folder / "when/time_series_points.csv"):
        name = row["metering_point_id"]
        if name in points and row["quantity"]:
            at = (seconds(row["observation_time"]) - START) // 900
            for quarter in range(at, at + (4 if name in hourly else 1)):
                quarters[name][quarter] = int(Fraction(row["quantity"]) * 1000)
    return points, quarters, hourly


def belongs(row: dict[str, str]) -> bool:
    if row["type"] == "E20":
        return "800" in (row["from_grid_area_code"], row["to_grid_area_code"])
    return row["type"] in ("E17", "E18") and row["grid_area_code"] == "800"


def group(folder: Path, signs: dict[str, int]) -> tuple[list[int | None], list[set[str]]]:
    """Return one group's carried quarters and quality sets: Energinet counts a missing quantity as 0, marked missing.

    The market's own rule is made here, before `evaluate`, which would leave such a quarter null.
    """
    _, quarters, hourly = terms_of(folder)
    factors = {name: "0.25" if name in hourly else "1" for name in signs}
    formula = parse(" ".join(f"{'+' if sign > 0 else '-'} {factors[name]} * p{name}" for name, sign in signs.items()))
    as_zero = {f"p{name}": term([value or 0 for value in quarters[name]]) for name in signs}
    marked = evaluate(formula, {f"p{name}": term(quarters[name]) for name in signs})
    sets = [{NAMES[quality] for quality in marked.qualities(at)} for at in range(4)]
    return carry_round(evaluate(formula, as_zero).exact()), sets


def term(values: list[int | None] | list[int]) -> Term:
    status = [Status.MISSING if value is None else Status.VALID for value in values]
    return Term(
        values=np.array([value or 0 for value in values], dtype=np.int64), status=np.array(status, dtype=np.uint8)
    )


def published(folder: Path, name: str, neighbour: str = "") -> tuple[list[int], list[set[str]]]:
    found = [
        row for row in rows(folder / f"then/energy_results/{name}.csv") if row["neighbor_grid_area_code"] == neighbour
    ]
    found.sort(key=lambda row: row["time"])
    quantities = [int(Fraction(row["quantity"]) * 1000) for row in found]
    return quantities, [set(ast.literal_eval(row["quantity_qualities"])) for row in found]


def members(folder: Path, kind: str) -> dict[str, int]:
    points, _, _ = terms_of(folder)
    methods = {"flex": "D01", "non_profiled": "E02", "production": ""}
    return {
        name: 1
        for name, row in points.items()
        if row["type"] == TYPES[kind] and row["settlement_method"] == methods[kind]
    }


def neighbour_of(row: dict[str, str]) -> tuple[str, int]:
    imported = row["to_grid_area_code"] == "800"
    return (row["from_grid_area_code"], 1) if imported else (row["to_grid_area_code"], -1)


def exchange(folder: Path) -> dict[str, tuple[list[int | None], list[set[str]]]]:
    points, _, _ = terms_of(folder)
    groups: dict[str, dict[str, int]] = {}
    for name, row in points.items():
        if row["type"] == "E20":
            area, sign = neighbour_of(row)
            groups.setdefault(area, {})[name] = sign
    return {area: group(folder, signs) for area, signs in sorted(groups.items())}


@pytest.mark.parametrize(
    ("kind", "file"),
    [
        ("production", "temporary_production"),
        ("flex", "temporary_flex_consumption"),
        ("non_profiled", "non_profiled_consumption"),
    ],
)
def test_a_series_comes_out_as_published(energy: Path, kind: str, file: str) -> None:
    assert group(energy, members(energy, kind)) == published(energy, file)


def test_exchange_with_each_neighbour_and_in_all_comes_out_as_published(energy: Path) -> None:
    by_neighbour = exchange(energy)
    for area, made in by_neighbour.items():
        assert made == published(energy, "exchange_per_neighbor", area)
    assert sorted(by_neighbour) == ["801", "802", "803", "804"]
    terms = {f"n{area}": term(made[0]) for area, made in by_neighbour.items()}
    total = evaluate(parse(" + ".join(terms)), terms)
    assert [total.value(at) for at in range(4)] == published(energy, "exchange")[0]
    sets = [set().union(*(made[1][at] for made in by_neighbour.values())) for at in range(4)]
    assert sets == published(energy, "exchange")[1]


def test_loss_and_what_follows_from_it_come_out_as_published(energy: Path) -> None:
    terms = {kind: term(group(energy, members(energy, kind))[0]) for kind in ("production", "flex", "non_profiled")}
    terms |= {f"n{area}": term(made[0]) for area, made in exchange(energy).items()}
    swaps = " + ".join(name for name in terms if name.startswith("n8"))
    loss = evaluate(parse(f"production + {swaps} - flex - non_profiled"), terms)
    quarters = [loss.value(at) or 0 for at in range(4)]
    assert quarters == published(energy, "grid_loss")[0]
    positive, negative = [max(one, 0) for one in quarters], [max(-one, 0) for one in quarters]
    assert positive == published(energy, "positive_grid_loss")[0]
    assert negative == published(energy, "negative_grid_loss")[0]
    terms |= {"positive": term(positive), "negative": term(negative)}
    for text, file in (
        ("production + negative", "production"),
        ("flex + positive", "flex_consumption"),
        ("flex + positive + non_profiled", "total_consumption"),
    ):
        made = evaluate(parse(text), terms)
        assert [made.value(at) for at in range(4)] == published(energy, file)[0]


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


@pytest.mark.parametrize(
    "name", ["change_to_wintertime", "given_a_smoke_test_scenario_with_decimal", "quarterly_measurement"]
)
def test_the_ten_largest_hours_are_as_published(handbook: Path, name: str) -> None:
    folder = handbook / "samples/energinet/capacity_settlement" / name
    asked = arguments(folder / "when/scenario_parameters.yml")
    month, year = int(asked["calculation_month"]), int(asked["calculation_year"])
    after = date(year + month // 12, month % 12 + 1, 1)
    first, stop = midnight_of(after.replace(year=after.year - 1)), midnight_of(after)
    made = determinants(profile(rows(folder / "when/measurements_gold/current_v1.csv"), first, stop), ["top_hours:10"])
    ten = carry_round([made["top_hours:10"].exact])[0]
    wanted = rows(folder / "then/measurements.csv")
    days = [date(year, month, 1) + timedelta(days=n) for n in range((after - date(year, month, 1)).days)]
    assert [row["date"] for row in wanted] == [stamp(midnight_of(day)) for day in days]
    assert {int(Fraction(row["quantity"]) * 1000) for row in wanted} == {ten}


def midnight_of(day: date) -> int:
    return midnight(ZONE, day.toordinal() - EPOCH)


def profile(measured: Rows, first: int, stop: int) -> Profile:
    values = np.zeros((stop - first) // 900, dtype=np.int64)
    status = np.full(len(values), Status.MISSING, dtype=np.uint8)
    for row in measured:
        at = (seconds(row["observation_time"]) - first) // 900
        if 0 <= at < len(values):
            values[at], status[at] = int(Fraction(row["quantity"]) * 1000), QUALITY[row["quality"]]
    return Profile(start=first, length=900, values=values, status=status, timezone=ZONE)
