"""The whole line under a seed: every law holds, two runs agree to the last byte, and broken parts are noticed."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.simulation.broken import MUTANTS, broken
from tests.simulation.faults import Faults
from tests.simulation.line import Line, Plan, simulate
from tests.simulation.world import BrokenLawError

SEEDS = int(os.environ.get("WATTSEAL_SEEDS", "20"))
DAYS = int(os.environ.get("WATTSEAL_DAYS", "8"))
QUICK = ("a receipt before the commit", "a meter that is read late", "an agent that believes the broker's PUBACK")


@pytest.fixture(autouse=True)
def _silence() -> Iterator[None]:
    """Let nothing be logged: what is written down is the trace."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def test_a_seed_gives_the_same_trace_and_another_seed_another(tmp_path: Path) -> None:
    lines = [simulate(Plan(seed, 0.1, poll=900), tmp_path / str(at)) for at, seed in enumerate((1, 1, 2))]
    assert lines[0].world.trace == lines[1].world.trace != lines[2].world.trace
    assert lines[0].world.happened == lines[1].world.happened


@pytest.mark.parametrize("seed", [3, 4])
def test_every_law_holds_whatever_happens(seed: int, tmp_path: Path) -> None:
    line = simulate(Plan(seed, 0.6, Faults(), poll=900), tmp_path)
    assert line.releases
    assert line.world.happened["sealed"] > 100


def test_agents_fill_what_a_restored_collector_has_lost(tmp_path: Path) -> None:
    line = simulate(Plan(5, 0.6, Faults.named(["restore=5", "drop", "agent_crash", "wipe"]), poll=900), tmp_path)
    assert line.world.happened["the collector was restored"]


def test_labels_of_wrong_clocks_wait_and_come_in_once_a_clock_is_right(tmp_path: Path) -> None:
    line = simulate(Plan(6, 0.5, Faults.named(["clock_step=6", "centre_clock=8", "drop"]), poll=900), tmp_path)
    assert line.world.happened["a clock was stepped"]
    assert line.world.happened["the collector's clock was wrong"]
    told = line.centre.findings("dc1-gw1") | line.centre.findings("dc1-gw2")
    assert "A8" in told, "nothing came from the future: another seed is wanted"


@pytest.mark.parametrize("what", ["clone", pytest.param("rollback", marks=pytest.mark.soak)])
def test_both_branches_of_a_gateway_are_kept_and_the_others_are_not_touched(what: str, tmp_path: Path) -> None:
    line = simulate(Plan(1, 0.4, Faults.named([what, "drop", "agent_crash"]), poll=900), tmp_path)
    assert line.forked == {"dc1-gw1"}


@pytest.mark.parametrize("name", QUICK)
def test_it_can_fail(name: str, tmp_path: Path) -> None:
    assert_noticed(name, tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(set(MUTANTS) - set(QUICK)))
def test_it_can_fail_in_every_way(name: str, tmp_path: Path) -> None:
    assert_noticed(name, tmp_path)


def assert_noticed(name: str, folder: Path) -> None:
    """Hold that a broken part is noticed by a law that speaks of it, under one of the first seeds."""
    for seed in range(1, 6):
        told = _broken_law(broken(name, seed, folder / str(seed)))
        if told is not None:
            assert re.search(MUTANTS[name].law, told), told
            return
    pytest.fail(f"{name}: five seeds have not noticed it")


def _broken_law(line: Line) -> str | None:
    """Return which law broke while a line ran."""
    try:
        line.run()
    except BrokenLawError as error:
        return str(error)
    return None


@pytest.mark.soak
@pytest.mark.timeout(0)
@pytest.mark.parametrize("seed", range(1000, 1000 + SEEDS))
def test_a_campaign_of_seeds(seed: int, tmp_path: Path) -> None:
    simulate(Plan(seed, DAYS), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_year_of_a_site(tmp_path: Path) -> None:
    line = simulate(Plan(7, 365, poll=900, release_every=30), tmp_path)
    print(f"\n{line.world.day:.0f} days, {line.world.steps} steps, {line.world.happened}")
