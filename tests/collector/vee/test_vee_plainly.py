"""Methods that look at all days at once, against the same done day by day in plain loops."""

from math import isnan

import numpy as np
import pytest

from collector.vee import Series, estimate
from collector.vee.estimators import knn, regression
from collector.vee.frame import Frame, Gaps, frame, window
from shared.status import Status

START = 1_772_409_600  # 2026-03-02T00:00Z; Chicago's clocks go on six days later
QUARTERS = 96


def series(seed: int, *, days: int = 30, holes: float = 0.02) -> Series:
    """Return quarter hours with a daily shape, some of them missing."""
    chance, n = np.random.default_rng(seed), days * QUARTERS
    shape = 10**6 * (2 + np.sin(np.arange(n) * 2 * np.pi / QUARTERS)) + chance.normal(0, 10**5, n)
    lacking = chance.random(n) < holes
    return Series(
        start=START, length=900, values=np.where(lacking, 0, shape).astype(np.int64), kind="load",
        status=np.where(lacking, Status.MISSING, Status.VALID).astype(np.uint8), timezone="America/Chicago",
    )  # fmt: skip


def at(y: list[float], slot: int) -> float:
    return y[slot] if 0 <= slot < len(y) else float("nan")


def plain_windows(seen: Frame, first: int, length: int) -> list[int]:
    """Return the windows most like the gap at their edges, found one by one."""
    y, n = seen.y.tolist(), len(seen.y)
    after = [int(slot) for slot in np.linspace(0, 15, 8)]
    sample = sorted({int(slot) for slot in np.linspace(0, length - 1, 8)})
    far = []
    for nearness, days in enumerate(sign * step for step in range(1, n // QUARTERS + 1) for sign in (-1, 1)):
        start = first + days * QUARTERS
        whole = 0 <= start <= n - length and not any(isnan(y[slot]) for slot in range(start, start + length))
        if not whole or (length > QUARTERS + 8 and days % 7) or abs(days) * QUARTERS < length:
            continue
        sides = [[abs(at(y, first + by) - at(y, start + by)) for by in side]
                 for side in ([-1 - by for by in after], [length + by for by in after])]  # fmt: skip
        told = [[one for one in side if not isnan(one)] for side in sides]
        if 2 * min(map(len, told)) < len(after):
            continue
        kinds = [[seen.daytype[seen.layout.day[begin + by]] for by in sample] for begin in (first, start)]
        other = sum(a != b for a, b in zip(*kinds, strict=True)) / len(sample)
        mean = sum(map(sum, told)) / sum(map(len, told))
        far.append((mean + knn.OTHER_DAY * seen.spread * other, nearness, start))
    return sorted(start for _, _, start in sorted(far)[: knn.WINDOWS])


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("length", [1, 5, 48, 97, 300])
def test_the_windows_are_those_that_looking_at_each_finds(seed: int, length: int) -> None:
    first = int(np.random.default_rng([seed, length]).integers(1, 30 * QUARTERS - length))
    around = series(seed)
    found = plain_windows(frame(around, first, first + length), first, length)
    view = frame(around, first, first + length)
    shapes = knn.knn(view, window(view, Gaps(np.array([first]), length)))
    assert shapes.inputs["windows"] == found
    assert bool(shapes.usable[0]) == (len(found) >= knn.LEAST)


def test_of_windows_that_are_as_like_the_nearest_in_time_serve() -> None:
    n = 30 * QUARTERS
    flat = Series(
        start=START, length=900, values=np.full(n, 1000), status=np.full(n, Status.VALID, np.uint8), timezone="UTC",
        kind="load",
    )  # fmt: skip
    noon = 17 * QUARTERS + 48  # a Thursday
    made = estimate(flat, noon, noon + 4, method="knn")
    assert made.inputs["windows"] == [noon + days * QUARTERS for days in (-3, -2, -1, 1, 2)]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("slots", [1, 4])
def test_weights_are_those_of_the_rows_of_all_days_but_the_gap_s(seed: int, slots: int) -> None:
    """Rows by rows, in normal equations written out; days without rows, unknown rows and unknown features included."""
    chance = np.random.default_rng(seed)
    days = np.sort(chance.integers(0, 9, 40))
    features = chance.normal(0, 1, (3, 40, slots))
    rest = 2 * features[0] - features[2] + chance.normal(0, 0.1, (40, slots))
    rest[chance.random((40, slots)) < 0.1] = np.nan
    features[chance.random((3, 40, slots)) < 0.1] = np.nan
    touched = np.eye(9, dtype=np.bool_)[:4]
    weights = regression.fit(rest, features, days, touched, (0.1,))
    for gap in range(4):
        power, shared = np.zeros((3, 3)), np.zeros(3)
        for row, slot in np.ndindex(40, slots):
            if days[row] == gap or isnan(rest[row, slot]):
                continue
            told = np.nan_to_num(features[:, row, slot])
            power += np.outer(told, told)
            shared += told * rest[row, slot]
        plain = np.linalg.solve(power + np.diag(np.maximum(0.1 * np.diag(power), 1e-9)), shared)
        assert np.allclose(weights[gap], plain, rtol=1e-9, atol=0)
