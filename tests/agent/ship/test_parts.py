"""A body that is too long becomes several batches, and nothing is lost between them."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ship.parts import fitting
from shared import intervals, registers, strictjson
from shared.batch import Body, Event
from shared.errors import Malformed
from shared.intervals import Block, Intervals
from shared.registers import Mark, Register
from tests.fakes import reads


def _size(body: Body) -> int:
    if isinstance(body, Intervals):
        return len(strictjson.dumps(intervals.encode(body)))
    return len(repr(body))


def _several(meters: int, levels: list[int | None]) -> Intervals:
    parts = [reads(0, levels, meter=f"m{at}") for at in range(meters)]
    return dataclasses.replace(parts[0], blocks=tuple(part.blocks[0] for part in parts))


def test_what_fits_is_left_alone() -> None:
    body = _several(3, [1, 2, 3])
    assert list(fitting(body, _size, 10_000)) == [body]
    assert list(fitting(None, lambda _: 0, 10)) == [None]


def test_meters_are_parted_before_time() -> None:
    parts = list(fitting(_several(4, [1, 2, 3]), _size, 800))
    assert [[block.meter for block in part.blocks] for part in parts if isinstance(part, Intervals)] == [
        ["m0", "m1"], ["m2", "m3"],
    ]  # fmt: skip


def test_events_are_parted() -> None:
    events = tuple(Event("m", f"e{at}", 1, 1, 1, {}) for at in range(9))
    parts = list(fitting(events, _size, 300))
    assert len(parts) > 1
    assert tuple(one for part in parts if isinstance(part, tuple) for one in part) == events


def test_what_cannot_be_parted_is_refused() -> None:
    with pytest.raises(Malformed, match="cannot be cut"):
        list(fitting((Event("m", "e", 1, 1, 1, {"text": "x" * 500}),), _size, 300))


@given(
    st.integers(1, 4),
    st.lists(st.one_of(st.none(), st.integers(0, 10**9)), min_size=3, max_size=20),
    st.integers(450, 3000),
)
def test_the_parts_say_the_same_as_the_whole(meters: int, steps: list[int | None], most: int) -> None:
    level, levels = 0, list[int | None]()
    for step in steps:
        level += step or 0
        levels.append(None if step is None else level)
    body = _several(meters, levels)
    parts = [part for part in fitting(body, _size, max(most, _size(_several(1, levels[:2])) + 80)) if part is not None]
    found: dict[tuple[str, int], int | None] = {}
    for part in parts:
        assert isinstance(part, Intervals)
        assert intervals.disagreements(part) == []
        assert intervals.decode(strictjson.loads(strictjson.dumps(intervals.encode(part)))) == part
        for block in part.blocks:
            for register in block.registers.values():
                found |= {(block.meter, part.start + 300 * at): one for at, one in enumerate(register.values)}
    whole = {
        (block.meter, 300 * at): one
        for block in body.blocks
        for register in block.registers.values()
        for at, one in enumerate(register.values)
    }
    assert found == whole


def test_a_rollover_between_the_two_reads_of_a_boundary_survives_the_cut() -> None:
    boundaries = (0, 300_000_000, 600_000_000)
    at = ((10,), (299_000_000, 301_000_000), (600_000_010,))
    flags = (0, int(Mark.ROLLOVER), 0)
    bare = Register("int", ((90,), (98, 2), (20,)), Fraction(1), 100, 1, flags, ())
    values = tuple(registers.values(bare, at, boundaries))
    assert values == (10, 20)  # 90 -> 100 -> 120
    block = Block(
        "m", None, "none", "poll", at, {"energy_active_import": dataclasses.replace(bare, values=values)}, {}, (1, 1)
    )
    parts = list(fitting(Intervals(300, 0, 2, "default", boundaries, (block,)), _size, 380))
    assert len(parts) == 2
    assert all(isinstance(part, Intervals) and intervals.disagreements(part) == [] for part in parts)
