"""A crash at every step of seal, send, verify, commit, acknowledge and delete (facts/trust.md section 13, test 4)."""

import os
import random
import subprocess
import sys

import pytest

from shared.failpoint import AGENT, COLLECTOR, CRASHED
from tests.faults.laboratory import REPOSITORY, Laboratory, assert_promise, until

SEED = 4
CRASHES = int(os.environ.get("WATTSEAL_FAULT_CRASHES", "100"))


def _agent_dies(laboratory: Laboratory, crashes: dict[str, list[int]]) -> int:
    """Crash a gateway of its own at each point, so often; return how many crashes there were."""
    laboratory.collector.start()
    done = 0
    for name, each in crashes.items():
        gateway = laboratory.gateway(name.replace(".", "-"), pause=0.005, prune="prune" in name)
        for nth in each:
            gateway.program.start(WATTSEAL_FAILPOINT=f"{name}:{nth}")
            assert gateway.program.ends() == CRASHED, (name, nth, gateway.program.said())
            done += 1
        gateway.finish()
        assert assert_promise(laboratory, gateway, pruned="prune" in name) >= 2
        assert "Traceback" not in gateway.program.said()
    return done


def _collector_dies(laboratory: Laboratory, crashes: dict[str, list[int]]) -> int:
    """Crash the collector at each point, so often, while a gateway goes on; return how many crashes there were."""
    gateway = laboratory.gateway("dc1-gw1", pause=0.02)
    gateway.program.start()
    done = 0
    for name, each in crashes.items():
        for nth in each:
            laboratory.collector.start(WATTSEAL_FAILPOINT=f"{name}:{nth}")
            assert laboratory.collector.ends() == CRASHED, (name, nth, laboratory.collector.said())
            done += 1
    laboratory.collector.start()
    gateway.enough()
    assert gateway.program.ends(60) == 0
    assert assert_promise(laboratory, gateway) > done
    assert "Traceback" not in laboratory.collector.said()
    return done


@pytest.mark.parametrize("half", [0, 1])
def test_an_agent_that_dies_at_any_step_loses_nothing_and_tells_nothing_twice(
    laboratory: Laboratory, half: int
) -> None:
    assert _agent_dies(laboratory, {name: [1, 3] for name in AGENT[half::2]}) == len(AGENT)


def test_a_collector_that_dies_at_any_step_loses_nothing_and_applies_nothing_twice(laboratory: Laboratory) -> None:
    assert _collector_dies(laboratory, {name: [1 + at % 2] for at, name in enumerate(COLLECTOR)}) == len(COLLECTOR)


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_an_agent_that_dies_a_hundred_times_at_each_step(laboratory: Laboratory) -> None:
    chances = random.Random(SEED)
    crashes = {name: [chances.randint(1, 12) for _ in range(CRASHES)] for name in AGENT}
    print(f"\nagent crash points: {_agent_dies(laboratory, crashes)} crashes at {len(AGENT)} points, seed {SEED}")


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_a_collector_that_dies_a_hundred_times_at_each_step(laboratory: Laboratory) -> None:
    chances = random.Random(SEED)
    crashes = {name: [chances.randint(1, 12) for _ in range(CRASHES)] for name in COLLECTOR}
    print(f"\ncollector crash points: {_collector_dies(laboratory, crashes)} at {len(COLLECTOR)} points, seed {SEED}")


def test_a_step_that_is_none_is_told_and_nothing_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from shared import failpoint; print('started')"], cwd=REPOSITORY, capture_output=True,
        text=True, check=False, env={**os.environ, "WATTSEAL_FAILPOINT": "agent.after_lunch"},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert "no such step; write one of agent.before_sign" in done.stderr


def test_without_the_variable_no_step_can_end_a_program(laboratory: Laboratory) -> None:
    laboratory.collector.start()
    gateway = laboratory.gateway("dc1-gw1", pause=0.005, prune=True)
    gateway.program.start()
    until("some batches", lambda: len(gateway.sealed()) > 20)
    gateway.enough()
    assert gateway.program.ends() == 0
    assert_promise(laboratory, gateway, pruned=True)
