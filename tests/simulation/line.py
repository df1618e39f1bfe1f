"""The whole line under one seed: its parts, what befalls them, and the end at which every law is held."""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from collector.series import early
from shared.clock import US, Discipline
from shared.envelope import digest
from shared.errors import ConfigError
from shared.master import PointVersion
from shared.registers import Mark
from shared.status import Status
from tests.simulation.centre import Centre
from tests.simulation.faults import Faults
from tests.simulation.gateway import IMPORT, LENGTH, Gateway
from tests.simulation.meters import Meter
from tests.simulation.network import Broker
from tests.simulation.world import DAY, START, World

QUIET = DAY // 6  # without faults, at the end [s]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is simulated."""

    seed: int
    days: float = 3
    faults: Faults = field(default_factory=Faults)
    poll: int = 300  # [s]
    release_every: int = 1  # [days]


class Line:
    """Two sites, a broker and a collector."""

    gateway_type: type[Gateway] = Gateway
    centre_type: type[Centre] = Centre

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.world = plan, World(plan.seed)
        self.broker = Broker(self.world, plan.faults)
        self.centre = self.centre_type(self.world, self.broker, folder / "centre")
        self.centre.start()
        world, days = self.world, ceil(plan.days) + 5
        self.meters = [Meter(name, world.chance(f"meter {name}"), days) for name in ("a", "b", "c")]
        self.gateways = [
            self._gateway(folder / "gw1", "dc1-gw1", self.meters[:2]),
            self._gateway(folder / "gw2", "dc1-gw2", self.meters[2:]),
        ]
        for gateway in self.gateways:
            self.centre.enrol(gateway)
        self.points = [PointVersion(one.id, 0, "load", self.channel(one), LENGTH, IMPORT, ()) for one in self.meters]
        self.centre.points(self.points)
        self.acknowledged: set[bytes] = set()
        self.doubtful: list[tuple[int, int]] = []  # true times in which the wall clock of gateway 1 was wrong [us]
        self.shadows: list[Gateway] = []  # clones
        self.forked: set[str] = set()  # agents that were cloned or rolled back
        self.releases = 0
        self.quiet = False

    def _gateway(self, folder: Path, name: str, meters: list[Meter]) -> Gateway:
        return self.gateway_type(
            self.world, self.broker, folder, name, meters, poll=self.plan.poll, acknowledged=self._acknowledged
        )

    @staticmethod
    def channel(meter: Meter) -> str:
        """Return the channel of a meter."""
        return f"dc1/{meter.id}.{IMPORT}"

    def _acknowledged(self, gateway: Gateway, epoch: str, text: str) -> None:
        hashed = digest(text)
        self.world.law(
            hashed in self.centre.durable, "a receipt acknowledges only what is durable", gateway.name, epoch
        )  # fmt: skip
        self.acknowledged.add(hashed)

    # -- running ------------------------------------------------------------------------------------------------------

    def run(self) -> "Line":
        """Run to the end, and hold every law."""
        for gateway in self.gateways:
            gateway.start()
        self._plan_incidents()
        self.world.after(DAY // 4, self._back_up)
        self.world.after(DAY + 3700, self._daily)
        self.world.until(self._end)
        self._be_quiet()
        self.world.until(self._end + QUIET * US)
        self._finish()
        return self

    @property
    def _end(self) -> int:
        """Return when the last fault may happen. [UTC us]"""
        return (START + round(self.plan.days * DAY)) * US

    def _back_up(self) -> None:
        self.world.after(DAY // 4, self._back_up)
        self.centre.guard(self.centre.backup)
        self.centre.guard(self._read_in)

    def _daily(self) -> None:
        self.world.after(DAY, self._daily)
        self.hold_outboxes()
        self.centre.guard(self._judge)
        day = round(self.world.day)
        if self.centre.open is not None and day % self.plan.release_every == 0:
            stop = START + (day - 1) * DAY
            self.centre.guard(lambda: self.release(stop - self.plan.release_every * DAY, stop))

    def release(self, start: int, stop: int) -> None:
        """Make a release and hold it against the truth. [UTC s]"""
        self.releases += 1
        try:
            rows, report = self.centre.release(start, stop, self.releases)
        except ConfigError as error:
            self.world.note("a release was refused", str(error))
            return
        self.world.law(report.good, "a release is proved by the verifier", *report.failures[:3])
        by = {one.id: one for one in self.meters}
        for row in rows:
            if "late" not in row.flags:  # a boundary between two reads far apart says that it is one
                self._hold_row(by[row.point], row.start, row.value, row.status)

    def _hold_row(self, meter: Meter, start: int, value: int | None, status: str) -> None:
        """Hold that what is called measured is the truth, as far as boundaries may be late."""
        if value is None or status not in ("VALID", "VERIFIED", "CALCULATED", "RAW") or self.is_doubtful(start):
            return
        self.world.law(
            value in near(meter, start, LENGTH), "a measured value is the truth",
            meter.id, start, value, near(meter, start, LENGTH), status,
        )  # fmt: skip

    def is_doubtful(self, start: int) -> bool:
        """Return whether a wrong clock may have placed an interval. [UTC s]"""
        first, stop = (start - LENGTH) * US, (start + 2 * LENGTH) * US
        return any(begin < stop and first < end for begin, end in self.doubtful)

    # -- incidents ----------------------------------------------------------------------------------------------------

    def _plan_incidents(self) -> None:
        from tests.simulation.incidents import INCIDENTS

        for name, deed in INCIDENTS.items():
            self._recurs(name, deed)

    def _recurs(self, name: str, deed: Callable[["Line"], None]) -> None:
        rate, chance = getattr(self.plan.faults, name), self.world.chance(f"when {name}")
        if not rate:
            return
        if name in ("clone", "rollback"):
            self.world.after(DAY * self.plan.days * (0.3 + 0.3 * chance.random()), lambda: deed(self))
            return

        def again() -> None:
            if not self.quiet:
                deed(self)
                self.world.after(chance.expovariate(rate / DAY), again)

        self.world.after(chance.expovariate(rate / DAY), again)

    def any_gateway(self, what: str) -> Gateway:
        """Return one of the gateways."""
        return self.world.chance(what).choice(self.gateways)

    def _be_quiet(self) -> None:
        """End all faults: everything runs and is connected."""
        self.quiet = True
        self.broker.faults = Faults.none()
        for name in list(self.broker.cut):
            self.broker.mend(name)
        for gateway in [*self.gateways, *self.shadows]:
            gateway.hazard.fuse, gateway.hazard.full, gateway.flooding = None, False, 0
            gateway.wall(0, Discipline("S", "chrony", 850))
            gateway.start()
        self.centre.hazard.fuse, self.centre.hazard.full, self.centre.clock.ahead = None, False, 0
        self.centre.start()

    # -- laws ---------------------------------------------------------------------------------------------------------

    def hold_outboxes(self) -> None:
        """Hold that every sealed batch is on the gateway's disk, or was acknowledged long ago."""
        for gateway in [*self.gateways, *self.shadows]:
            if gateway.agent is None:
                continue
            held = {(epoch, seq) for epoch, seq in gateway._outbox.rows("SELECT epoch, seq FROM batch")}
            for place, text in gateway.sealing.texts.items():
                self.world.law(
                    place in held or digest(text) in self.acknowledged,
                    "nothing un-acknowledged is evicted", gateway.name, *place,
                )  # fmt: skip

    def _judge(self) -> None:
        """Bring series and versions up to the ledger."""
        self._read_in()
        self.centre.judge()

    def _read_in(self) -> None:
        """Bring the series up to the ledger; nothing that is of the future by the time of its leaves may be in them."""
        self.centre.read_in()
        now = -(-(self.centre.newest() // US + early.MOST) // LENGTH) * LENGTH + LENGTH
        for meter in self.meters:
            if self.centre.knows(self.channel(meter)):
                seen = self.centre.registers(self.channel(meter), now, now + 2 * DAY, LENGTH)
                self.world.law(not seen.known.any(), "nothing of the future is in the series", meter.id, now)

    def _hold_clocks(self) -> None:
        """Hold that nothing waits any more because of its labels whose boot goes on: by now every clock is right."""
        boots = {one.clock.id for one in [*self.gateways, *self.shadows]}
        left = [one for one in self.centre.early() if one.boot in boots]
        self.world.law(not left, "labels of a right clock come in", left)

    def _finish(self) -> None:
        self.hold_outboxes()
        self.centre.guard(self._judge)
        self._hold_clocks()
        for gateway in self.gateways:
            if gateway.name in self.forked:
                self._hold_fork(gateway.name)
            else:
                self._hold_delivery(gateway)
                for meter in gateway.meters:
                    self._hold_energy(meter)
        last = self._end // US // LENGTH * LENGTH
        self.release(max(START, last - 7 * DAY), last)

    def _hold_delivery(self, gateway: Gateway) -> None:
        """Hold that every sealed batch stands in the ledger once, byte for byte, and is acknowledged."""
        rows = self.centre.batches(gateway.name)
        stands: dict[tuple[str, int], list[tuple[str, str]]] = {}
        for epoch, seq, text, state in rows:
            stands.setdefault((epoch, seq), []).append((text, state))
        law, name = self.world.law, gateway.name
        for place, text in gateway.sealing.texts.items():
            found = stands.get(place, [])
            law([one for one, _ in found] == [text], "what was sealed stands in the ledger once", name, *place, found)
            law(found[0][1] == "admitted", "honest batches are admitted", name, *place, found[0][1])
        law(len(rows) == len(gateway.sealing.texts), "nothing was never sealed", name, len(rows))
        waiting = gateway._outbox.count()["waiting"]
        law(waiting <= 1, "after the storm everything is acknowledged", name, waiting)

    def _hold_fork(self, name: str) -> None:
        """Hold that both branches stand in the ledger, each batch once, with their state, and that it is told."""
        law, rows = self.world.law, self.centre.batches(name)
        sides = [one.sealing.all() for one in [*self.gateways, *self.shadows] if one.name == name]
        sealed = list(dict.fromkeys(text for side in sides for text in side))
        kept = [text for _, _, text, _ in rows]
        law(len(set(kept)) == len(kept), "a batch of a fork stands in the ledger once", name)
        law(set(kept) <= set(sealed), "nothing was never sealed", name)
        here = [
            text for one in [*self.gateways, *self.shadows] if one.name == name for text in one.sealing.texts.values()
        ]
        lacking = set(here) - set(kept)  # what was only on a disk that is gone is promised to nobody
        law(not lacking, "both branches stand in the ledger", name, len(lacking), "of", len(here))
        states = {state for _, _, _, state in rows}
        law(states & {"fork", "held"}, "a fork has a state of its own", name, states)
        law("A2" in self.centre.findings(name), "a fork is told", name)

    def _hold_energy(self, meter: Meter) -> None:
        """Hold that registers are the meter's, and that intervals add up to their advance."""
        stop = self._end // US // LENGTH * LENGTH + QUIET
        seen = self.centre.registers(self.channel(meter), START, stop, LENGTH)
        told = self.centre.values(self.channel(meter), START, stop, LENGTH)
        sure = (seen.flags & int(Mark.LATE)) == 0  # a boundary between two reads far apart says that it is one
        places = [at for at in range(seen.n + 1) if seen.known[at] and sure[at]]
        self.world.law(len(places) > seen.n // 2, "most boundaries are known", meter.id, len(places), seen.n)
        first: int | None = None
        for at in places:
            if first is None or seen.run[at] != seen.run[first]:
                first = at
                continue
            advance = int(seen.registers[at]) - int(seen.registers[first])
            begin, end = START + first * LENGTH, START + at * LENGTH
            if self.is_doubtful(begin) or self.is_doubtful(end):
                continue
            true = near(meter, begin, end - begin)
            self.world.law(
                advance in true, "a register run advances as the meter did", meter.id, begin, end, advance, true
            )  # fmt: skip
            if not (told.status[first:at] == Status.MISSING).any():
                total = int(told.values[first:at].sum())
                self.world.law(
                    total == advance, "intervals add up to the register", meter.id, begin, end, total, advance
                )


def near(meter: Meter, start: int, length: int, late: int = 400_000) -> range:
    """Return what a span's energy may be when its boundaries were read at most so late. [UTC s, s, us -> mWh]"""
    least = meter.energy((start + length) * US) - meter.energy(start * US + late)
    most = meter.energy((start + length) * US + late) - meter.energy(start * US)
    return range((least - 1) * 1000, (most + 1) * 1000 + 1)


def simulate(plan: Plan, folder: Path) -> Line:
    """Return a line that has run to its end with every law held."""
    return Line(plan, folder).run()
