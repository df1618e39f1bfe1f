"""A site gateway in simulated time: the true agent, driven as its daemon drives it, on a disk and a link that fail."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from agent import main, rotation, sitefile
from agent.acquire.drivers.base import BlockRead, Identity
from agent.daemon import Agent
from agent.enrolment import custody_of
from agent.keystore import store
from agent.ship.outbox import Sealed
from shared import topics
from shared.clock import US, Discipline
from shared.envelope import digest
from shared.errors import ReadError, StoreError
from shared.keys import FileSigner
from tests.fakes_agent import Bus
from tests.simulation.disk import Hazard, SimOutbox
from tests.simulation.meters import Meter
from tests.simulation.network import Broker
from tests.simulation.world import DAY, Crash, SiteClock, World

SITE = """
schema = 1
site = "{site}"
agent = "{agent}"
interval_s = 900
data_dir = "{folder}"
[uplink]
broker = "mqtt://127.0.0.1:1"
retention_days = {retention}
[modbus_tcp.room]
host = "127.0.0.1"
"""
METER = """
[[meter]]
id = "{id}"
profile = "siemens-pac1600"
bus = "room"
unit = {unit}
role = "load"
quantities = ["energy_active_import"]
max_power_kW = 100
poll_s = {poll}
"""
IMPORT = "energy_active_import"
LENGTH = 900  # [s]
TICK = 0.32  # after a boundary, when every read within the tolerance is there [s]
RETRY = 31.0  # [s]


@dataclass
class Sealing:
    """Every batch that a gateway has promised, as the test saw it on its disk."""

    texts: dict[tuple[str, int], str] = field(default_factory=dict)
    rows: int = 0
    branches: list[str] = field(default_factory=list)  # what was sealed before an older image took the disk's place

    def all(self) -> list[str]:
        """Return everything, each once."""
        return list(dict.fromkeys([*self.branches, *self.texts.values()]))

    def rolled_back(self) -> None:
        """Begin anew with an older disk."""
        self.branches = self.all()
        self.texts, self.rows = {}, 0

    def see(self, outbox: SimOutbox) -> list[Sealed]:
        """Take note of what is new on disk."""
        found = outbox.rows("SELECT id, epoch, seq, jws FROM batch WHERE id > ? ORDER BY id", (self.rows,))
        for row, epoch, seq, text in found:
            self.rows = row
            self.texts[epoch, seq] = text
        return [Sealed(epoch, seq, text) for _, epoch, seq, text in found]


class Gateway:
    """One gateway with its meters."""

    outbox_type: type[SimOutbox] = SimOutbox

    def __init__(
        self, world: World, broker: Broker, folder: Path, name: str, meters: list[Meter], *,
        site: str = "dc1", poll: int = 300, retention: int = 3,
        acknowledged: Callable[["Gateway", str, str], None] = lambda *_: None,
    ) -> None:  # fmt: skip
        self.world, self.broker, self.folder, self.name, self.meters = world, broker, folder, name, meters
        self.poll, self.retention, self.acknowledged = poll, retention, acknowledged
        self.clock, self.hazard, self.sealing = SiteClock(world, name), Hazard(), Sealing()
        self.agent: Agent | None = None
        self.linked = False
        self.life = 0  # counts starts and ends: what was planned for an earlier life does not happen
        self.retired = False
        self.flooding = 0
        self.signer: FileSigner = world.key(name)
        self.signers = [self.signer]  # in the order of their turns
        self._lay_out(site)
        self.site, self.profiles = sitefile.load(folder / "site.toml")

    def _lay_out(self, site: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        text = SITE.format(site=site, agent=self.name, folder=self.folder, retention=self.retention)
        for unit, meter in enumerate(self.meters, start=1):
            text += METER.format(id=meter.id, unit=unit, poll=self.poll)
        (self.folder / "site.toml").write_text(text, encoding="utf-8")

    def enrolled(self, record: str) -> None:
        """Take the record of the enrolment and begin the first epoch."""
        self._save_key("signing", self.signer)
        outbox = self.outbox_type(self.site.outbox, Hazard())
        outbox.begin(self.world.hex(f"epoch {self.name}"), record)
        outbox.close()

    def _save_key(self, name: str, signer: FileSigner) -> None:
        target = self.site.keys / f"{name}.key"
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        pem = signer.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        target.write_bytes(pem)
        target.chmod(0o600)

    def rotate(self) -> None:
        """Change the signing key, as `agent rotate` asks a running agent to."""
        name = store.following(custody_of(self.site, self._outbox).name)
        following = self.world.key(f"{self.name} {name}")
        self._save_key(name, following)  # a key that is there already is the one that is taken
        self.signers.append(following)
        self.world.note("a signing key was changed", self.name)
        try:
            rotation.rotate(self.site, self._outbox, self._agent.sealer)
        finally:
            if self.agent is not None:
                self._observe()

    # -- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the agent."""
        if self.retired or self.agent is not None:
            return
        self.life += 1
        try:
            outbox = self.outbox_type(self.site.outbox, self.hazard)
            self._opened(outbox)
        except StoreError as error:
            self.world.note("an agent could not start", self.name, str(error))
            self.world.after(60, self.start)

    def _opened(self, outbox: SimOutbox) -> None:
        try:
            driver = Bus(self.clock, {})  # only its plan of requests is used
            self.agent = main._assemble(self.site, self.profiles, self.clock, outbox, {"room": driver})
        except Crash as crash:
            outbox.close()
            self._ended(crash)
            return
        except StoreError:
            outbox.close()
            raise
        self.world.note("an agent started", self.name)
        self._observe()
        for meter in self.meters:
            meter.was_silent = True
        self._plan_next()
        self.world.living(self, 2 + self.world.chance("agents").random() * 5, self.connect)
        self.world.living(self, 3600, self.prune)

    def guard(self, deed: Callable[[], None]) -> None:
        """Do something in which the program may end."""
        if self.agent is None:
            return
        try:
            deed()
        except Crash as crash:
            self._ended(crash)
        except StoreError as error:  # the daemon tries again
            self.world.note("an outbox refused", self.name, str(error))

    def _ended(self, crash: Crash) -> None:
        self.world.note("an agent crashed", self.name, str(crash))
        self.stop()
        self.world.after(5 + self.world.chance("agents").random() * 600, self.start)

    def stop(self) -> None:
        """End the program as it stands."""
        self.life += 1
        self.hazard.fuse = None
        self.broker.disconnect(self)
        self.linked = False
        if self.agent is not None:
            self._outbox.close()
            self.agent = None

    @property
    def _outbox(self) -> SimOutbox:
        if self.agent is None or not isinstance(self.agent.outbox, SimOutbox):
            raise AssertionError(f"{self.name} is down")
        return self.agent.outbox

    def power_cut(self, dark: float) -> None:
        """Lose power: what was not synced is gone. [s]"""
        if self.agent is None:
            return
        self.world.note("power was cut at a site", self.name)
        left = self.folder / "left" / self.site.outbox.name
        self._outbox.wal.cut(self.world.chance("disks"), left)
        self.stop()
        for old in self.site.outbox.parent.glob(self.site.outbox.name + "*"):
            old.unlink()
        for new in left.parent.iterdir():
            new.replace(self.site.outbox.parent / new.name)
        self.clock.reboot()
        self.world.after(dark, self.start)

    # -- meters -------------------------------------------------------------------------------------------------------

    def _plan_next(self) -> None:
        step = self.poll * US
        left = (step - self.clock.wall() % step) / US
        self.world.living(self, left + 0.001, self._boundary)

    def _boundary(self) -> None:
        self._plan_next()
        self._tick()
        late = 0.02 + self.world.chance("meters").random() / 6
        self.world.living(self, late, self._read)
        self.world.living(self, TICK, self._settle)

    def _read(self) -> None:
        for meter in self.meters:
            self._read_one(meter)

    def _read_one(self, meter: Meter) -> None:
        agent, now = self._agent, self.world.now
        if now < meter.silent_until:
            meter.was_silent = True
            agent.failed(meter.id, ReadError(f"{meter.id}: no answer"))
            return
        if meter.was_silent:
            self._identify(meter)
            meter.was_silent = False
        agent.deliver(self._answer(meter))
        if meter.id in agent.builder.doubtful:
            self._identify(meter)

    def _answer(self, meter: Meter) -> BlockRead:
        at = self.clock.boot()
        return BlockRead(meter.id, 0, at - 15_000, at, {IMPORT: meter.shows(self.world.now)}, {})

    def _identify(self, meter: Meter) -> None:
        target = main._target(next(one for one in self.site.meter if one.id == meter.id), self.profiles)
        self._agent.identified(target, Identity(meter.era(self.world.now).serial))

    @property
    def _agent(self) -> Agent:
        if self.agent is None:
            raise AssertionError(f"{self.name} is down")
        return self.agent

    def _settle(self) -> None:
        self._tick()
        for _ in range(self.flooding):
            self._agent.sealer.seal(("heartbeat", None))
        self._observe()
        self.send()

    def _tick(self) -> None:
        try:
            self._agent.tick()
        except StoreError as error:
            self.world.note("an outbox refused", self.name, str(error))
        self._observe()

    def _observe(self) -> None:
        for one in self.sealing.see(self._outbox):
            self.world.note("sealed", self.name, one.epoch, one.seq, digest(one.text).hex())

    def prune(self) -> None:
        """Delete what is old and acknowledged, as the daemon does each hour."""
        self.world.living(self, 3600, self.prune)
        try:
            self._outbox.prune(self.clock.wall() - self.retention * DAY * US)
        except StoreError as error:
            self.world.note("an outbox refused", self.name, str(error))

    # -- the link -----------------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Connect to the broker, again and again."""
        if self.linked:
            return
        if not self.broker.connect(self):
            self.world.living(self, 20 + self.world.chance("agents").random() * 40, self.connect)
            return
        self.linked = True
        self._agent.uplink.courier.connected()
        self.send()
        self.world.living(self, RETRY, self._look)

    def disconnected(self) -> None:
        """Take note that the link is gone."""
        self.linked = False
        self.world.living(self, 1 + self.world.chance("agents").random() * 60, self.connect)

    def _look(self) -> None:
        """Look again and again for batches whose receipt did not come."""
        if self.linked:
            self.send()
            self.world.living(self, RETRY if self._agent.uplink.courier.window.sent else 4 * RETRY, self._look)

    def send(self) -> None:
        """Send what is due."""
        if not self.linked:
            return
        for text in self._agent.uplink.courier.due():
            self.hazard("agent: before a publish")
            self.broker.up(self.name, text.encode())
            self.hazard("agent: after a publish")

    def receive(self, topic: str, octets: bytes) -> None:
        """Take a receipt or an announcement."""
        self.guard(lambda: self._receive(topic, octets))

    def _receive(self, topic: str, octets: bytes) -> None:
        before, courier = self._acked(), self._agent.uplink.courier
        try:
            more = courier.learn(octets) if topic == topics.records(self.name) else courier.take(octets)
        finally:
            self._newly(before)
        if more:
            self.send()

    def _acked(self) -> int:
        found = self._outbox._row("SELECT MIN(id) FROM batch WHERE acked IS NULL")
        return int(found[0] or self.sealing.rows + 1)

    def _newly(self, before: int) -> None:
        """Tell the model what has just been marked."""
        rows = self._outbox.rows(
            "SELECT epoch, seq, jws FROM batch WHERE id >= ? AND acked IS NOT NULL ORDER BY id", (before,)
        )
        for epoch, seq, text in rows:
            self.world.note("acknowledged", self.name, epoch, seq)
            self.acknowledged(self, epoch, text)

    # -- images -------------------------------------------------------------------------------------------------------

    def image(self, folder: Path) -> None:
        """Copy the disk, as an image of a machine is made: consistent, while the agent runs."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(self.folder / "keys", folder / "keys")
        source, target = sqlite3.connect(self.site.outbox), sqlite3.connect(folder / self.site.outbox.name)
        source.backup(target)
        source.close()
        target.close()

    def rolled_back(self, image: Path) -> None:
        """Put an older image in the place of the disk."""
        self.stop()
        for old in self.site.outbox.parent.glob(self.site.outbox.name + "*"):
            old.unlink()
        shutil.copyfile(image / self.site.outbox.name, self.site.outbox)
        self.sealing.rolled_back()
        self.clock.reboot()
        self.world.after(60, self.start)

    def clone(self, folder: Path) -> "Gateway":
        """Return another gateway that begins as a copy of this one's disk and reads the same meters."""
        self.image(folder)
        made = type(self)(
            self.world, self.broker, folder, self.name, self.meters, poll=self.poll, retention=self.retention,
            acknowledged=self.acknowledged,
        )  # fmt: skip
        made.clock = SiteClock(self.world, f"{self.name} cloned")
        return made

    def wall(self, ahead: float, word: Discipline) -> None:
        """Step the wall clock to so far ahead of the truth. [s]"""
        self.clock.ahead, self.clock.word = round(ahead * US), word
