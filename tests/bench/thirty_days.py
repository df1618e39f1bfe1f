"""Thirty days of a load at 15 minutes, as several benchmarks use it."""

import numpy as np

from collector.vee import Series
from shared.status import Status

SLOTS, LENGTH = 2880, 900  # [1, s]
START = 1_772_409_600  # 2026-03-02T00:00:00Z
RATED = 5_000_000_000  # [mW]


def load(number: int, *, neighbours: int = 0, faults: bool = False) -> Series:
    """Return a load with a daily shape, 0.5 % of gaps and, in each tenth, a day without values; the same for a number.

    Args:
        number: Seed, and phase of the shape.
        neighbours: How many others run like it.
        faults: Put a spike, a run of zeros and a value that its register does not bear out into each twentieth.
    """
    chance = np.random.default_rng(number)
    phase = np.arange(SLOTS) * 2 * np.pi / 96
    values = (10**9 * (1 + 0.3 * np.sin(phase + number)) + chance.normal(0, 2e7, SLOTS)).astype(np.int64)
    lacking = chance.random(SLOTS) < 0.005
    if number % 10 == 0:
        lacking[960:1056] = True
    registers = np.concatenate([[0], values.cumsum()])
    known = np.ones(SLOTS + 1, np.bool_)
    known[1:][lacking] = False
    if faults and number % 20 == 0:
        values[100], values[200:220], values[300] = 10 * values[100], 0, values[300] + 10**7
    beside = {f"n{k}": values + chance.integers(-(10**7), 10**7, SLOTS) for k in range(neighbours)}
    return Series(
        start=START, length=LENGTH, values=np.where(lacking, 0, values),
        status=np.where(lacking, Status.MISSING, Status.RAW).astype(np.uint8), timezone="America/Chicago", kind="load",
        rated_power=RATED, registers=registers, registers_known=known, step=1000, neighbours=beside,
        neighbours_known={name: np.ones(SLOTS, np.bool_) for name in beside},
    )  # fmt: skip
