"""DESIGN.md section 9, number 11: what estimating costs."""

import time

import numpy as np
import pytest

from collector.vee import estimate
from tests.bench.pairs import reached, show
from tests.bench.thirty_days import load

pytestmark = pytest.mark.bench
GAPS = 250


@pytest.mark.parametrize(("neighbours", "goal"), [(0, 2.0), (3, 30.0)])
def test_estimates_are_quick(neighbours: int, goal: float) -> None:
    """Measure estimates of gaps of 1 to 48 intervals, methods chosen by back-test on 30 days."""
    made = [load(number + 1, neighbours=neighbours) for number in range(10)]
    chance = np.random.default_rng(11)
    firsts, lengths = chance.integers(700, 2000, GAPS), chance.choice([1, 2, 4, 8, 16, 48], GAPS)
    begin = time.process_time()
    for at, (first, length) in enumerate(zip(firsts.tolist(), lengths.tolist(), strict=True)):
        estimate(made[at % 10], first, first + length)
    seconds = (time.process_time() - begin) * 1000 / GAPS
    show(f"11 estimation with {neighbours} neighbours", [
        ("1,000 gaps", f"{seconds:.2f} s CPU; {reached(seconds, goal)}"),
    ])  # fmt: skip
