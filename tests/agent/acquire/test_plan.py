"""Blocks: complete, allowed, cheapest."""

from fractions import Fraction
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.plan import Block, plan, split
from agent.acquire.points import Part, Point
from agent.acquire.profile import find_profile
from shared.errors import ConfigError


def point(address: int, count: int = 2, function: int = 3, *, register: bool = True, name: str = "") -> Point:
    kind = "register" if register else "instantaneous"
    part = Part(address, count, function, "uint32")
    return Point(name or f"q{function}-{address}", kind, (part,), "int", Fraction(1))  # type: ignore[arg-type] # literals


def brought(blocks: tuple[Block, ...]) -> list[str]:
    return sorted(one.quantity for block in blocks for one in block.points)


def test_neighbours_share_a_request_and_far_points_do_not() -> None:
    blocks = plan([point(0), point(10), point(500)])
    assert [(b.address, b.count) for b in blocks] == [(0, 12), (500, 2)]


def test_functions_are_never_mixed() -> None:
    blocks = plan([point(0, function=3), point(2, function=4)])
    assert {(b.function, b.address) for b in blocks} == {(3, 0), (4, 2)}


def test_a_gap_is_read_over_only_where_that_is_cheaper() -> None:
    near = plan([point(0), point(50)], round_trip_cost=50, per_register_cost=1)
    far = plan([point(0), point(53)], round_trip_cost=50, per_register_cost=1)
    assert len(near) == 1
    assert len(far) == 2


def test_a_forbidden_range_is_never_crossed() -> None:
    blocks = plan([point(0), point(10)], forbidden=[(5, 6)])
    assert [(b.address, b.count) for b in blocks] == [(0, 2), (10, 2)]


def test_blocks_with_registers_come_first() -> None:
    blocks = plan([point(0, register=False), point(1000)])
    assert [(b.index, b.address, b.has_register) for b in blocks] == [(0, 1000, True), (1, 0, False)]


def test_parts_of_a_sum_are_in_one_block() -> None:
    for block in plan(find_profile("siemens-pac3200").points):
        for one in block.points:
            assert all(block.address <= p.address and p.end <= block.address + block.count for p in one.parts)


def test_parts_that_do_not_fit_in_one_block_are_refused() -> None:
    apart = Point("x", "register", (Part(0, 2, 3, "uint32"), Part(200, 2, 3, "uint32")), "int", (Fraction(1),) * 2)
    with pytest.raises(ConfigError, match="cannot be summed"):
        plan([apart])
    with pytest.raises(ConfigError, match="forbids"):
        plan([point(10)], forbidden=[(11, 12)])


def test_sixty_scattered_registers_take_the_optimum_number_of_requests() -> None:
    """Every 20th register of 1200: 7 fit in one block of 125 (6 x 20 + 1 = 121), so 60 need 9."""
    assert len(plan([point(20 * n, count=1) for n in range(60)])) == 9


positions = st.sets(st.integers(0, 60), min_size=1, max_size=6)


@given(positions, st.integers(0, 30), st.integers(4, 40))
def test_no_partition_is_cheaper(starts: set[int], round_trip: int, most: int) -> None:
    """Held against every partition of the ordered points into runs."""
    points = [point(4 * start, count=2) for start in sorted(starts)]
    made = plan(points, max_registers=most, round_trip_cost=round_trip, per_register_cost=1)
    assert brought(made) == sorted(one.quantity for one in points)
    assert all(block.count <= most for block in made)
    best = min(
        sum(widths) + round_trip * len(widths)
        for cuts in range(len(points))
        for chosen in combinations(range(1, len(points)), cuts)
        if max(widths := _widths(points, chosen)) <= most
    )
    assert sum(block.count + round_trip for block in made) == best


def _widths(points: list[Point], cuts: tuple[int, ...]) -> list[int]:
    edges = [0, *cuts, len(points)]
    return [points[b - 1].parts[0].end - points[a].parts[0].address for a, b in pairwise(edges)]


def test_a_refused_block_is_split_at_its_widest_hole() -> None:
    (block,) = plan([point(0), point(2), point(40)])
    assert [(b.address, b.count) for b in split(block)] == [(0, 4), (40, 2)]


def test_splitting_ends_with_single_points_and_loses_none() -> None:
    open_blocks = list(plan([point(2 * n) for n in range(9)]))
    single: list[Block] = []
    while open_blocks:
        halves = split(open_blocks.pop())
        (single if len(halves) == 1 else open_blocks).extend(halves)
    assert len(single) == 9
    assert len(set(brought(tuple(single)))) == 9
