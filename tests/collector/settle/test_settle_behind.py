"""What stands behind a row: spans of batches, worked out at once for many channels, are those worked out one by one."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.settle.behind import _reach, _runs

LENGTH = 900
SLOTS = st.sets(st.integers(0, 30), max_size=20).map(sorted)


def plainly(slots: list[int], positions: list[int]) -> list[list[int]]:
    """Return the spans of one channel, boundary by boundary."""
    found: list[list[int]] = []
    for at, (slot, position) in enumerate(zip(slots, positions, strict=True)):
        before = slots[at - 1] if at else slot - 1
        unknown = at + 1 < len(slots) and slots[at + 1] > slot + 1
        after = slots[at + 1] * LENGTH if unknown else slot * LENGTH + 1
        if found and found[-1][2] == position:
            found[-1][1] = after
        else:
            found.append([before * LENGTH, after, position])
    return found


@given(st.lists(SLOTS, max_size=4), st.lists(st.integers(1, 3), min_size=80, max_size=80))
def test_the_spans_of_many_channels_are_those_of_each(known: list[list[int]], batches: list[int]) -> None:
    owners = np.array([number for number, slots in enumerate(known) for _ in slots], np.int64)
    times = np.array([slot * LENGTH for slots in known for slot in slots], np.int64)
    positions = np.array(batches[: len(times)], np.int64)
    channels, spans = _reach(owners, times, positions, LENGTH)
    wanted = [
        (number, span)
        for number, slots in enumerate(known)
        for span in plainly(slots, positions[owners == number].tolist())
    ]
    assert list(zip(channels.tolist(), spans.tolist(), strict=True)) == wanted


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 12)), max_size=40))
def test_runs_name_each_position_of_a_row_once(pairs: list[tuple[int, int]]) -> None:
    rows, positions = (np.array(column, np.int64) for column in zip(*pairs, strict=True)) if pairs else ([], [])
    for row, runs in enumerate(_runs(np.asarray(rows, np.int64), np.asarray(positions, np.int64), 4)):
        named = [at for first, last in runs for at in range(first, last + 1)]
        assert named == sorted({position for own, position in pairs if own == row})
        assert all(last + 1 < first for (_, last), (first, _) in pairwise(runs))
