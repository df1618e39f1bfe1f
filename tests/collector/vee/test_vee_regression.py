"""Methods that learn from the channel's own history and from other meters, against truths that are known."""

from dataclasses import replace

import numpy as np
import pytest

from collector.vee import Series, estimate
from collector.vee.series import Bools, Ints, NotEstimable
from shared.status import Status

MONDAY = 1767571200  # 2026-01-05T00:00Z
DAYS, HOURS = 56, 24
GAP = slice(40 * HOURS, 41 * HOURS)  # a Saturday
CHANCE = np.random.default_rng(7)


def hourly(values: Ints, *, kind: str = "load", beside: dict[str, Ints] | None = None) -> Series:
    """Return hourly values from the Monday on; the gap holds a number that no method may read."""
    others = beside or {}
    spoilt = values.copy()
    spoilt[GAP] = 10**12
    return Series(
        start=MONDAY, length=3600, values=spoilt, status=np.full(len(values), Status.VALID, np.uint8), timezone="UTC",
        kind=kind, neighbours=others, neighbours_known={name: np.ones(len(values), np.bool_) for name in others},
    )  # fmt: skip


def pattern(swing: float = 0.3) -> np.ndarray:
    """Return a daily shape around a level of a million, with quiet weekends."""
    hour = np.arange(DAYS * HOURS)
    weekend = np.where(hour // HOURS % 7 >= 5, 0.7, 1.0)
    return 1e6 * weekend * (1 + swing * np.sin(hour % HOURS * np.pi / 12))


def error(series: Series, truth: Ints, method: str) -> float:
    made = estimate(series, GAP.start, GAP.stop, method=method)
    return float(np.abs(made.values - truth[GAP]).sum() / truth[GAP].sum())


def test_a_neighbour_that_saw_the_same_weather_tells_the_day() -> None:
    weather = np.repeat(CHANCE.normal(0, 1, DAYS), HOURS)
    truth = (pattern() + 2e5 * weather).astype(np.int64)
    neighbour = (5e5 + 3e5 * weather + CHANCE.normal(0, 1e4, len(truth))).astype(np.int64)
    alone, both = hourly(truth), hourly(truth, beside={"hall2": neighbour})
    assert error(both, truth, "ridge") < error(alone, truth, "sym_bridge") / 3
    made = estimate(both, GAP.start, GAP.stop)
    assert (made.method, made.inputs["neighbours"]) == ("ridge", ["hall2"])


def test_a_neighbour_that_says_nothing_does_no_harm() -> None:
    truth = (pattern() + CHANCE.normal(0, 2e4, DAYS * HOURS)).astype(np.int64)
    noise = {f"n{at}": CHANCE.integers(0, 10**6, len(truth)) for at in range(5)}
    assert error(hourly(truth, beside=noise), truth, "ridge") < 1.1 * error(hourly(truth), truth, "ridge") + 0.002


def test_a_neighbour_that_lacks_the_gap_is_not_asked() -> None:
    truth = pattern().astype(np.int64)
    series = hourly(truth, beside={"hall2": truth})
    known: Bools = np.ones(len(truth), np.bool_)
    known[GAP] = False
    made = estimate(replace(series, neighbours_known={"hall2": known}), GAP.start, GAP.stop, method="ridge")
    assert made.inputs["neighbours"] == []


@pytest.mark.parametrize("length", [1, 2, 4])
def test_between_the_ends_of_a_straight_line_lies_the_line(length: int) -> None:
    truth = (1000 * np.arange(1, DAYS * HOURS + 1)).astype(np.int64)
    series = hourly(truth)
    made = estimate(series, GAP.start - 100, GAP.start - 100 + length, method="ridge")
    assert np.abs(made.values - truth[GAP.start - 100 :][:length]).max() <= 1


def test_a_plant_that_starts_as_it_always_does_is_recognised() -> None:
    """A batch of six hours begins at any hour of any day; between two edges that look alike lies the same."""
    truth = np.full(DAYS * HOURS, 100_000, np.int64)
    starts = [day * HOURS + 8 for day in range(DAYS) if day % 3 == 0]
    for first in starts:
        truth[first : first + 6] = [300_000, 900_000, 900_000, 900_000, 900_000, 400_000]
    series = hourly(truth)
    first = 39 * HOURS + 9
    found = {method: estimate(series, first, first + 4, method=method).values for method in ("knn", "sym_bridge")}
    off = {method: int(np.abs(values - truth[first : first + 4]).sum()) for method, values in found.items()}
    assert off["knn"] * 5 < off["sym_bridge"]


def node() -> tuple[Ints, dict[str, Ints]]:
    """Return a grid feed and the meters that close its node, each with a gain error of class 0.5."""
    load = (pattern() * 3 + CHANCE.normal(0, 1e5, DAYS * HOURS)).astype(np.int64)
    solar = (1.2e6 * np.clip(np.sin((np.arange(DAYS * HOURS) % HOURS - 6) * np.pi / 12), 0, 1)).astype(np.int64)
    grid = load - solar
    noise = 1 + CHANCE.normal(0, 0.002, (2, len(load)))
    return grid, {
        "load": (load * 1.004 * noise[0]).astype(np.int64),
        "solar": (solar * 0.996 * noise[1]).astype(np.int64),
    }


def test_a_node_that_closes_tells_its_missing_feed() -> None:
    grid, others = node()
    series = hourly(grid, kind="net", beside=others)
    made = estimate(series, GAP.start, GAP.stop)
    assert made.method == "balance"
    assert float(np.abs(made.values - grid[GAP]).sum()) <= 0.005 * np.abs(grid[GAP]).sum()
    assert abs(int(made.values.sum()) - int(grid[GAP].sum())) <= 0.002 * np.abs(grid[GAP]).sum()
    assert made.low is not None
    assert made.high is not None
    assert made.low <= grid[GAP].sum() <= made.high


def test_a_node_with_a_feed_that_nobody_meters_is_no_balance() -> None:
    grid, others = node()
    with pytest.raises(NotEstimable, match="do not close a node"):
        estimate(hourly(grid, kind="net", beside={"load": others["load"]}), GAP.start, GAP.stop, method="balance")


@pytest.mark.parametrize("method", ["ridge", "knn", "balance"])
@pytest.mark.parametrize("slots", [(GAP.start, GAP.stop), (GAP.start, GAP.start + 2), (GAP.start, GAP.start + 168)])
def test_what_stands_in_the_gap_is_never_read(method: str, slots: tuple[int, int]) -> None:
    grid, others = node()
    made = []
    for lie in (0, 10**15):
        values = grid.copy()
        values[slots[0] : slots[1]] = lie
        made.append(estimate(hourly_as(values, others), *slots, method=method))
    assert made[0].values.tolist() == made[1].values.tolist()
    assert (made[0].low, made[0].high, made[0].inputs) == (made[1].low, made[1].high, made[1].inputs)


def hourly_as(values: Ints, beside: dict[str, Ints]) -> Series:
    return replace(hourly(values, kind="net", beside=beside), values=values)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("method", ["ridge", "knn", "balance", "sym_bridge", None])
def test_a_series_with_hardly_any_history_is_filled_or_refused(size: int, method: str | None) -> None:
    values = np.full(size, 1000, np.int64)
    series = Series(
        start=MONDAY, length=3600, values=values, status=np.full(size, Status.VALID, np.uint8), timezone="UTC",
        kind="load", neighbours={"n": values}, neighbours_known={"n": np.ones(size, np.bool_)},
    )  # fmt: skip
    try:
        made = estimate(series, size // 2, size // 2 + 1, method=method)
    except NotEstimable:
        return
    assert made.values.tolist() == [1000]
