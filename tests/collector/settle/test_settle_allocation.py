from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.settle import allocate
from shared.allocation import Method, apportion

HALF = Fraction(1, 2)
THIRD = Fraction(1, 3)


def test_static_keys_are_capped_at_the_load_and_the_rest_is_exported() -> None:
    made = allocate(100, {"a": 30, "b": 90}, method="static", keys={"a": HALF, "b": HALF})
    assert (made.shares, made.rest) == ({"a": 30, "b": 50}, 20)


def test_static_keys_below_one_leave_a_rest() -> None:
    made = allocate(100, {"a": 90, "b": 90}, method="static", keys={"a": THIRD, "b": THIRD})
    assert (made.shares, made.rest) == ({"a": 33, "b": 33}, 34)


def test_proportional_shares_follow_the_load() -> None:
    assert allocate(100, {"a": 100, "b": 300}).shares == {"a": 25, "b": 75}
    enough = allocate(500, {"a": 100, "b": 300})
    assert (enough.shares, enough.rest) == ({"a": 100, "b": 300}, 100)


def test_a_waterfall_serves_the_lowest_number_first() -> None:
    loads = {"a": 50, "b": 100, "c": 100}
    made = allocate(100, loads, method="waterfall", priority={"a": 1, "b": 2, "c": 2})
    assert (made.shares, made.rest) == ({"a": 50, "b": 25, "c": 25}, 0)


def test_losses_are_shared_out_in_full() -> None:
    assert allocate(10, {"a": 1, "b": 1, "c": 1}, method="share").shares == {"a": 4, "b": 3, "c": 3}
    keyed = allocate(10, {"a": 0, "b": 0}, method="share", keys={"a": Fraction(3), "b": Fraction(2)})
    assert keyed.shares == {"a": 6, "b": 4}


def test_the_largest_remainder_gets_what_is_left_and_ties_go_by_id() -> None:
    assert apportion(2, {"c": Fraction(1), "b": Fraction(1), "a": Fraction(1)}) == {"c": 0, "b": 1, "a": 1}
    assert apportion(10, {"a": Fraction(26), "b": Fraction(39), "c": Fraction(35)}) == {"a": 3, "b": 4, "c": 3}


@pytest.mark.parametrize(
    ("energy", "loads", "more", "word"),
    [
        (-1, {"a": 1}, {}, "negative"),
        (1, {"a": None}, {}, "no value for a"),
        (1, {}, {}, "anyone"),
        (1, {"a": -1}, {}, "negative"),
        (1, {"a": 1}, {"method": "static"}, "keys"),
        (1, {"a": 1}, {"method": "static", "keys": {"b": HALF}}, "keys"),
        (1, {"a": 1}, {"method": "static", "keys": {"a": Fraction(2)}}, "more than 1"),
        (1, {"a": 1}, {"method": "waterfall"}, "priority"),
        (1, {"a": 0}, {"method": "share"}, "nothing says"),
    ],
)
def test_what_cannot_be_shared_out_fails_and_is_not_zero(
    energy: int, loads: dict[str, int | None], more: dict[str, object], word: str
) -> None:
    with pytest.raises(ValueError, match=word):
        allocate(energy, loads, **more)  # type: ignore[arg-type] # a row of the table


PARTIES = st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 10**15), min_size=1)


@given(st.integers(0, 10**18), PARTIES, st.sampled_from(["static", "proportional", "waterfall"]), st.integers(0, 3))
def test_shares_and_rest_add_up_to_the_energy_exactly(
    energy: int, loads: dict[str, int], method: Method, places: int
) -> None:
    keys = {party: Fraction(1, len(loads)) for party in loads}
    order = {party: n % (places + 1) for n, party in enumerate(sorted(loads))}
    made = allocate(energy, dict(loads), method=method, keys=keys, priority=order)
    assert sum(made.shares.values()) + made.rest == energy
    assert made.rest >= 0
    assert all(0 <= share <= loads[party] for party, share in made.shares.items())


@given(
    st.integers(0, 10**18),
    st.dictionaries(st.text("abc", max_size=3), st.fractions(1, 9, max_denominator=50), min_size=1, max_size=8),
)
def test_parts_add_up_to_the_whole_whatever_the_order_of_parties(energy: int, weights: dict[str, Fraction]) -> None:
    parts = apportion(energy, weights)
    assert sum(parts.values()) == energy
    assert parts == apportion(energy, dict(reversed(weights.items())))
    assert all(abs(part - energy * weights[party] / sum(weights.values())) < 1 for party, part in parts.items())
