"""A collector in simulated time: the true log, ledger, intake, series, VEE and releases on a disk that fails."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from collector.intake import enrol, generation
from collector.intake.fair import FairQueue
from collector.intake.intake import GROUP, SHARE, SHARE_BYTES, Intake, Message
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.series import channels, project, raw, versions
from collector.series.labels import Waiting, waiting
from collector.series.registers import Registers
from collector.series.versions import Values
from collector.settle import folder as folders
from collector.settle import release
from collector.settle.release import Request
from collector.store import backup as copies
from collector.store.engine import SQLITE_FILE, open_store
from collector.store.migrate import migrate
from collector.vee.run import catch_up
from shared import keys, master
from shared.clock import Discipline
from shared.errors import StoreError
from shared.keys import FileSigner
from shared.master import PointVersion
from shared.release import Row
from shared.verify import Report, Ring
from shared.verify_release import release as verify
from tests.simulation.disk import Hazard, SimStore
from tests.simulation.gateway import Gateway
from tests.simulation.network import Broker
from tests.simulation.world import Crash, SiteClock, World

BUSY = 0.02  # what a group takes [s]


@dataclass
class Open:
    """What lives as long as the program runs."""

    store: SimStore
    log: Log
    ledger: Ledger
    intake: Intake
    queue: FairQueue[Message]


class Centre:
    """The collector."""

    store_type: type[SimStore] = SimStore

    def __init__(self, world: World, broker: Broker, folder: Path) -> None:
        self.world, self.broker, self.folder = world, broker, folder
        self.signer: FileSigner = world.key("central")
        self.clock, self.hazard = SiteClock(world, "central"), Hazard()
        self.clock.word = Discipline("S", "chrony", 100)
        self.agents: dict[str, Gateway] = {}
        self.open: Open | None = None
        self.life = 0
        self.planned = False
        self.numbers = 1  # of the newest generation
        self.durable: set[bytes] = set()  # digests of what stands in the ledger
        self.positions = self.seen_commits = 0
        opened = open_store("sqlite", folder)
        migrate(opened)
        opened.close()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the collector, and connect it."""
        if self.open is not None:
            return
        store = self.store_type(open_store("sqlite", self.folder), self.hazard)
        try:
            log = Log(store, "central", self.signer)
            ledger = self.make_ledger(store, log)
        except Crash as crash:
            store.close()
            self.ended(crash)
            return
        intake = Intake(ledger, self._publish, lambda: True)
        self.open = Open(store, log, ledger, intake, FairQueue(SHARE, SHARE_BYTES))
        self.positions = 0
        before, self.durable = self.durable, set()
        store.commits += 1
        self._look()
        self.world.law(before <= self.durable, "what a collector committed stays", len(before - self.durable))
        self.world.note("the collector started")
        self.world.living(self, 60, self._stays_connected)
        self.connect()

    def make_ledger(self, store: SimStore, log: Log) -> Ledger:
        """Return the ledger; a broken variant returns another."""
        return Ledger(store, log, self.clock)

    def connect(self) -> None:
        """Connect to the broker, again and again."""
        if self.open is None:
            return
        if not self.broker.subscribe(self.arrive):
            return
        self.guard(lambda: self.opened.intake.turn([], greets=True))

    def _stays_connected(self) -> None:
        self.world.living(self, 60, self._stays_connected)
        if self.broker.arrived is None:
            self.connect()

    @property
    def opened(self) -> Open:
        """Return what runs."""
        if self.open is None:
            raise AssertionError("the collector is down")
        return self.open

    def guard(self, deed: Callable[[], None]) -> None:
        """Do something in which the program may end."""
        if self.open is None:
            return
        try:
            deed()
        except Crash as crash:
            self.ended(crash)
        except StoreError as error:  # what a command tells its user
            self.world.note("a database refused", str(error))
        else:
            if self.open is not None:  # it may have ended, and been stopped, within the deed
                self._look()

    def ended(self, crash: Crash) -> None:
        """Take note that the program ended, and start it after a while."""
        self.world.note("the collector crashed", str(crash))
        self._look()
        self.stop()
        self.world.after(5 + self.world.chance("centre").random() * 600, self.start)

    def stop(self) -> None:
        """End the program as it stands."""
        self.life += 1
        self.seen_commits = 0
        self.hazard.fuse, self.planned = None, False
        self.broker.arrived = None
        if self.open is not None:
            self.open.store.close()
            self.open = None

    def power_cut(self, dark: float) -> None:
        """Lose power: what was not synced is gone. [s]"""
        if self.open is None:
            return
        self.world.note("power was cut at the centre")
        self.open.store.wal.cut(self.world.chance("disks"), self.folder / "left" / SQLITE_FILE)
        self.stop()
        for old in self.folder.glob(SQLITE_FILE + "*"):
            old.unlink()
        for new in (self.folder / "left").iterdir():
            new.replace(self.folder / new.name)
        self.world.after(dark, self.start)

    def backup(self) -> None:
        """Copy the database while it is in use."""
        target = self.folder / "backup.db"
        target.unlink(missing_ok=True)
        copies.copy(self.opened.store, target)

    def restore(self) -> bool:
        """Lose the database and go on from the last backup, in a new generation; return False where there is none."""
        source = self.folder / "backup.db"
        if self.open is None or not source.exists():
            return False
        self.stop()
        self.numbers += 1
        copies.put_in_place(source, self.folder)
        shutil.rmtree(self.folder / "replaced-1")
        store = open_store("sqlite", self.folder)
        log = Log(store, "central", self.signer)
        now = self.clock.wall()
        generation.restore(store, log, number=self.numbers, reason="a disk was lost", by="anna", now=now)
        store.close()
        self.world.note("the collector was restored", log.id)
        self.durable = set()
        self.start()
        return True

    # -- batches ------------------------------------------------------------------------------------------------------

    def arrive(self, message: Message) -> None:
        """Take a message from the broker."""
        if self.open is None:
            return
        if not self.open.queue.put(message.agent, message, len(message.octets)):
            self.world.note("over its share", message.agent)
            message.acknowledge()
        self._plan()

    def _plan(self) -> None:
        if not self.planned:
            self.planned = True
            self.world.living(self, BUSY, self._turn)

    def _turn(self) -> None:
        self.planned = False
        running = self.opened
        group = running.queue.take(GROUP)
        running.intake.turn(group)
        if running.intake.problem is not None:
            self.world.note("a database refused", running.intake.problem)
            self.broker.arrived = None  # what was not acknowledged comes again with the next connection
        elif running.queue:
            self._plan()

    def _publish(self, topic: str, text: str) -> bool:
        self.hazard("collector: before a receipt")
        done = self.broker.down(topic, text)
        self.hazard("collector: after a receipt")
        return done

    def _look(self) -> None:
        """Take note of what has become durable."""
        if self.seen_commits == self.opened.store.commits:
            return
        self.seen_commits = self.opened.store.commits
        database = sqlite3.connect(self.folder / SQLITE_FILE)
        rows = database.execute("SELECT position, sha256 FROM ledger WHERE position >= ?", (self.positions,))
        found = rows.fetchall()
        database.close()
        for position, digest in found:
            self.durable.add(digest)
            self.positions = max(self.positions, position + 1)
            self.world.note("durable", position, digest.hex())

    # -- office -------------------------------------------------------------------------------------------------------

    def enrol(self, gateway: Gateway) -> None:
        """Enrol a gateway."""
        running, now, key = self.opened, self.clock.wall(), gateway.signer
        name, site = gateway.name, gateway.site.site
        token = enrol.issue(running.store, agent=name, site=site, now=now)
        proof = enrol.proof(token, name, site, key)
        enrol.request(running.store, token=token, key=keys.jwk(key.verifier), proof=proof, now=now)
        own = self.signer.verifier
        record = enrol.approve(running.store, running.log, agent=name, collector_key=own, by="anna", now=now)
        gateway.enrolled(record)
        self.agents[name] = gateway

    def points(self, points: list[PointVersion]) -> None:
        """Write down what is settled."""
        running = self.opened
        with running.store.write() as connection:
            running.log.record(connection, "points", master.body(points), by="anna", now=self.clock.wall())

    def read_in(self) -> None:
        """Bring the series up to the end of the ledger."""
        while (done := project.catch_up(self.opened.store)).stop > done.first:
            pass

    def judge(self) -> None:
        """Bring series and versions up to the end of the ledger."""
        catch_up(self.opened.store, self.opened.log, self.clock)

    def registers(self, name: str, start: int, stop: int, length: int) -> Registers:
        """Return the register of a channel as the collector has it."""
        with self.opened.store.read() as connection:
            return raw.read(connection, channels.named(connection, name).id, start, stop, length)

    def values(self, name: str, start: int, stop: int, length: int) -> Values:
        """Return what is believed of a channel."""
        with self.opened.store.read() as connection:
            return versions.read(connection, channels.named(connection, name).id, start, stop, length)

    def knows(self, name: str) -> bool:
        """Return whether a channel has had any value."""
        with self.opened.store.read() as connection:
            return name in {one.name for one in channels.every(connection)}

    def newest(self) -> int:
        """Return the time of the newest leaf. [UTC us]"""
        with self.opened.store.read() as connection:
            return int(connection.exec_driver_sql("SELECT time FROM log_head").scalar_one())

    def early(self) -> list[Waiting]:
        """Return what waits because it is labelled in the future."""
        with self.opened.store.read() as connection:
            return waiting(connection)

    def batches(self, agent: str) -> list[tuple[str, int, str, str]]:
        """Return epoch, sequence, string and state of everything that stands in the ledger of an agent."""
        with self.opened.store.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT l.epoch, l.seq, b.jws, l.state FROM ledger l JOIN ledger_bytes b ON b.position = l.position"
                " WHERE l.agent = ? AND l.typ = 'batch' ORDER BY l.position",
                (agent,),
            )
            return [(str(row[0]), int(row[1]), str(row[2]), str(row[3])) for row in rows]

    def findings(self, agent: str) -> set[str]:
        """Return the rules that have found something of an agent."""
        with self.opened.store.read() as connection:
            rows = connection.exec_driver_sql("SELECT DISTINCT rule FROM finding WHERE agent = ?", (agent,))
            return set(rows.scalars())

    def release(self, start: int, stop: int, number: int) -> tuple[list[Row], Report]:
        """Return the rows of a preliminary release with its evidence, and what the verifier says of it. [UTC s]"""
        running = self.opened
        with running.store.write() as connection:
            asked = Request(start, stop, "preliminary")
            now = self.clock.wall()
            made = release.make(connection, running.log, self.signer, asked, timezone="UTC", now=now)
        with running.store.read() as connection:
            target = folders.write(made, self.folder / f"out-{number}")
            folders.evidence(connection, running.log, made, self.signer.verifier, target)
        agents = {key.kid: key.verifier for one in self.agents.values() for key in one.signers}
        report = verify(target, Ring(agents, {self.signer.kid: self.signer.verifier}))
        self.world.note("released", start, stop, made.id, len(report.failures))
        shutil.rmtree(target)
        return made.parsed, report
