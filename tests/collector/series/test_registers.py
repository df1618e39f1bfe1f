from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.series.codec import RAW
from collector.series.raw import MOST, extended
from collector.series.registers import Registers, Segment, agree, choose, join, select
from shared.registers import Mark

HOUR = 3600


def segment(
    start: int, levels: Sequence[int | None], *, serial: str = "001", modulus: int | None = None, flags: int = 0,
    position: int = 5, at: int = 0,
) -> Segment:  # fmt: skip
    records = np.zeros(len(levels), RAW)
    records["known"] = [level is not None for level in levels]
    records["register"] = [level or 0 for level in levels]
    records["low"], records["high"] = records["register"], records["register"] + 1
    records["position"] = records["since"] = position
    records["flags"][at] = flags
    return Segment(start, HOUR, serial, "int", 1, modulus, records)


def joined(*segments: Segment, n: int = 8, as_of: int | None = None, one_way: bool = True) -> Registers:
    return join(segments, 0, n * HOUR, HOUR, as_of=as_of, one_way=one_way)


def numbers(found: Registers) -> list[int | None]:
    return [int(v) if known else None for v, known in zip(found.values, found.values_known, strict=True)]


def test_batches_that_share_a_boundary_are_one_run() -> None:
    found = joined(segment(0, [100, 110, 125]), segment(2 * HOUR, [125, 125, 160]), n=5)
    assert numbers(found) == [10, 15, 0, 35, None]
    assert found.registers[:5].tolist() == [100, 110, 125, 125, 160]
    assert found.run.tolist() == [0, 0, 0, 0, 0, -1]


def test_equal_reads_agree_modulo_the_modulus() -> None:
    first = segment(0, [99_990, 100_005], modulus=100_000)  # it rolled over in the batch: unrolled by the rule
    second = segment(HOUR, [5, 30], modulus=100_000)
    found = joined(first, second, n=2)
    assert numbers(found) == [15, 25]
    assert found.registers.tolist() == [99_990, 100_005, 100_030]
    assert found.run.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    "after",
    [segment(2 * HOUR, [126, 140]), segment(2 * HOUR, [125, 140], serial="002"), segment(3 * HOUR, [3, 4])],
)
def test_where_reads_do_not_agree_a_new_run_begins(after: Segment) -> None:
    found = joined(segment(0, [100, 110, 125]), after)
    assert found.run[0] == 0
    assert found.run[found.known][-1] == 1
    assert found.values[found.values_known].sum() == 25 + int(
        after.boundaries["register"][1] - after.boundaries["register"][0]
    )


def test_energy_across_a_hole_stays_known_where_the_register_went_on() -> None:
    found = joined(segment(0, [100, 110]), segment(4 * HOUR, [150, 155]), n=5)
    assert numbers(found) == [10, None, None, None, 5]
    assert found.run.tolist() == [0, 0, -1, -1, 0, 0]
    assert found.registers[4] - found.registers[1] == 40


def test_no_rollover_is_guessed_across_a_hole() -> None:
    found = joined(segment(0, [99_980, 99_990], modulus=100_000), segment(4 * HOUR, [10, 20], modulus=100_000), n=5)
    assert found.run.tolist() == [0, 0, -1, -1, 1, 1]


def test_a_read_beside_its_boundary_parts_energy_once_where_an_anchor_has_moved_it() -> None:
    """Two reads of one boundary, a second apart: the later batch's stands for it, and nothing is lost or told twice."""
    first = segment(0, [100, 110, 120], flags=Mark.RETIMED, at=2)
    for read, before in ((121, 11), (119, 9), (120, 10), (110, 0)):
        found = joined(first, segment(2 * HOUR, [read, 140]), n=3)
        assert numbers(found) == [10, before, 140 - read]
        assert found.run.tolist() == [0] * 4
    for parted in (joined(first, segment(2 * HOUR, [109, 140]), n=3),
                   joined(segment(0, [100, 110, 120]), segment(2 * HOUR, [121, 140]), n=3)):  # fmt: skip
        assert parted.run[-1] == 1
    assert numbers(joined(segment(0, [100, 110, 120]), segment(2 * HOUR, [121, 140]), n=3)) == [10, 10, 19]


def test_a_register_of_both_directions_may_fall() -> None:
    found = joined(segment(0, [100, 90]), segment(3 * HOUR, [50, 40]), n=4, one_way=False)
    assert found.run.tolist() == [0, 0, -1, 0, 0]


def test_no_value_crosses_a_seam() -> None:
    found = joined(segment(0, [100, 110, 3, 7], flags=Mark.SEAM, at=2), n=3)
    assert numbers(found) == [10, None, 4]
    assert found.run.tolist() == [0, 0, 1, 1]


def test_a_seam_ends_the_run_also_where_the_boundary_itself_is_unknown() -> None:
    found = joined(segment(0, [100, 110, None, 130], flags=Mark.SEAM, at=2), n=3)
    assert numbers(found) == [10, None, None]
    assert found.run.tolist() == [0, 0, -1, 1]


def test_a_size_of_the_log_shows_what_was_there_then() -> None:
    early, late = segment(0, [100, 110], position=5), segment(HOUR, [110, 130], position=9)
    assert numbers(joined(early, late, n=2, as_of=9)) == [10, None]
    assert numbers(joined(early, late, n=2, as_of=10)) == [10, 20]
    assert numbers(joined(early, late, n=2, as_of=5)) == [None, None]


def test_what_lies_outside_the_span_is_left_out() -> None:
    found = join([segment(0, [100, 110, 125, 130])], HOUR, 2 * HOUR, HOUR)
    assert numbers(found) == [15]
    assert found.registers.tolist() == [110, 125]
    assert found.evidence.tolist() == [5]


@given(
    steps=st.lists(st.integers(0, 999), min_size=1, max_size=60), cuts=st.sets(st.integers(1, 59)),
    merge=st.booleans(), first=st.integers(0, 9_999),
)  # fmt: skip
def test_energy_is_neither_made_nor_lost(*, steps: list[int], cuts: set[int], merge: bool, first: int) -> None:
    """However a register is cut into batches, grown into segments and rolled over, its advance stays the same."""
    levels = np.cumsum([first, *steps]).tolist()
    edges = [0, *sorted(cut for cut in cuts if cut < len(steps)), len(steps)]
    parts = []
    for begin, end in pairwise(edges):
        turn = levels[begin] // 10_000 * 10_000  # each batch begins anew below the modulus
        parts.append(segment(begin * HOUR, [level - turn for level in levels[begin : end + 1]], modulus=10_000))
    if merge:
        parts = _grown(parts)
    found = join(parts, 0, len(steps) * HOUR, HOUR)
    assert numbers(found) == steps
    assert int(found.registers[-1] - found.registers[0]) == sum(steps)
    assert set(found.run.tolist()) == {0}


def _grown(parts: list[Segment]) -> list[Segment]:
    done = parts[:1]
    for part in parts[1:]:
        longer = extended(done[-1], part)
        done[-1:] = [longer] if longer is not None else [done[-1], part]
    assert len(done) == 1 + (sum(part.n for part in parts) > MOST)
    return done


def test_agreement_knows_only_whole_turns() -> None:
    assert agree(7, 7, None)
    assert not agree(7, 8, None)
    assert agree(10_007, 7, 10_000)
    assert not agree(10_008, 7, 10_000)


def test_the_better_source_is_used_again_only_when_it_is_steady() -> None:
    best = [1, 1, 0, 1, 0, 1, 1, 1, 1]
    other = [0, 1, 1, 1, 1, 1, 1, 1, 1]
    assert choose(np.array([best, other], np.bool_), 3).tolist() == [0, 0, 1, 1, 1, 1, 1, 0, 0]


def test_without_any_source_a_boundary_stays_unknown() -> None:
    assert choose(np.array([[1, 0, 0], [0, 0, 1]], np.bool_), 3).tolist() == [0, -1, 1]


@given(
    steps=st.lists(st.integers(0, 9), min_size=2, max_size=30),
    seen=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=31, max_size=31),
)
def test_energy_telescopes_across_every_switch(steps: list[int], seen: list[tuple[bool, bool]]) -> None:
    """Two gateways read one meter; whatever each misses, what is claimed adds up to the register's advance."""
    levels = np.cumsum([500, *steps]).tolist()
    n = len(steps)
    sources = [
        joined(segment(0, [level if seen[k][which] else None for k, level in enumerate(levels)]), n=n)
        for which in (0, 1)
    ]
    found = select(sources)
    at = np.flatnonzero(found.known)
    assert found.registers[at].tolist() == [levels[k] for k in at]
    for k in range(n):
        if any(seen[k]) and any(seen[k + 1]):
            assert numbers(found)[k] == steps[k]
        else:
            assert numbers(found)[k] is None


def test_two_meters_are_never_one_register() -> None:
    one = joined(segment(0, [100, 110, None, None]), n=3)
    other = joined(segment(2 * HOUR, [120, 130], serial="002"), n=3)
    found = select([one, other])
    assert numbers(found) == [10, None, 10]
    assert found.run.tolist() == [0, 0, 1, 1]


def test_sources_that_rolled_over_differently_are_aligned() -> None:
    one = joined(segment(0, [9_990, 10_010, None, None], modulus=10_000), n=3)
    other = joined(segment(HOUR, [10, 20, 40], modulus=10_000), n=3)
    found = select([one, other])
    assert numbers(found) == [20, 10, 20]
    assert found.registers.tolist() == [9_990, 10_010, 10_020, 10_040]
