"""A real collector's inlet and real gateways' uplinks in one process, over whatever link a test puts between them."""

import asyncio
import os
import shutil
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk
from agent.ship.seal import Sealer
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from collector.intake import enrol
from collector.intake.authentic import Arrival
from collector.intake.inlet import Inlet
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.intake.mqtt import Broker as CollectorBroker
from collector.store.engine import Store, open_store
from shared import keys
from shared.batch import ClockState, Event
from shared.clock import SystemClock
from tests.fakes import reads
from tests.faults.agent_program import START, STEP
from tests.faults.laboratory import assert_energy

WITHIN = 150.0  # [s]
KEEPALIVE = 30  # [s]


@dataclass(slots=True)
class Site:
    """One gateway."""

    name: str
    outbox: Outbox
    sealer: Sealer
    uplink: Uplink

    def seal(self, count: int) -> None:
        """Seal the next intervals, each a batch."""
        until = self.outbox.get("until") or 0
        for k in range(until, until + count):
            body = reads(START + k * 300, [STEP * k, STEP * (k + 1)])
            self.sealer.seal(("intervals", body), kept={"until": k + 1})
        self.uplink.kick()

    def seal_event(self, size: int) -> None:
        """Seal a batch of about that size that holds no interval. [bytes]"""
        self.sealer.seal(("event", (Event(None, "noise", 1, 1, 1, {"text": "x" * (size * 3 // 4)}),)))
        self.uplink.kick()

    @property
    def waiting(self) -> int:
        """Return how many batches are not acknowledged."""
        return self.outbox.count()["waiting"]


@dataclass
class Pair:
    """A collector `central` with its gateways; `end` closes all."""

    folder: Path
    migrated: Path
    centre_url: str
    keepalive: int = KEEPALIVE
    sites: list[Site] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = store_at(self.folder / "collector", self.migrated)
        self.key = keys.generate()
        self.clock = SystemClock()
        self.log = Log(self.store, "central", self.key)
        self.ledger = Ledger(self.store, self.log, self.clock)
        self.inlet = self._inlet()

    def _inlet(self) -> Inlet:
        return Inlet(self.ledger, CollectorBroker(self.centre_url, "wattseal-central", keepalive=self.keepalive))

    def enrol(self, name: str, signer: keys.FileSigner) -> str:
        """Return the enrolment record of a gateway of site dc1."""
        now = self.clock.wall()
        token = enrol.issue(self.store, agent=name, site="dc1", now=now)
        proof = enrol.proof(token, name, "dc1", signer)
        enrol.request(self.store, token=token, key=keys.jwk(signer.verifier), proof=proof, now=now)
        return enrol.approve(
            self.store, self.log, agent=name, collector_key=self.key.verifier, by="anna", now=self.clock.wall()
        )

    def site(self, name: str, url: str, *, window: int = 16, patience_s: float = 0.3) -> Site:
        """Return an enrolled gateway that has sealed its configuration."""
        signer, folder = keys.generate(), self.folder / name
        record = self.enrol(name, signer)
        folder.mkdir()
        outbox = Outbox(folder / "outbox.sqlite")
        outbox.begin(uuid.uuid4().hex, record)

        def word() -> ClockState:
            return ClockState("S", "chrony", ((self.clock.boot(), self.clock.wall(), 850),))

        sealer = Sealer(outbox, signer, self.clock, ("central",), "dc1", name, word)
        sealer.seal_config({"schema": 1})
        desk = Desk(outbox, name, "central", {self.key.kid: self.key.verifier})
        courier = Courier(outbox, desk, self.clock, Window(window, round(patience_s * 1e6)))
        uplink = Uplink(Broker(url, keepalive=self.keepalive), name, courier, self.clock, lambda: {"boot": "b"})
        uplink.first_retry = 0.1
        self.sites.append(Site(name, outbox, sealer, uplink))
        return self.sites[-1]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the inlet and every uplink."""
        self._keep_blank()
        self.inlet.start()
        tasks = [asyncio.create_task(site.uplink.run()) for site in self.sites]
        try:
            yield
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self.inlet.stop)
            assert self.inlet.fault is None

    def pause(self) -> None:
        """Take the collector off; its session stays with the broker."""
        self.inlet.stop()

    def go_on(self) -> None:
        """Start the collector again."""
        self.inlet = self._inlet()
        self.inlet.start()

    def _keep_blank(self) -> None:
        """Keep the ledger as it was before the first batch."""
        blank = self.folder / "blank.db"
        if not blank.exists():
            with closing(self.store.engine.raw_connection()) as connection:  # VACUUM runs outside any transaction
                connection.cursor().execute("VACUUM INTO ?", (str(blank),))

    async def all_acknowledged(self, within: float = WITHIN) -> float:
        """Wait until nothing waits; return how long that took. [s]"""
        begin = time.monotonic()
        await until("every receipt", lambda: not any(site.waiting for site in self.sites), within)
        return time.monotonic() - begin

    def texts(self, name: str) -> list[tuple[str, str]]:
        """Return (state, text) of a gateway's batches in the order of the log."""
        return _texts(self.store, self.log, name)

    def assert_promise(self) -> None:
        """Hold the promise for each gateway: the ledger is the outbox, byte for byte and in its order."""
        for site in self.sites:
            held = list(site.outbox.texts())
            assert self.texts(site.name) == [("admitted", text) for text in held]
            assert_energy(held)

    def assert_as_a_clean_run(self, folder: Path) -> None:
        """Compare with a ledger that was given the same batches over a perfect link."""
        clean = store_at(folder, self.folder / "blank.db")
        log = Log(clean, "central", self.key)
        ledger = Ledger(clean, log, self.clock)
        for site in self.sites:
            ledger.take([Arrival(site.name, text.encode()) for text in site.outbox.texts()])
        found = {site.name: _texts(clean, log, site.name) for site in self.sites}
        clean.close()
        assert found == {site.name: self.texts(site.name) for site in self.sites}

    def end(self) -> None:
        """Close every database."""
        for site in self.sites:
            site.outbox.close()
        self.store.close()


def _texts(store: Store, log: Log, name: str) -> list[tuple[str, str]]:
    with store.read() as connection:
        entries = log.entries(connection, 0, log.size(connection))
    return [(one.state, one.text or "") for one in entries if one.agent == name and one.typ == "batch"]


def store_at(folder: Path, migrated: Path) -> Store:
    """Return an empty store of its own."""
    folder.mkdir(parents=True)
    shutil.copy(migrated, folder / "collector.db")
    return open_store("sqlite", folder)


async def until(what: str, holds: Callable[[], object], within: float = WITHIN) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"waited {within:.0f} s for {what}"
        await asyncio.sleep(0.01)


def count(name: str, default: int) -> int:
    """Return how often a campaign repeats, as the environment says."""
    return int(os.environ.get(name, str(default)))
