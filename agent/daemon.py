"""The running agent between its parts: reads in, boundaries passed, batches sealed. Told the time by its clock."""

import asyncio
from dataclasses import dataclass, field

from agent.acquire.drivers.base import BlockRead
from agent.acquire.poller import Poller
from agent.config import Site
from agent.measure.boundaries import US, Builder, Sealable
from agent.measure.clockwatch import ClockWatch
from agent.ship.outbox import Outbox, Sealed
from agent.ship.seal import Sealer
from agent.ship.uplink import Uplink
from shared import systemd
from shared.batch import Body, Event
from shared.clock import Clock
from shared.log import Log

log = Log(__name__)
PRUNE_EVERY = 3600  # [s]


@dataclass(slots=True)
class Agent:
    """All parts of a running agent."""

    site: Site
    clock: Clock
    outbox: Outbox
    sealer: Sealer
    builder: Builder
    watch: ClockWatch
    pollers: dict[str, Poller]
    uplink: Uplink
    since: int  # no boundary before it was seen [UTC us]
    lost: dict[str, str] = field(default_factory=dict)  # meters that do not answer, and why
    sealed_at: int = 0  # [boot us]
    intervals_sealed: int = 0  # since start
    batches_sealed: int = 0  # since start
    progress: tuple[int, int] = (0, 0)  # requests so far, and when that number last changed [boot us]

    # -- meter -> builder --------------------------------------------------------------------------------------------

    def deliver(self, read: BlockRead) -> None:
        """Take a read from a poller."""
        if self.lost.pop(read.meter, None) is not None:
            self.builder.events.append(Event(read.meter, "meter_back", read.at, read.at, 1, {}))
            log.info("meter_back", meter=read.meter)
        self.builder.feed(read)

    def failed(self, meter: str, reason: str) -> None:
        """Take note of a meter that did not answer."""
        if meter not in self.lost:
            at = self.clock.boot()
            self.builder.events.append(Event(meter, "meter_lost", at, at, 1, {"reason": reason[:200]}))
            log.warning("meter_lost", meter=meter, reason=reason)
        self.lost[meter] = reason

    def identified(self, meter: str, serial: str | None) -> None:
        """Take note of a serial number."""
        self.builder.identified(meter, serial, self.clock.boot())

    # -- builder -> outbox -------------------------------------------------------------------------------------------

    def tick(self, *, stopping: bool = False) -> list[Sealed]:
        """Pass the boundaries that are due, seal what is complete; return what was sealed."""
        boot, wall = self.clock.boot(), self.clock.wall()
        if self.watch.see(boot, wall):
            log.warning("clock_step", wall_us=wall)
        self.builder.events += self.watch.take_events()
        latest = wall // (self.site.interval_s * US) * self.site.interval_s
        if latest * US >= self.since:
            self.builder.open(latest, self.watch.boot_of(latest * US))
        ready = self.builder.ready(boot, stopping=stopping)
        sealed = [] if ready is None else self._seal(ready)
        if not sealed and (stopping or boot - self.sealed_at >= self.site.heartbeat_s * US):
            sealed = self._seal_rest()
        if sealed:
            self.sealed_at = boot
            self.batches_sealed += len(sealed)
            self.uplink.kick()
        return sealed

    def _seal(self, ready: Sealable) -> list[Sealed]:
        bodies: list[tuple[str, Body]] = [("intervals", body) for body in ready.intervals]
        bodies += [("gap", ready.gaps)] if ready.gaps else []
        bodies += [("event", ready.events)] if ready.events else []
        sealed = self.sealer.seal(*bodies, state=ready.state | {"lost": dict(self.lost)})
        for body in ready.intervals:
            self.intervals_sealed += body.n * len(body.blocks)
            log.info("batch_sealed", seq=sealed[-1].seq, start=body.start, intervals=body.n, blocks=len(body.blocks))
        return sealed

    def _seal_rest(self) -> list[Sealed]:
        """Seal what happened without intervals, or a heartbeat."""
        events = tuple(self.builder.take_events())
        return self.sealer.seal(("event", events) if events else ("heartbeat", None))

    async def measure(self) -> None:
        """Tick until cancelled."""
        pruned = self.clock.boot()
        while True:
            await self.measure_until_sealed()
            if self.clock.boot() - pruned > PRUNE_EVERY * US:
                self.outbox.prune(self.clock.wall() - self.site.uplink.retention_days * 86_400 * US)
                pruned = self.clock.boot()

    async def measure_until_sealed(self) -> list[Sealed]:
        """Tick until something was sealed; return it."""
        while not (sealed := self.tick()):
            self._feed_watchdog()
            await self.clock.sleep(self._pause())
        return sealed

    def _pause(self) -> float:
        """Return how long nothing can happen: to the next boundary, or a moment while one is being settled. [s]"""
        length = self.site.interval_s * US
        to_boundary = (length - self.clock.wall() % length) / US
        return min(0.05 if len(self.builder.opened) > 1 else 1.0, to_boundary + 0.001)

    def _feed_watchdog(self) -> None:
        """Tell the service manager that polling goes on; silence of the poll loop is silence here."""
        requests = sum(
            count.good + count.failed for poller in self.pollers.values() for count in poller.counts.values()
        )
        boot = self.clock.boot()
        if requests != self.progress[0]:
            self.progress = (requests, boot)
        slowest = max(meter.poll_s for meter in self.site.meter)
        if boot - self.progress[1] < (2 * slowest + 60) * US:
            systemd.notify("WATCHDOG=1")

    def resume(self) -> None:
        """Continue where the last seal ended."""
        state = self.outbox.get("state")
        if state is not None:
            self.builder.resume(state, now_wall=self.clock.wall(), now_boot=self.clock.boot())

    async def poll(self) -> None:
        """Poll all links until cancelled."""
        async with asyncio.TaskGroup() as group:
            for poller in self.pollers.values():
                group.create_task(poller.run(self.deliver, self.failed, self.identified))
