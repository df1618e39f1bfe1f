"""DESIGN.md section 9, number 11: what estimating costs."""

import time

import numpy as np
import pytest

from collector.vee import Series, estimate
from shared.status import Status
from tests.bench.pairs import reached, show

pytestmark = pytest.mark.bench
SLOTS, LENGTH = 2880, 900
START = 1_772_409_600  # 2026-03-02T00:00:00Z
GAPS = 250
RATED = 5_000_000_000  # [mW]


def _series(number: int, *, neighbours: int = 0) -> Series:
    """Return thirty days of a load with a daily shape, 0.5 % of gaps and, in each tenth, a day without values."""
    chance = np.random.default_rng(number)
    phase = np.arange(SLOTS) * 2 * np.pi / 96
    values = (10**9 * (1 + 0.3 * np.sin(phase + number)) + chance.normal(0, 2e7, SLOTS)).astype(np.int64)
    lacking = chance.random(SLOTS) < 0.005
    if number % 10 == 0:
        lacking[960:1056] = True
    registers = np.concatenate([[0], values.cumsum()])
    known = np.ones(SLOTS + 1, np.bool_)
    known[1:][lacking] = False
    beside = {f"n{k}": values + chance.integers(-(10**7), 10**7, SLOTS) for k in range(neighbours)}
    return Series(
        start=START, length=LENGTH, values=np.where(lacking, 0, values),
        status=np.where(lacking, Status.MISSING, Status.RAW).astype(np.uint8), timezone="America/Chicago", kind="load",
        rated_power=RATED, registers=registers, registers_known=known, step=1000, neighbours=beside,
        neighbours_known={name: np.ones(SLOTS, np.bool_) for name in beside},
    )  # fmt: skip


@pytest.mark.parametrize(("neighbours", "goal"), [(0, 2.0), (3, 30.0)])
def test_estimates_are_quick(neighbours: int, goal: float) -> None:
    """Measure estimates of gaps of 1 to 48 intervals, methods chosen by back-test on 30 days."""
    made = [_series(number + 1, neighbours=neighbours) for number in range(10)]
    chance = np.random.default_rng(11)
    firsts, lengths = chance.integers(700, 2000, GAPS), chance.choice([1, 2, 4, 8, 16, 48], GAPS)
    begin = time.process_time()
    for at, (first, length) in enumerate(zip(firsts.tolist(), lengths.tolist(), strict=True)):
        estimate(made[at % 10], first, first + length)
    seconds = (time.process_time() - begin) * 1000 / GAPS
    show(f"11 estimation with {neighbours} neighbours", [
        ("1,000 gaps", f"{seconds:.2f} s CPU; {reached(seconds, goal)}"),
    ])  # fmt: skip
