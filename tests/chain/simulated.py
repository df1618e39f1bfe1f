"""The whole line in simulated time: true agents on simulated meters, a true collector, releases, the verifier.

A gateway's clocks are moved by hand, and beside them stands what nobody on site knows: the true time. Meters are
functions of the true time, so that every number can be held against the truth.
"""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from agent import sitefile
from agent.ship.outbox import Outbox
from collector.intake import enrol
from collector.series import channels, raw, versions
from collector.series.registers import Registers
from collector.settle import folder, release
from collector.settle.release import Request
from collector.store.engine import Store
from collector.vee.run import catch_up
from shared import batch, envelope, keys, master
from shared.batch import Batch
from shared.clock import US, Discipline
from shared.intervals import Intervals, disagreements
from shared.master import PointVersion
from shared.release import Row
from shared.status import Status
from shared.verify import Report, Ring
from shared.verify_release import release as verify
from tests.collector.conftest import Centre
from tests.fakes import ManualClock
from tests.site_bench import START, Bench, settled

IMPORT = "energy_active_import"
NAME = f"dc1/a.{IMPORT}"
POINT = PointVersion("a", 0, "load", NAME, 900, IMPORT, ())
QUARTER = PointVersion("a", 0, "load", NAME, 300, IMPORT, ())
WRONG, RIGHT = Discipline("U", "none", None), Discipline("S", "chrony", 850)
WH = 1000  # mWh, what a count of the register is worth
Meter = Callable[[int], int]  # true us since the epoch -> register [Wh]


def load(seed: int, days: int = 4, most: int = 90_000, base: int = 5_000_000) -> Meter:
    """Return a register [Wh] under a load that is another one each minute [W]; it begins a day before START."""
    chance = random.Random(seed)
    powers = [chance.randrange(most // 10, most) for _ in range(days * 1440)]
    begun = [0, *accumulate(power * 60 * US for power in powers)]
    first = (START - 86_400) * US

    def register(true: int) -> int:
        minute, rest = divmod(true - first, 60 * US)
        return base + (begun[minute] + powers[minute] * rest) // (3600 * US)

    return register


class Gateway(Bench):
    """A gateway whose true time is known to the test alone; `enrol` is the collector's."""

    def __init__(
        self, folder: Path, centre: Centre, *, name: str = "dc1-gw1", length: int = 300, **meters: str
    ) -> None:
        self.centre, self.name, self.head = centre, name, ""
        folder.mkdir(exist_ok=True)
        super().__init__(folder, length=length, **(meters or {"a": ""}))
        self.ahead = 0  # true time less boot time [us]
        self.boots: dict[str, int] = {}  # the same by boot id
        self.shipped = 0
        self.laws: dict[str, Meter] = {}
        self._begin(START * US)

    def starts(self, true: int, head: str = "") -> None:
        """Begin at another time, with further lines in the head of the site file. [UTC s]"""
        self.clock.step(true - START)
        self.head = head
        self._begin(true * US)

    def _begin(self, true: int) -> None:
        self.ahead = true - self.clock.boot()
        self.boots[self.clock.id] = self.ahead

    def _read(self) -> None:
        super()._read()
        target = self.folder / "site.toml"
        text = target.read_text(encoding="utf-8").replace('agent = "dc1-gw1"', f'agent = "{self.name}"')
        target.write_text(text.replace("[uplink]", f"{self.head}\n[uplink]"), encoding="utf-8")
        self.site, self.profiles = sitefile.load(target)

    def enrol(self) -> None:
        key, now = keys.create(self.site.keys), self.centre.clock.wall()
        token = enrol.issue(self.centre.store, agent=self.name, site="dc1", now=now)
        proof = enrol.proof(token, self.name, "dc1", key)
        enrol.request(self.centre.store, token=token, key=keys.jwk(key.verifier), proof=proof, now=now)
        self.enrolled = enrol.approve(
            self.centre.store, self.centre.log, agent=self.name, collector_key=self.centre.signer.verifier,
            by="anna", now=now,
        )  # fmt: skip
        self.key = key
        outbox = Outbox(self.site.outbox)
        outbox.begin(f"{abs(hash(self.name)):032x}"[-32:], self.enrolled)
        outbox.close()

    def measures(self, meter: str, law: Meter) -> "Gateway":
        """Let a meter show what a law of the true time says. [Wh]"""
        self.laws[meter] = law
        self.bus.laws[meter] = lambda boot: law(boot + self.ahead)
        return self

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def true(self) -> int:
        """Return the true time. [UTC us]"""
        return self.clock.boot() + self.ahead

    def off(self, seconds: float, word: Discipline = WRONG) -> Callable[[object], None]:
        """Return a deed: the wall clock is set so that it is so far ahead of the truth. [s]"""

        def deed(_: object) -> None:
            self.clock.step((self.true - self.clock.wall()) / US + seconds)
            self.clock.word = word

        return deed

    def right(self) -> Callable[[object], None]:
        """Return a deed: a time server puts the clock right."""
        return self.off(0, RIGHT)

    def until(self, minutes: float) -> float:
        """Return the seconds to a true time so many minutes after the first boundary. [s]"""
        return ((START + 50) * US + round(minutes * 60 * US) - self.true) / US

    def to(self, minutes: float) -> Callable[[object], float]:
        return lambda _: self.until(minutes)

    def sleep(self, seconds: float) -> None:
        """Let time pass while the agent is down."""
        self.clock.advance(seconds)

    def power_cut(self, dark: float, wall: int | None = None) -> None:
        """Lose power for some time; the next boot's clock begins where the hardware says. [s, UTC us]"""
        true = self.true + round(dark * US)
        wall = self.clock.wall() + round(dark * US) if wall is None else wall
        word = self.clock.word
        self.clock = ManualClock(wall=wall, boot=20 * US)
        self.clock.word, self.clock.id = word, f"{len(self.boots):032x}"
        self.bus.clock = self.clock
        self._begin(true)

    async def _pass(self, seconds: float) -> None:
        end = self.clock.boot() + round(seconds * US)
        await settled()
        while (wake := self.clock.next_wake) is not None and wake <= end:
            self.clock.advance(max(0, wake - self.clock.boot()) / US)
            await settled()
        self.clock.advance((end - self.clock.boot()) / US)
        await settled()

    # -- what was sealed ----------------------------------------------------------------------------------------------

    def texts(self) -> list[str]:
        """Return every signed string."""
        outbox = Outbox(self.site.outbox, look=True)
        found = list(outbox.texts())
        outbox.close()
        return found

    def batches(self) -> list[Batch]:
        return [batch.decode(envelope.payload(envelope.apart(text))) for text in self.texts()]

    def bodies(self) -> list[Intervals]:
        found = [one.body for one in self.batches() if isinstance(one.body, Intervals)]
        assert all(disagreements(body) == [] for body in found)
        return found


@dataclass
class Told:
    """What the collector believes of a channel over a span."""

    start: int
    length: int
    values: list[int | None]
    status: list[Status]
    registers: Registers

    @property
    def total(self) -> int:
        """Return the sum; every interval has a value."""
        assert None not in self.values, self.rows()
        return sum(value or 0 for value in self.values)

    def rows(self) -> list[tuple[int, int | None, str]]:
        return [
            (self.start + at * self.length, value, status.name)
            for at, (value, status) in enumerate(zip(self.values, self.status, strict=True))
        ]

    def measured(self) -> dict[int, int]:
        """Return what is VALID, by start."""
        return {start: value for start, value, name in self.rows() if name == "VALID" and value is not None}


@dataclass
class Office:
    """A collector with gateways on its site; everything that they sealed is brought to it by `take`."""

    centre: Centre
    folder: Path
    gateways: list[Gateway] = field(default_factory=list)

    def gateway(self, name: str = "dc1-gw1", *, length: int = 300, **meters: str) -> Gateway:
        made = Gateway(self.folder / name, self.centre, name=name, length=length, **meters)
        self.gateways.append(made)
        return made

    def take(self) -> None:
        """Bring what is new to the ledger, in the order of sealing of each gateway, and judge it."""
        self.centre.clock.advance(max(0, *(one.true - self.centre.clock.wall() for one in self.gateways)) / US)
        for gateway in self.gateways:
            texts = gateway.texts()
            outcomes = self.centre.take(*texts[gateway.shipped :]).outcomes
            assert {one.verdict for one in outcomes} <= {"stored"}, outcomes
            gateway.shipped = len(texts)
        catch_up(self.centre.store, self.centre.log, self.centre.clock)

    def told(self, start: int, stop: int, length: int = 300, name: str = NAME) -> Told:
        with self.centre.store.read() as connection:
            number = channels.named(connection, name).id
            found = versions.read(connection, number, start, stop, length)
            seen = raw.read(connection, number, start, stop, length)
        status = [Status(code) for code in found.status.tolist()]
        values = [
            None if code == Status.MISSING else value for code, value in zip(status, found.values.tolist(), strict=True)
        ]
        return Told(start, length, values, status, seen)

    def extent(self, length: int = 300, name: str = NAME) -> tuple[int, int]:
        """Return the first and the last known boundary of a channel. [UTC s]"""
        with self.centre.store.read() as connection:
            number = channels.named(connection, name).id
            first, last = raw.span(connection, number, length) or (0, 0)
            seen = raw.read(connection, number, first, last, length)
        places = seen.known.nonzero()[0]
        return first + int(places[0]) * length, first + int(places[-1]) * length

    def release(self, start: int, stop: int, points: Iterable[PointVersion] = (QUARTER,)) -> tuple[list[Row], Report]:
        """Return the rows of a release with evidence, and what the verifier says of it."""
        with self.centre.store.write() as connection:
            now = self.centre.clock.wall()
            self.centre.log.record(connection, "points", master.body(points), by="anna", now=now)
        catch_up(self.centre.store, self.centre.log, self.centre.clock)
        with self.centre.store.write() as connection:
            asked = Request(start, stop, "preliminary")
            made = release.make(connection, self.centre.log, self.centre.signer, asked, timezone="UTC", now=now)
        with self.centre.store.read() as connection:
            target = folder.write(made, self.folder / "out")
            folder.evidence(connection, self.centre.log, made, self.centre.signer.verifier, target)
        agents = {one.key.verifier.kid: one.key.verifier for one in self.gateways}
        own = self.centre.signer.verifier
        return made.parsed, verify(target, Ring(agents, {own.kid: own}))


def office(store: Store, folder: Path) -> Office:
    """Return a collector over an empty store."""
    return Office(Centre(store), folder)


def reads(gateways: Iterable[Gateway], meter: str = "a", quantity: str = IMPORT) -> dict[int, int]:
    """Return every signed read of a register by its true time. [UTC us, Wh]"""
    found: dict[int, int] = {}
    for gateway in gateways:
        for one in gateway.batches():
            for block in one.body.blocks if isinstance(one.body, Intervals) else ():
                if block.meter != meter:
                    continue
                for times, raws in zip(block.at, block.registers[quantity].raw, strict=True):
                    pairs = zip(times or (), raws or (), strict=False)
                    found |= {at + gateway.boots[one.boot]: value for at, value in pairs if isinstance(value, int)}
    return dict(sorted(found.items()))


def near(law: Meter, start: int, length: int, late: int = 400_000) -> range:
    """Return what an interval may be when its boundaries were read at most so late. [UTC s, s, us -> mWh]"""
    least = law((start + length) * US) - law(start * US + late)
    most = law((start + length) * US + late) - law(start * US)
    return range(least * WH, most * WH + 1)
