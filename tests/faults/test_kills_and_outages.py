"""Campaigns over time: kills at random under load, and outages of a week and a month (facts/trust.md 13: 1, 9, 10)."""

import os
import random
import time
from pathlib import Path

import pytest

from agent.ship import audit
from agent.ship.courier import Courier
from agent.ship.mark import MarkFile
from agent.ship.outbox import Outbox
from agent.ship.window import Window
from collector.intake.authentic import Arrival
from tests.bench.site import body
from tests.chain.pair import Pair
from tests.collector.conftest import Centre
from tests.faults.laboratory import Laboratory, assert_promise
from tests.faults.pair import store_at

SEED = 1
KILLS = int(os.environ.get("WATTSEAL_FAULT_KILLS", "1000"))
START = 1_772_460_000


def _killed(laboratory: Laboratory, kills: int) -> int:
    """Kill a gateway at random moments under load, so often; return how many batches stand in the ledger."""
    laboratory.collector.start()
    gateway, chances = laboratory.gateway("dc1-gw1", pause=0.002), random.Random(SEED)
    for _ in range(kills):
        before = len(gateway.sealed())
        gateway.program.start()
        gateway.program.until("a seal", lambda before=before: len(gateway.sealed()) > before)  # type: ignore[misc] # a default binds the loop's value
        time.sleep(chances.random() * 0.25)
        gateway.program.kill()
    gateway.finish()
    assert "Traceback" not in gateway.program.said()
    assert "outbox_salvaged" not in gateway.program.said()
    return assert_promise(laboratory, gateway)


def test_kills_at_random_lose_nothing_and_double_nothing(laboratory: Laboratory) -> None:
    assert _killed(laboratory, 4) > 4


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_a_thousand_kills_at_random(laboratory: Laboratory) -> None:
    print(f"\nagent killed {KILLS} times at random under load: {_killed(laboratory, KILLS)} batches in the ledger,"
          f" each once, none lost, no hole; seed {SEED}")  # fmt: skip


class Outage:
    """A gateway that seals for days in simulated time while no collector answers, restarts, and then drains."""

    def __init__(self, folder: Path, migrated: Path, *, days: float, length: int, n: int, channels: int) -> None:
        self.folder, self.length, self.n, self.meters = folder, length, n, channels // 2
        self.batches = round(days * 86_400) // (length * n)
        self.store = store_at(folder / "collector", migrated)
        self.pair = Pair(folder, Centre(self.store))
        self.seconds: dict[str, float] = {}
        self.grown = 0

    def seal(self) -> None:
        """Seal batch by batch, as the daemon does; then open the outbox as a start does."""
        before = _memory()
        begin = time.perf_counter()
        for k in range(self.batches):
            made = body(START + k * self.length * self.n, self.n, self.meters, length=self.length)
            self.pair.sealer.seal(("intervals", made), kept={"until": k})
            self.pair.clock.advance(self.length * self.n)
        self.seconds["sealed"], self.grown = time.perf_counter() - begin, _memory() - before
        self.pair.outbox.close()
        begin = time.perf_counter()
        self.pair.outbox = Outbox(self.folder / "dc1-gw1.sqlite")
        audit.check(self.pair.outbox, self.pair.signer.verifier, MarkFile(self.folder / "dc1-gw1.head").read())
        self.seconds["opened"] = time.perf_counter() - begin

    def drain(self) -> None:
        """Send everything through the true window to a true ledger, and hold the promise."""
        outbox, centre = self.pair.outbox, self.pair.centre
        self.pair.resume()
        courier = Courier(outbox, self.pair.desk, self.pair.clock, Window(16, 30_000_000))
        begin = time.perf_counter()
        while outbox.count()["waiting"]:
            batches = [Arrival("dc1-gw1", text.encode()) for text in courier.due()]
            assert batches, "the window stands still"
            for _, receipt in centre.ledger.take(batches).receipts:
                courier.take(receipt.encode())
        self.seconds["drained"] = time.perf_counter() - begin
        with self.store.read() as connection:
            entries = centre.log.entries(connection, 0, centre.log.size(connection))
        assert [one.text for one in entries if one.typ == "batch"] == list(outbox.texts())
        assert (
            courier.counters.sent <= 1.1 * self.batches + 16
        )  # the newest go ahead of the backlog, and once more in it

    @property
    def disk(self) -> float:
        """Return what the outbox takes. [MB]"""
        return sum(path.stat().st_size for path in self.folder.glob("dc1-gw1.sqlite*")) / 1e6

    def run(self) -> str:
        """Go through it; return what it was like."""
        self.seal()
        self.drain()
        self.pair.outbox.close()
        self.store.close()
        times = self.batches * self.n * self.length / self.seconds["drained"]
        took = ", ".join(f"{name} in {value:.1f} s" for name, value in self.seconds.items())
        return (
            f"{self.batches} batches of {self.n} x {self.meters * 2} channels: {took} ({times:.0f} x real time);"
            f" RSS of sealing grew {self.grown / 1e6:.1f} MB, outbox {self.disk:.0f} MB; 0 lost"
        )


def _memory() -> int:
    """Return the resident memory of this process. [bytes]"""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_outage_loses_nothing_and_drains_in_order(tmp_path: Path, migrated: Path) -> None:
    outage = Outage(tmp_path / "outage", migrated, days=0.25, length=60, n=5, channels=10)
    outage.run()
    assert outage.batches == 72


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_week_without_a_collector_at_fifty_channels_a_minute(tmp_path: Path, migrated: Path) -> None:
    days = float(os.environ.get("WATTSEAL_FAULT_WEEK_DAYS", "7"))
    outage = Outage(tmp_path / "outage", migrated, days=days, length=60, n=15, channels=50)
    print(f"\n{days:g} days at 1 min, sealed each 15 min: {outage.run()}")
    assert outage.grown <= 10e6
    assert outage.disk <= 100
    assert outage.seconds["drained"] * 50 <= days * 86_400


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_a_month_without_a_collector_at_two_hundred_channels(tmp_path: Path, migrated: Path) -> None:
    days = float(os.environ.get("WATTSEAL_FAULT_MONTH_DAYS", "30"))
    outage = Outage(tmp_path / "outage", migrated, days=days, length=900, n=1, channels=200)
    print(f"\n{days:g} days at 15 min: {outage.run()}")
    assert outage.seconds["drained"] <= 1800
    assert outage.seconds["opened"] <= 5
