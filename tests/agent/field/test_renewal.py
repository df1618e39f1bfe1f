"""How often registers are renewed, told from looks at simulated latched registers."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.field.renewal import US, Look, estimate, sentence, update_s

WH = 1000  # [mWh]


def latched(every_s: float, watts: float, seconds: float, *, step: int = WH, look_s: float = 0.1) -> list[Look]:
    """Return looks at a register that is renewed every so many seconds under a load that varies by a tenth."""
    chance, energy, shown, following = random.Random(7), 0.0, 0, every_s / 3
    looks, at = [], 0.0
    while at < seconds:
        energy += watts * chance.uniform(0.9, 1.1) * look_s / 3600 * 1000
        if at >= following:
            shown, following = int(energy) // step * step, following + every_s
        looks.append((round(at * US), shown))
        at += look_s * chance.uniform(0.95, 1.3)
    return looks


@pytest.mark.parametrize(("every_s", "watts", "seconds"), [(1, 200_000, 30), (10, 20_000, 60), (60, 20_000, 300)])
def test_latched_registers_are_told(every_s: float, watts: float, seconds: float) -> None:
    found = estimate(latched(every_s, watts, seconds))
    assert found.verdict == "seen"
    assert found.every == pytest.approx(every_s * US, abs=200_000)
    assert update_s(found.every or 0) == str(every_s)


def test_a_small_load_tells_nothing() -> None:
    """1 kW is 1 Wh every 3.6 s: the register steps with the load, whatever the meter does."""
    found = estimate(latched(1, 1000, 60))
    assert (found.verdict, found.every) == ("small_load", None)
    assert "too small" in sentence(found)


@pytest.mark.parametrize(
    ("steps", "verdict"),
    [((2, 3, 2, 2), "seen"), ((1, 2, 1, 1), "small_load"), ((2, 3), "too_few"), ((5, 5, 5), "small_load")],
)
def test_two_steps_at_once_are_the_least(steps: tuple[int, ...], verdict: str) -> None:
    looks = [(n * 100_000, sum(steps[: n // 10])) for n in range(10 * len(steps) + 5)]
    assert estimate(looks).verdict == verdict


def test_a_coarse_counter_inside_the_meter_is_a_small_load_too() -> None:
    assert estimate(latched(1, 10_000, 60, step=10 * WH)).verdict == "small_load"


def test_what_stands_or_hardly_moves_is_not_guessed() -> None:
    assert estimate(latched(60, 20_000, 15)).verdict == "still"
    assert estimate(latched(60, 20_000, 130)).verdict == "too_few"
    assert estimate([]).verdict == estimate([(0, 1)]).verdict == "no_looks"


def test_faster_than_looked_at_is_told_from_above() -> None:
    found = estimate(latched(0.02, 200_000_000, 10))
    assert found.verdict == "each_look"
    assert found.every == pytest.approx(112_000, abs=15_000)


def test_an_instantaneous_value_may_move_by_one_step() -> None:
    looks = [(at * 100_000, at // 10 % 2) for at in range(60)]
    assert estimate(looks, counts=False).every == US
    assert estimate(looks).verdict == "small_load"


def test_a_rollover_and_a_lost_look_change_little() -> None:
    looks = latched(1, 200_000, 30)
    rolled = [(at, shown % 1_000_000) for n, (at, shown) in enumerate(looks) if n not in (50, 51, 120)]
    assert estimate(rolled).every == pytest.approx(US, abs=200_000)


@given(st.integers(2, 90), st.integers(3, 20))
def test_any_rhythm_slower_than_the_looks_is_found(tenths: int, load: int) -> None:
    chance = random.Random(tenths * load)
    shown, looks = 0, []
    for n in range(tenths * 20):
        shown += chance.randrange(load, 4 * load) if n % tenths == 0 else 0
        looks.append((n * 100_000, shown))
    found = estimate(looks)
    assert found.every in (None, tenths * 100_000)
    assert found.verdict in ("seen", "small_load")
