"""Disks that refuse: no space, an I/O error, read-only, at the n-th write (facts/trust.md section 13, test 38).

The program neither ends nor loses: it tells, asks again, and goes on by itself when the disk takes again.
"""

import errno
import os
from pathlib import Path

import pytest

from tests.faults.laboratory import Gateway, Laboratory, assert_promise
from tests.faults.powercut import Machine

ERRORS = {"no space": errno.ENOSPC, "I/O error": errno.EIO, "read-only": errno.EROFS}
NTH = int(os.environ.get("WATTSEAL_FAULT_NTH_WRITE", "60"))


def _refused_agent(laboratory: Laboratory, gateway: Gateway, machine: Machine, fault: str) -> None:
    """Seal under a fault, until so many batches are sealed and acknowledged; then hold the promise."""
    before = len(gateway.sealed())
    gateway.program.start(**machine.start(POWERCUT_FAULT=fault))
    gateway.program.until("more seals", lambda: len(gateway.sealed()) >= before + 30)
    gateway.enough()
    assert gateway.program.ends() == 0, gateway.program.said()[-2000:]
    assert_promise(laboratory, gateway)


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_gateways_disk_that_refuses_now_and_then_loses_nothing(
    laboratory: Laboratory, powercut: Path, error: int
) -> None:
    """One write in each thirty-one fails, whatever it is for: journal, database, sync, cutting the journal."""
    laboratory.collector.start()
    gateway = laboratory.gateway("dc1-gw1", pause=0.005)
    _refused_agent(laboratory, gateway, Machine(gateway.folder, powercut), f"{error}:7:1:31")
    said = gateway.program.said()
    assert said.count("refused: ") > 3
    assert "Traceback" not in said
    assert "what was sealed is safe" in said or "mount it writable" in said


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_collectors_disk_that_refuses_now_and_then_loses_nothing(
    laboratory: Laboratory, powercut: Path, error: int, tmp_path: Path
) -> None:
    gateway, machine = laboratory.gateway("dc1-gw1", pause=0.01), Machine(laboratory.centre, powercut)
    armed = tmp_path / "armed"
    laboratory.collector.start(**machine.start(POWERCUT_FAULT=f"{error}:1:1:211", POWERCUT_ARMED=str(armed)))
    gateway.program.start()
    gateway.program.until("some batches", lambda: len(laboratory.ledger("dc1-gw1")) > 2)
    armed.touch()
    laboratory.collector.until("a refusal", lambda: "store_refuses" in laboratory.collector.said())
    gateway.enough()
    assert gateway.program.ends(60) == 0
    assert_promise(laboratory, gateway)
    assert "Traceback" not in laboratory.collector.said()


@pytest.mark.soak
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_a_gateways_disk_that_refuses_each_nth_write(laboratory: Laboratory, powercut: Path, error: int) -> None:
    """Each of the first writes of a start fails once, and after it three more."""
    laboratory.collector.start()
    for nth in range(1, NTH + 1):
        gateway = laboratory.gateway(f"gw{nth}", pause=0.002)
        _refused_agent(laboratory, gateway, Machine(gateway.folder, powercut), f"{error}:{nth}:4:0")
        assert "Traceback" not in gateway.program.said()
    print(f"\n{os.strerror(error)}: at each of the first {NTH} writes, 4 in a row: 0 lost, goes on by itself")
