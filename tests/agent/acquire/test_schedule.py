"""Ticks and back-offs."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.acquire.schedule import US, Breaker, Tick, next_tick

NOON = 1_772_452_800 * US  # 2026-03-02T12:00:00Z


def test_ticks_are_multiples_of_the_poll_and_every_boundary() -> None:
    ticks, now = [], NOON
    for _ in range(5):
        tick = next_tick(now, 25 * US, 60 * US)
        ticks.append(((tick.due_us - NOON) // US, tick.is_boundary))
        now = tick.due_us
    assert ticks == [(25, False), (50, False), (60, True), (75, False), (100, False)]


def test_a_poll_that_falls_on_a_boundary_is_the_boundary() -> None:
    assert next_tick(NOON, 10 * US, 10 * US) == Tick(NOON + 10 * US, is_boundary=True)


def test_a_late_wake_does_not_drift() -> None:
    assert next_tick(NOON + 10 * US + 437_211, 10 * US, 300 * US).due_us == NOON + 20 * US


def test_nothing_starts_in_the_guard_before_a_boundary() -> None:
    assert next_tick(0, 59 * US, 60 * US, guard_us=US) == Tick(60 * US, is_boundary=True)
    assert next_tick(0, 58 * US, 60 * US, guard_us=US) == Tick(58 * US, is_boundary=False)


@given(st.integers(0, 2**50), st.integers(1, 900), st.sampled_from([1, 5, 60, 300, 900]), st.integers(0, 250_000))
def test_a_tick_lies_ahead_and_no_boundary_is_passed(now: int, poll_s: int, interval_s: int, guard: int) -> None:
    tick = next_tick(now, poll_s * US, interval_s * US, guard)
    boundary = (now // (interval_s * US) + 1) * interval_s * US
    assert now < tick.due_us <= boundary
    assert tick.is_boundary == (tick.due_us == boundary)


def breaker(most_s: int = 30) -> Breaker:
    return Breaker(US, most_s * US, random.Random(7))


def test_a_living_device_needs_no_probe() -> None:
    living = breaker()
    assert not living.is_open
    assert not living.allows_probe(0)


def test_the_back_off_doubles_up_to_its_cap() -> None:
    dead, now, waits = breaker(most_s=8), 0, []
    for _ in range(6):
        dead.failed(now)
        waits.append((dead.retry_us - now) / US)
        assert not dead.allows_probe(dead.retry_us - 1)
        now = dead.retry_us
        assert dead.allows_probe(now)
    assert waits == [pytest.approx(base, rel=0.26) for base in (1, 2, 4, 8, 8, 8)]


def test_an_answer_closes_the_breaker_and_forgets_the_back_off() -> None:
    device = breaker()
    for _ in range(5):
        device.failed(0)
    device.succeeded()
    assert not device.is_open
    device.failed(0)
    assert device.retry_us <= 1.25 * US
