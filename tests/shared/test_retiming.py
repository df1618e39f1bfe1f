"""What a later anchor makes of what a wrong clock sealed."""

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.batch import ClockState
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register
from shared.retiming import US, Anchor, anchor, levels, off, shift

LENGTH = 300
T0 = 1_772_460_000


def body(start: int, boot: int, n: int = 3) -> Intervals:
    return Intervals(LENGTH, start, n, "default", tuple(boot + at * LENGTH * US for at in range(n + 1)), ())


def register(*raws: int | None, flags: tuple[int, ...] | None = None) -> Register:
    raw = tuple(None if one is None else (one,) for one in raws)
    return Register("int", raw, Fraction(1000), None, 1000, flags or (0,) * len(raw))


def block(boot: int, n: int) -> Block:
    return Block("m", None, "none", "poll", tuple((boot + at * LENGTH * US + 50_000,) for at in range(n + 1)), {}, {},
                 (0,) * n)  # fmt: skip


def test_only_a_synchronised_clock_gives_an_anchor() -> None:
    assert anchor(ClockState("U", "none", ((5, 7, None),))) is None
    assert anchor(ClockState("S", "kernel", ((1, 2, None), (5, 7, 900)))) == Anchor(5, 7, 900)


@pytest.mark.parametrize("hours", [-24, -1, 1, 24, 24 * 365 * 4])
def test_a_clock_that_was_hours_off_moves_labels_and_nothing_else(hours: int) -> None:
    by = Anchor(0, T0 * US, 1000)
    assert shift(body(T0 + hours * 3600, 0), by) == -hours * 3600


def test_labels_that_are_right_stay() -> None:
    by = Anchor(0, T0 * US + 400_000, 1000)
    assert off(body(T0, 0), by) is None
    assert shift(body(T0, 0), by) == 0


def test_a_clock_that_was_off_the_grid_gives_levels_between_the_reads() -> None:
    """Booted at 1970 and 100 s after a boundary: the true boundaries lie 200 s after the sealed ones."""
    by = Anchor(0, (T0 + 100) * US, 1000)
    sealed = body(0, 0, 2)
    assert shift(sealed, by) is None
    found = list(levels(register(100, 400, 700), block(0, 2).at, body(0, 0, 2), by))
    # reads at 0.05, 300.05, 600.05 s; boundaries at 200 and 500 s: 100 + 300 x 199.95/300
    assert [(one.time, one.level) for one in found] == [(T0 + 300, 299_950), (T0 + 600, 599_950)]
    assert [(one.low, one.high) for one in found] == [(100_000, 401_000), (400_000, 701_000)]


def test_no_level_is_made_across_a_seam() -> None:
    by = Anchor(0, (T0 + 100) * US, 1000)
    found = list(levels(register(100, 7, 307, flags=(0, int(Mark.SEAM), 0)), block(0, 2).at, body(0, 0, 2), by))
    assert [(one.time, one.seam) for one in found] == [(T0 + 600, True)]


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=20), st.integers(-(10**6), 10**6), st.integers(0, 299))
def test_levels_rise_stay_inside_their_bounds_and_telescope(steps: list[int], away: int, phase: int) -> None:
    raws, total, n = [], 0, len(steps) - 1
    for one in steps:
        total += one
        raws.append(total)
    by = Anchor(0, (T0 + away * 7 + phase) * US, 0)
    found = list(levels(register(*raws), block(0, n).at, body(0, 0, n), by))
    assert all(one.low <= one.level <= one.high for one in found)
    assert [one.level for one in found] == sorted(one.level for one in found)
    assert {after.time - before.time for before, after in pairwise(found)} <= {300}
    assert n - 1 <= len(found) <= n + 1
