"""Power cuts at agent and collector (facts/trust.md section 13, tests 2 and 3): nothing durable is lost.

Only synced bytes survive, in every second cut with any sectors of what was not synced beside them. The same campaign
without our syncs must lose, else it proves nothing; a disk that lies about them must be found out.
"""

import os
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from collector.intake.log import Log
from collector.store.engine import open_store
from shared import merkle
from shared.intervals import Intervals
from tests.brokers import Mosquitto
from tests.faults.laboratory import Gateway, Laboratory, assert_promise, batches, until
from tests.faults.powercut import Machine

CUTS = int(os.environ.get("WATTSEAL_FAULT_CUTS", "200"))
SEED = 2
PATIENCE = 120.0  # [s]


def _integrity(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("PRAGMA integrity_check").fetchall()]


def _agent_cut(gateway: Gateway, machine: Machine, chances: random.Random, **more: str) -> int:
    """Run a gateway until it has sealed some more, cut its power; return how many sealed batches are gone."""
    before, goal = len(gateway.sealed()), chances.randint(1, 40)
    gateway.program.start(**machine.start(**more))
    gateway.program.until("more seals", lambda: len(gateway.sealed()) >= before + goal, PATIENCE)
    gateway.program.kill()
    promised = gateway.sealed()
    machine.cut(chances if chances.random() < 0.5 else None)
    assert _integrity(gateway.folder / "outbox.sqlite") == ["ok"]
    return len(set(promised) - set(gateway.held()))


def _cut_agent(laboratory: Laboratory, library: Path, cuts: int, seed: int = SEED) -> tuple[int, int]:
    """Cut a gateway's power so often, under load; return how many batches there were, and how many torn sectors."""
    gateway, chances = laboratory.gateway(f"gw{seed}", pause=0.005), random.Random(seed)
    machine = Machine(gateway.folder, library)
    lost = [_agent_cut(gateway, machine, chances) for _ in range(cuts)]
    assert lost == [0] * cuts
    gateway.finish()
    assert "Traceback" not in gateway.program.said()
    assert "outbox_salvaged" not in gateway.program.said()
    return assert_promise(laboratory, gateway), machine.torn_sectors


def _rounds(cuts: int) -> list[tuple[int, int]]:
    """Return a seed and a number of cuts for each round: a disk of its own for each keeps them quick."""
    return [(SEED + at, min(20, cuts - done)) for at, done in enumerate(range(0, cuts, 20))]


def test_a_power_cut_at_the_gateway_loses_nothing_sealed(laboratory: Laboratory, powercut: Path) -> None:
    laboratory.collector.start()
    batches, torn = _cut_agent(laboratory, powercut, 6)
    assert batches > 6
    assert torn > 0


def test_the_same_cuts_lose_batches_where_commits_are_not_synced(laboratory: Laboratory, powercut: Path) -> None:
    """The model can fail: with synchronous=NORMAL, as other gateways ship it, sealed batches are gone."""
    gateway, chances = laboratory.gateway("dc1-gw1", pause=0.005), random.Random(SEED)
    machine = Machine(gateway.folder, powercut)
    lost = [_agent_cut(gateway, machine, chances, LABORATORY_SYNCHRONOUS="NORMAL") for _ in range(3)]
    assert sum(lost) > 0


#: Words of a gateway that has found out.
_FOUND_OUT = ("receipt_refused", "batch_rejected", "outbox_salvaged", "batch_forked")


def _lied_to(laboratory: Laboratory, library: Path, chances: random.Random) -> bool:
    """Let a disk lie about every sync from one on, cut the power; return whether what was lost was found out.

    Raises:
        AssertionError: something was lost silently.
    """
    gateway = laboratory.gateway(f"gw{chances.randrange(10**9)}", pause=0.01)
    machine = Machine(gateway.folder, library)
    first = chances.randint(1, 60)
    gateway.program.start(**machine.start(POWERCUT_LIE=f"{first}:1000000"))
    goal = chances.randint(25, 60)
    gateway.program.until("seals", lambda: len(gateway.sealed()) >= goal)
    gateway.program.kill()
    machine.cut()
    promised = {one.body.start for one in batches(gateway.sealed()) if isinstance(one.body, Intervals)}
    gateway.program.start()
    gateway.enough()

    def settled() -> bool:
        told = any(word in gateway.program.said() for word in _FOUND_OUT)
        return told or gateway.program.ended

    until("the end, or a word", settled)
    gateway.program.kill()
    rows = laboratory.ledger(gateway.name)
    there = {one.body.start for one in batches([row[3] for row in rows]) if isinstance(one.body, Intervals)}
    told = any(word in gateway.program.said() for word in _FOUND_OUT) or {row[0] for row in rows} != {"admitted"}
    assert told or promised <= there, f"{len(promised - there)} intervals are lost silently"
    return told


def test_a_disk_that_lies_about_its_syncs_is_found_out(laboratory: Laboratory, powercut: Path) -> None:
    """Batches that the collector has and the gateway forgot are never sealed anew without a word."""
    laboratory.collector.start()
    chances = random.Random(SEED)
    found = [_lied_to(laboratory, powercut, chances) for _ in range(3)]
    assert any(found)


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_a_disk_that_lies_a_hundred_times(laboratory: Laboratory, powercut: Path) -> None:
    laboratory.collector.start()
    chances, times = random.Random(SEED), CUTS // 2
    found = [_lied_to(laboratory, powercut, chances) for _ in range(times)]
    print(f"\nlying disk: {times} cuts, {sum(found)} found out, {times - sum(found)} harmless, 0 silent; seed {SEED}")


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_two_hundred_power_cuts_at_the_gateway(laboratory: Laboratory, powercut: Path) -> None:
    laboratory.collector.start()
    found = [_cut_agent(laboratory, powercut, cuts, seed) for seed, cuts in _rounds(CUTS)]
    print(f"\nagent: {CUTS} power cuts, {sum(one for one, _ in found)} batches, 0 lost, integrity ok each time;"
          f" {sum(one for _, one in found)} torn sectors, seeds from {SEED}")  # fmt: skip


def _acked(gateway: Gateway) -> set[str]:
    """Return what a gateway believes to be durable at the collector, while it runs."""
    path = gateway.folder / "outbox.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return {row[0] for row in database.execute("SELECT jws FROM batch WHERE acked IS NOT NULL")}


def _assert_tree(laboratory: Laboratory) -> None:
    """Hold the log: its nodes are those of its leaves."""
    store = open_store("sqlite", laboratory.centre)
    log = Log(store, "central", laboratory.key)
    with store.read() as connection:
        point = log.checkpoint(connection)
        leaves = [one.leaf_hash for one in log.entries(connection, 0, point.size)]
    store.close()
    assert point.root == merkle.root_of(leaves)


def _collector_cut(
    laboratory: Laboratory, gateway: Gateway, machine: Machine, chances: random.Random, **more: str
) -> int:
    """Run the collector until the gateway knows more as durable, cut its power; return how many of it are gone."""
    before, goal = len(_acked(gateway)), chances.randint(1, 40)
    laboratory.collector.start(**machine.start(**more))
    laboratory.collector.until("more receipts", lambda: len(_acked(gateway)) >= before + goal, PATIENCE)
    laboratory.collector.kill()
    known = _acked(gateway)
    machine.cut(chances if chances.random() < 0.5 else None)
    assert _integrity(laboratory.database) == ["ok"]
    _assert_tree(laboratory)
    return len(known - {text for *_, text in laboratory.ledger(gateway.name)})


def _cut_collector(laboratory: Laboratory, library: Path, cuts: int, seed: int = SEED) -> tuple[int, int]:
    """Cut the collector's power so often, under load; return how many batches there were, and how many torn sectors."""
    gateway, chances = laboratory.gateway(f"gw{seed}", pause=0.01), random.Random(seed)
    machine = Machine(laboratory.centre, library)
    gateway.program.start()
    lost = [_collector_cut(laboratory, gateway, machine, chances) for _ in range(cuts)]
    assert lost == [0] * cuts
    laboratory.collector.start()
    gateway.enough()
    assert gateway.program.ends(120) == 0
    assert "receipt_refused" not in gateway.program.said()
    laboratory.end()
    return assert_promise(laboratory, gateway), machine.torn_sectors


def test_a_power_cut_at_the_collector_loses_nothing_acknowledged(laboratory: Laboratory, powercut: Path) -> None:
    batches, torn = _cut_collector(laboratory, powercut, 4)
    assert batches > 4
    assert torn > 0


def test_the_same_cuts_lose_receipts_where_commits_are_not_synced(laboratory: Laboratory, powercut: Path) -> None:
    gateway, chances = laboratory.gateway("dc1-gw1", pause=0.01), random.Random(SEED)
    machine = Machine(laboratory.centre, powercut)
    gateway.program.start()
    lost = _collector_cut(laboratory, gateway, machine, chances, LABORATORY_SYNCHRONOUS="NORMAL")
    assert lost > 0


def test_a_collector_whose_disk_lied_is_found_out_by_its_gateways(laboratory: Laboratory, powercut: Path) -> None:
    """What it has acknowledged and lost is never passed over: no gateway believes a log that became shorter."""
    gateway, machine = laboratory.gateway("dc1-gw1", pause=0.01), Machine(laboratory.centre, powercut)
    gateway.program.start()
    laboratory.collector.start(**machine.start(POWERCUT_LIE="12:1000000"))
    laboratory.collector.until("receipts", lambda: len(_acked(gateway)) >= 300, PATIENCE)  # at most 16 a commit
    laboratory.collector.kill()
    known = _acked(gateway)
    machine.cut()
    assert _integrity(laboratory.database) == ["ok"]
    assert known - {text for *_, text in laboratory.ledger(gateway.name)}, "the lie cost nothing"
    laboratory.collector.start()
    gateway.program.until("a word", lambda: "receipt_refused" in gateway.program.said(), PATIENCE)
    assert known <= _acked(gateway)
    assert "the collector's database was set back" in gateway.program.said(), gateway.program.said()[-1500:]


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_two_hundred_power_cuts_at_the_collector(
    mosquitto: Mosquitto, make_laboratory: Callable[[str], Laboratory], powercut: Path
) -> None:
    found = [_cut_collector(make_laboratory(mosquitto.url), powercut, cuts, seed) for seed, cuts in _rounds(CUTS)]
    print(f"\ncollector: {CUTS} power cuts, {sum(one for one, _ in found)} batches, 0 acknowledged ones lost, ledger ="
          f" outbox; {sum(one for _, one in found)} torn sectors, seeds from {SEED}")  # fmt: skip
