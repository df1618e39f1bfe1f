"""The true energy: balanced, in whole quanta, still at the edges."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.field.simulate_energy import HOUR_US, US, Circuit, Constant, Flow, Replay, Role, Shapes, margin
from agent.field.simulate_load import quanta, recorded
from shared.errors import ConfigError

NOON = 1_772_452_800 * US
SITE: list[tuple[str, Role]] = [
    ("pcc", "grid"), ("pcc2", "grid"), ("gas", "generation"), ("pv", "generation"), ("bat", "storage"),
    ("hall-a", "tenant"), ("hall-b", "tenant"), ("office", "load"), ("pcc-check", "check"),
]  # fmt: skip
CIRCUITS = [Circuit(name, role, 2_000_000_000) for name, role in SITE]
QUANTUM = 125_000


def shapes(length_s: int, seed: int = 1) -> Shapes:
    return Shapes(CIRCUITS, length_us=length_s * US, quantum=QUANTUM, origin_us=NOON, seed=seed)


def net(energy: Shapes, at_us: int) -> int:
    """Return sources less uses since the origin: each meter's flow out of the site's own circuits. [mWh]"""
    flows = {name: energy.total(name, at_us) for name, role in SITE if role != "check"}
    grid = sum(flows[name].imported - flows[name].exported for name, role in SITE if role == "grid")
    own = sum(flows[name].imported - flows[name].exported for name, role in SITE if role not in ("grid", "check"))
    return grid - own


@given(st.sampled_from([1, 5, 60, 300]), st.integers(0, 40), st.integers(1, 5))
def test_sources_equal_uses_at_every_boundary(length_s: int, number: int, seed: int) -> None:
    energy = shapes(length_s, seed)
    assert net(energy, NOON + number * length_s * US) == 0


@given(st.sampled_from([1, 2, 5, 60]), st.integers(1, 30), st.integers(-US, US), st.sampled_from(SITE))
def test_nothing_moves_near_a_boundary(length_s: int, number: int, off_us: int, meter: tuple[str, Role]) -> None:
    energy, boundary = shapes(length_s), NOON + number * length_s * US
    near = boundary + off_us * margin(length_s * US) // US
    assert energy.total(meter[0], near) == energy.total(meter[0], boundary)


@given(st.integers(0, 60 * US), st.integers(0, 60 * US), st.sampled_from(SITE))
def test_energy_never_falls_and_moves_in_whole_quanta(first: int, second: int, meter: tuple[str, Role]) -> None:
    energy = shapes(5)
    before, after = sorted([first, second])
    a, b = energy.total(meter[0], NOON + before), energy.total(meter[0], NOON + after)
    assert a.imported <= b.imported
    assert a.exported <= b.exported
    assert all(part % QUANTUM == 0 for part in (*a, *b))


def test_energy_is_a_function_of_time_and_not_of_who_asked_before() -> None:
    asked_before, fresh = shapes(5), shapes(5)
    for second in range(100):
        asked_before.total("bat", NOON + second * US)
    assert asked_before.total("pcc", NOON + 333 * US) == fresh.total("pcc", NOON + 333 * US)


def test_roles_flow_their_way() -> None:
    energy = shapes(300)
    at = NOON + 3600 * US
    assert energy.total("gas", at).exported > 0
    assert energy.total("gas", at).imported == 0
    assert energy.total("hall-a", at).imported > 0
    assert energy.power("gas", at) < 0 < energy.power("hall-a", at)
    assert energy.total("pcc-check", at) == energy.total("pcc", at)


def test_small_ratings_lose_nothing_to_rounding() -> None:
    """10 kW for an hour of one-second intervals: 6 kWh at the mean share, though a second moves less than a quantum."""
    small = Shapes([Circuit("a", "load", 10_000_000)], length_us=US, quantum=QUANTUM, origin_us=NOON, seed=1)
    assert 3_500_000 < small.total("a", NOON + HOUR_US).imported < 8_500_000


def test_constant_power_runs_without_a_pause() -> None:
    circuits = [Circuit("pcc", "grid", None), Circuit("a", "load", None), Circuit("b", "tenant", None)]
    energy = Constant(circuits, power=3_600_000, origin_us=NOON)  # 3.6 kW is 1 Wh a second
    assert energy.total("a", NOON + US) == Flow(1000, 0)
    assert energy.total("a", NOON + 1000) == Flow(1, 0)
    assert energy.total("pcc", NOON + US) == Flow(2000, 0)
    assert energy.total("a", NOON - US) == Flow(0, 0)
    assert energy.power("pcc", NOON) == 7_200_000
    alone = Constant([Circuit("pcc", "grid", None)], power=3_600_000, origin_us=NOON)
    assert alone.total("pcc", NOON + US) == Flow(1000, 0)


ROWS = {"import": [0, 8, 8, 20], "export": [0, 0, 5, 5]}


def replay(row_s: int = 5) -> Replay:
    return Replay("a", ROWS, row_us=row_s * US, quantum=QUANTUM, begin_us=NOON)


def test_a_replayed_row_has_its_energy_and_the_next_one_the_next() -> None:
    for row in range(4):
        at = NOON + row * 5 * US
        assert replay().total("a", at) == Flow(ROWS["import"][row] * QUANTUM, ROWS["export"][row] * QUANTUM)
    assert replay().total("a", NOON + 3600 * US) == Flow(20 * QUANTUM, 5 * QUANTUM)
    assert replay().total("b", NOON + 3600 * US) == Flow(0, 0)
    assert replay().total("a", NOON - US) == Flow(0, 0)


def test_a_replayed_row_is_still_at_its_edges() -> None:
    assert replay().total("a", NOON + US) == Flow(0, 0)
    assert replay().total("a", NOON + 4 * US) == Flow(8 * QUANTUM, 0)
    assert replay().total("a", NOON + 2_500_000) == Flow(4 * QUANTUM, 0)
    assert replay().power("a", NOON + US) == 8 * QUANTUM * 3600 // 5
    assert replay().power("a", NOON + 100 * US) == 0


def test_rows_are_rounded_to_quanta_with_the_rest_carried() -> None:
    third = [Fraction(1, 3)] * 3  # kWh; a quantum of 0.125 kWh goes 2.67 times into each
    assert quanta(third, unit="kWh", row_us=US, quantum=QUANTUM) == {"import": [0, 2, 5, 8], "export": [0, 0, 0, 0]}
    assert quanta([Fraction(-1)], unit="kWh", row_us=US, quantum=QUANTUM)["export"] == [0, 8]
    assert quanta([Fraction(2)], unit="MW", row_us=900 * US, quantum=QUANTUM)["import"] == [0, 4000]
    assert quanta([Fraction(2)], unit="kW", row_us=3600 * US, quantum=QUANTUM)["import"] == [0, 16]


@given(st.lists(st.fractions(min_value=-1000, max_value=1000, max_denominator=1000), max_size=50))
def test_the_rows_add_up_to_less_than_a_quantum(rows: list[Fraction]) -> None:
    made = quanta(rows, unit="kWh", row_us=US, quantum=QUANTUM)
    moved = (made["import"][-1] - made["export"][-1]) * QUANTUM
    assert abs(sum(rows, Fraction(0)) * 10**6 - moved) < 2 * QUANTUM  # one in each direction


def test_a_load_file_is_read_as_text_exactly(tmp_path: Path, handbook: Path) -> None:
    file = tmp_path / "load.csv"
    file.write_text("ts,a\n2026-01-01,0.1\n2026-01-02,\n2026-01-03,-2\n")
    assert recorded(file, "a") == [Fraction(1, 10), Fraction(0), Fraction(-2)]
    real = recorded(handbook / "samples" / "load" / "ucam_hourly.csv.gz", "ucam_b19")
    assert real[:2] == [Fraction(133), Fraction("264.5")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ts,b\n1,2\n", "no column 'a'; it has ts, b"),
        ("a\nx\n", "load.csv:2: a: 'x' is no number"),
        ("a\nnan\n", "finite"),
    ],
)
def test_a_wrong_load_file_is_told_where(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "load.csv"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        recorded(file, "a")
    with pytest.raises(ConfigError, match="cannot be read"):
        recorded(tmp_path / "none.csv", "a")
