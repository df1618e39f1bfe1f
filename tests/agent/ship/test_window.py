"""Which batches go out: lowest first, so many at once, again with growing patience."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from agent.ship.window import JUST_NOW, MOST_PATIENCE, Window


def test_only_so_many_are_on_the_way() -> None:
    window = Window(2, 10)
    assert window.due([1, 2, 3], 0) == [1, 2]
    assert window.due([1, 2, 3], 1) == []
    assert window.due([2, 3], 2) == [3]  # 1 has its receipt


def test_patience_doubles_with_each_repetition() -> None:
    window = Window(1, 10)
    sent = [now for now in range(200) if window.due([7], now)]
    assert sent == [0, 10, 30, 70, 150]


def test_patience_has_an_end() -> None:
    window = Window(1, 1)
    sent = [now for now in range(400) if window.due([7], now)]
    assert max(after - before for before, after in itertools.pairwise(sent)) == MOST_PATIENCE


def test_a_new_connection_sends_everything_again() -> None:
    window = Window(2, 10)
    window.due([1, 2], 0)
    window.reset()
    assert window.due([1, 2], 1) == [1, 2]


def test_what_the_collector_lacks_goes_again_but_not_what_left_just_now() -> None:
    window = Window(3, 10 * JUST_NOW)
    window.due([1, 2], 0)
    window.due([1, 2, 3], JUST_NOW)
    window.again([2, 3], JUST_NOW)
    assert window.due([1, 2, 3], JUST_NOW) == [2]


@given(
    st.integers(1, 5),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 3)), min_size=1, max_size=60),
)
def test_everything_is_sent_in_the_end_and_never_too_much_at_once(
    size: int, patience: int, moves: list[tuple[int, int]]
) -> None:
    """Whatever is acknowledged and however time passes: at most `size` on the way, each at most once a patience."""
    window, waiting, now, last = Window(size, patience), list(range(1, 20)), 0, dict[int, int]()
    for elapsed, acknowledged in moves:
        now += elapsed
        waiting = waiting[acknowledged:]
        chosen = window.due(waiting, now)
        assert chosen == sorted(chosen)
        assert set(chosen) <= set(waiting[:size])
        assert set(waiting[:size]) <= set(window.sent)
        assert all(now - last[row] >= patience for row in chosen if row in last)
        last |= dict.fromkeys(chosen, now)
