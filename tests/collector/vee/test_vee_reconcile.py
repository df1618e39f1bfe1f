from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.vee import Series
from collector.vee.reconcile import Part, constraint, fill, spread
from collector.vee.series import NotEstimable

floats = st.floats(-1e15, 1e15)
shapes = st.lists(floats, min_size=1, max_size=60).map(lambda row: np.array(row, dtype=np.float64))


def made(values: list[int], registers: dict[int, int], *, kind: str = "load") -> Series:
    n = len(values)
    known = np.zeros(n + 1, dtype=bool)
    known[list(registers)] = True
    boundary = np.zeros(n + 1, dtype=np.int64)
    boundary[list(registers)] = list(registers.values())
    return Series(
        start=0,
        length=900,
        values=np.array(values, dtype=np.int64),
        status=np.ones(n, dtype=np.uint8),
        timezone="UTC",
        kind=kind,
        registers=boundary,
        registers_known=known,
    )


@given(shapes, st.integers(0, 2**62))
def test_a_load_adds_up_exactly_and_never_falls_below_zero(shape: np.ndarray, total: int) -> None:
    parts = spread(shape, total, one_way=True)
    assert sum(parts) == total
    assert min(parts) >= 0


@given(shapes, st.integers(-(2**62), 2**62))
def test_a_net_flow_adds_up_exactly(shape: np.ndarray, total: int) -> None:
    assert sum(spread(shape, total, one_way=False)) == total


def test_a_shape_is_scaled_to_the_register() -> None:
    """Example E9."""
    assert spread(np.array([42e3, 57e3, 52e3]), 139_800, one_way=True) == [38_885, 52_772, 48_143]


def test_within_a_third_and_three_a_shape_is_scaled_beyond_shifted() -> None:
    shape = np.array([1000.0, 3000.0])
    assert spread(shape, 12_000, one_way=True) == [3000, 9000]
    assert spread(shape, 12_002, one_way=True) == [5001, 7001]
    assert spread(shape, 2000, one_way=True) == [500, 1500]
    assert spread(shape, 1000, one_way=True) == [0, 1000]  # shifted by -1500, the first held at zero


def test_without_any_shape_energy_is_spread_evenly() -> None:
    assert spread(np.zeros(3), 10, one_way=True) == [3, 4, 3]


def test_a_negative_net_flow_keeps_its_shape() -> None:
    assert spread(np.array([-1.0, -3.0]), -8, one_way=False) == [-2, -6]
    assert spread(np.array([-1.0, 3.0]), 12, one_way=False) == [4, 8]


def test_registers_inside_the_gap_bind_each_part() -> None:
    known = constraint(made([0] * 6, {1: 100, 3: 130, 5: 200}), 1, 5, None)
    assert known.parts == (Part(0, 2, 30), Part(2, 4, 70))
    assert fill(np.ones(4), known, one_way=True).tolist() == [15, 15, 35, 35]


def test_parts_without_a_register_share_what_the_total_leaves() -> None:
    known = constraint(made([0] * 6, {2: 100, 4: 130}), 1, 5, 50)
    assert known.parts == (Part(0, 1, None), Part(1, 3, 30), Part(3, 4, None))
    assert (known.rest, known.total) == (20, 50)
    assert fill(np.ones(4), known, one_way=True).tolist() == [10, 15, 15, 10]


def test_registers_further_out_bind_the_gap_less_what_was_measured() -> None:
    """Example E9: register 1000.0, measured 860.2 around the gap."""
    series = made([400_000, 0, 0, 0, 460_200], {0: 0, 5: 1_000_000})
    assert constraint(series, 1, 4, None).total == 139_800


def test_an_unmeasured_interval_between_leaves_the_energy_unknown() -> None:
    series = made([400_000, 0, 0, 0, 460_200], {0: 0, 5: 1_000_000})
    series.status[4] = 5  # ESTIMATED
    assert constraint(series, 1, 4, None).total is None


def test_a_register_known_at_one_side_only_says_nothing() -> None:
    assert constraint(made([1, 0, 0], {0: 0, 1: 1}), 1, 3, None).total is None


def test_a_register_that_falls_is_not_believed() -> None:
    series = made([0, 0], {0: 100, 2: 5})
    assert constraint(series, 0, 2, None).total is None
    assert constraint(series, 0, 2, 7).total == 7
    assert constraint(made([0, 0], {0: 100, 2: 5}, kind="net"), 0, 2, None).total == -95


def test_a_total_that_contradicts_the_registers_is_refused() -> None:
    with pytest.raises(ValueError, match="registers advance by 30"):
        constraint(made([0, 0], {0: 100, 2: 130}), 0, 2, 31)
    with pytest.raises(ValueError, match="cannot be negative"):
        constraint(made([0, 0], {0: 100}), 0, 2, -1)


def test_energy_beyond_64_bits_is_not_estimable() -> None:
    series = made([0, 0, 0], {0: 0, 3: 0}, kind="net")
    with pytest.raises(NotEstimable, match="beyond 64 bits"):
        fill(np.ones(3), constraint(replace(series, registers=None, registers_known=None), 0, 3, 2**66), one_way=False)
