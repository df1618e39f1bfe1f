"""Gateways without meters and a collector, each with a disk and points at which it ends: the protocol and no more."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from agent.ship import trust
from agent.ship.courier import Courier
from agent.ship.receipts import Desk
from agent.ship.seal import Sealer
from agent.ship.trust import Trust
from agent.ship.window import Window
from collector.intake import enrol, generation
from collector.intake.intake import Intake, Message
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.store import backup as copies
from collector.store.engine import SQLITE_FILE, Store, open_store
from shared import keys, record, topics
from shared.batch import ClockState
from shared.errors import StoreError
from shared.keys import FileSigner
from tests.fakes import ManualClock
from tests.simulation.disk import Hazard, SimOutbox, SimStore
from tests.simulation.world import Crash

PATIENCE = 30_000_000  # [us]


class Machine:
    """One gateway."""

    def __init__(self, folder: Path, name: str, signer: FileSigner, clock: ManualClock) -> None:
        self.folder, self.name, self.signer, self.clock = folder, name, signer, clock
        self.path, self.hazard = folder / "outbox.sqlite", Hazard()
        self.sealed: dict[tuple[str, int], str] = {}
        self.branches: list[str] = []  # what an older image in the disk's place has forgotten
        self.rows = 0

    def enrolled(self, text: str, epoch: str) -> None:
        """Begin."""
        self.folder.mkdir(parents=True)
        outbox = SimOutbox(self.path, Hazard())
        outbox.begin(epoch, text)
        outbox.close()
        self.start()
        self.sealer.seal_config({"schema": 1})
        self.look()

    def start(self) -> None:
        """Begin as after a restart: what is known is what the disk holds."""
        self.outbox = SimOutbox(self.path, self.hazard)
        text = self.outbox.enrolment() or ""
        first = record.introduce(text)
        known = Trust(self.outbox, first, trust.ring(trust.newest(self.outbox, first)))
        desk = Desk(self.outbox, self.name, "central", known.keys)
        self.courier = Courier(self.outbox, desk, self.clock, Window(16, PATIENCE), known)
        self.courier.connected()
        self.sealer = Sealer(self.outbox, self.signer, self.clock, ("central",), "dc1", self.name, self._word)

    def _word(self) -> ClockState:
        return ClockState("S", "chrony", ((self.clock.boot(), self.clock.wall(), 850),))

    def restart(self) -> None:
        """End as it stands, and start."""
        self.hazard.fuse = None
        self.outbox.close()
        self.start()
        self.look()

    def seal(self, count: int) -> None:
        """Seal so many batches."""
        try:
            for _ in range(count):
                self.sealer.seal(("heartbeat", None))
        except Crash:
            self.restart()
        self.look()

    def begin(self, epoch: str) -> None:
        """Open the next epoch."""
        try:
            self.outbox.begin(epoch, self.outbox.enrolment() or "")
            self.sealer.seal_config({"schema": 1})
        except Crash:
            self.restart()
            if self.outbox.head().seq == 0:
                self.sealer.seal_config({"schema": 1})
        self.look()

    def look(self) -> None:
        """Take note of what the disk promises."""
        rows = self.outbox.rows("SELECT id, epoch, seq, jws FROM batch WHERE id > ? ORDER BY id", (self.rows,))
        for row, epoch, seq, text in rows:
            self.rows = row
            self.sealed[epoch, seq] = text

    def hear(self, topic: str, octets: bytes) -> None:
        """Take a receipt or an announcement."""
        try:
            if topic == topics.records(self.name):
                self.courier.learn(octets)
            else:
                self.courier.take(octets)
        except Crash:
            self.restart()

    def acked(self) -> list[str]:
        """Return what is marked as durable at the collector."""
        return [row[0] for row in self.outbox.rows("SELECT jws FROM batch WHERE acked IS NOT NULL")]

    def image(self, target: Path) -> None:
        """Copy the disk."""
        target.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)

    def roll_back(self, image: Path) -> None:
        """Put an older image in the disk's place."""
        self.outbox.close()
        for old in self.folder.glob("outbox.sqlite*"):
            old.unlink()
        shutil.copyfile(image, self.path)
        self.branches = list(dict.fromkeys([*self.branches, *self.sealed.values()]))
        self.sealed, self.rows = {}, 0
        self.start()
        self.look()

    @property
    def everything(self) -> list[str]:
        """Return all that was ever sealed, each once."""
        return list(dict.fromkeys([*self.branches, *self.sealed.values()]))


class Collector:
    """The collector's end: true intake over a true ledger."""

    def __init__(self, folder: Path, signer: FileSigner, clock: ManualClock) -> None:
        self.folder, self.signer, self.clock, self.hazard = folder, signer, clock, Hazard()
        self.out: list[tuple[str, str]] = []  # what was published, and nobody has taken yet
        self.generation = 1
        self.start()

    def start(self) -> None:
        """Start, and tell everyone what is known."""
        self.store: Store = SimStore(open_store("sqlite", self.folder), self.hazard)
        self.log = Log(self.store, "central", self.signer)
        self.ledger = Ledger(self.store, self.log, self.clock)
        self.intake = Intake(self.ledger, self._publish, lambda: True)

    def _publish(self, topic: str, text: str) -> bool:
        self.hazard("collector: before a receipt")
        self.out.append((topic, text))
        self.hazard("collector: after a receipt")
        return True

    def take(self, messages: list[Message]) -> None:
        """Take a group; the collector may end in it."""
        try:
            self.intake.turn(messages)
        except Crash:
            self.restart()

    def greet(self) -> None:
        """Tell everyone what is known, as at each connect."""
        try:
            self.intake.turn([], greets=True)
        except Crash:
            self.restart()

    def restart(self) -> None:
        """End as it stands, and start."""
        self.hazard.fuse = None
        self.store.close()
        self.start()

    def enrol(self, machine: Machine, epoch: str) -> None:
        """Enrol a gateway."""
        now, key = self.clock.wall(), machine.signer
        token = enrol.issue(self.store, agent=machine.name, site="dc1", now=now)
        proof = enrol.proof(token, machine.name, "dc1", key)
        enrol.request(self.store, token=token, key=keys.jwk(key.verifier), proof=proof, now=now)
        own = self.signer.verifier
        text = enrol.approve(self.store, self.log, agent=machine.name, collector_key=own, by="anna", now=now)
        machine.enrolled(text, epoch)

    def backup(self, target: Path) -> None:
        """Make a backup."""
        target.unlink(missing_ok=True)
        try:
            copies.copy(self.store, target)
        except StoreError as error:
            raise AssertionError("a backup must be possible at any time") from error

    def restore(self, source: Path) -> None:
        """Lose the disk, and go on from a backup in a new generation."""
        self.store.close()
        for old in self.folder.glob(SQLITE_FILE + "*"):
            old.unlink()
        shutil.copyfile(source, self.folder / SQLITE_FILE)
        self.generation += 1
        opened = open_store("sqlite", self.folder)
        log = Log(opened, "central", self.signer)
        generation.restore(
            opened, log, number=self.generation, reason="a disk was lost", by="anna", now=self.clock.wall()
        )  # fmt: skip
        opened.close()
        self.hazard.fuse = None
        self.start()

    def rows(self) -> list[tuple[str, str, int, str, str]]:
        """Return agent, epoch, sequence, state and string of every batch, in the order of the log."""
        with self.store.read() as connection:
            found = connection.exec_driver_sql(
                "SELECT l.agent, l.epoch, l.seq, l.state, b.jws FROM ledger l JOIN ledger_bytes b"
                " ON b.position = l.position WHERE l.typ = 'batch' ORDER BY l.position"
            )
            return [(row[0], row[1], row[2], row[3], row[4]) for row in found]
