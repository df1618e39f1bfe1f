"""The running agent between its parts: reads in, boundaries passed, batches sealed. Told the time by its clock."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from functools import partial

from agent.acquire.drivers.base import BlockRead, Identity, Recorded, Refused, Target
from agent.acquire.poller import Poller
from agent.config import Site
from agent.custody import Custody
from agent.measure.boundaries import US, Builder, Sealable
from agent.measure.clockwatch import ClockWatch
from agent.measure.meterclock import MeterClocks, in_utc
from agent.measure.refill import Refill, Request
from agent.measure.resume import Resumption, resume
from agent.ship.outbox import Outbox, Sealed
from agent.ship.pressure import Level, Pressure
from agent.ship.seal import Sealer
from agent.ship.second import SecondPath
from agent.ship.uplink import Uplink
from agent.unsealed import Commit, Unsealed, coarse
from shared import systemd
from shared.batch import Body, Event
from shared.clock import Clock
from shared.errors import Damaged, ReadError, StoreError
from shared.intervals import Intervals
from shared.log import Log

log = Log(__name__)
PRUNE_EVERY = 3600  # [s]
LOOK_EVERY = 60  # at how full the outbox is [s]
_DISK_AGAIN = 5.0  # [s]
#: Events that a person on site should look at, and at what.
SUSPICIOUS = {
    "advance_implausible": "compare the register with the display: word order, scale and max_power_kW",
    "read_discarded": "a single low read was not believed; look at the wiring and the gateway between",
    "register_reset": "the register went back; look whether the meter was reset or exchanged",
    "meter_exchanged": "the device tells another serial; enter it in the site file",
    "serial_mismatch": "the device tells another serial than the site file",
    "settings_mismatch": "ratios of the device differ from the site file; one of the two is wrong by that factor",
    "settings_changed": "somebody changed parameters of the meter; find out who, and whether the ratios are right",
    "register_frozen": "the register stood still under load; look at the meter and the gateway between",
    "meter_clock_off": "the meter's own clock is wrong; its recorder is read with the offset taken off",
    "register_coarse": "the float register has grown so large that its step matters; use the meter's integer block",
    "scale_changed": "the meter now counts in another unit; it is followed, nothing is to be done",
    "recorder_disagrees": "the meter's recorder contradicts its registers, and is not used; compare their registers",
    "recorder_unsure": "the meter's clock was changed inside a gap; what its recorder labels there is not used",
}


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
    second: SecondPath | None = field(default=None, init=False)
    since: int  # no boundary before it was seen [UTC us]
    lost: dict[str, str] = field(default_factory=dict)  # meters that do not answer, and why
    sealed_at: int = 0  # [boot us]
    intervals_sealed: int = 0  # since start
    batches_sealed: int = 0  # since start
    unsealed: Unsealed = field(default_factory=Unsealed)
    pressure: Pressure | None = None  # None: nobody watches how full the outbox is
    resumption: Resumption | None = None
    meter_clocks: MeterClocks = field(default_factory=MeterClocks)
    refill: Refill = field(default_factory=lambda: Refill({}, {}, 0))
    recall_at: int = 0  # when to look again for what meters kept [boot us]
    custody: Custody | None = None
    pruned_at: int = 0  # [boot us]
    looked_at: int = 0  # [boot us]
    refused: str | None = None  # what the disk says against sealing now
    progress: tuple[int, int] = (0, 0)  # requests so far, and when that number last changed [boot us]

    # -- meter -> builder --------------------------------------------------------------------------------------------

    def deliver(self, read: BlockRead) -> None:
        """Take a read from a poller."""
        if self.lost.pop(read.meter, None) is not None:
            self.builder.add(Event(read.meter, "meter_back", read.at, read.at, 1, {}))
            log.info("meter_back", meter=read.meter)
        self.builder.feed(read)
        for meter in self.builder.doubtful & {read.meter}:
            self.pollers[self.bus_of[meter]].identify_soon(meter)

    def failed(self, meter: str, why: ReadError) -> None:
        """Take note of a meter that did not answer, or of one that lives and refused."""
        if isinstance(why, Refused) and why.lives:
            self._event(meter, "read_refused", str(why))
            return
        if meter not in self.lost:
            self._event(meter, "meter_lost", str(why))
            log.warning("meter_lost", meter=meter, reason=str(why))
        self.lost[meter] = str(why)

    def _event(self, meter: str, what: str, reason: str) -> None:
        at = self.clock.boot()
        self.builder.add(Event(meter, what, at, at, 1, {"reason": reason[:200]}))

    def identified(self, target: Target, who: Identity) -> None:
        """Take note of what a meter told of itself, and of the registers that were found on it."""
        blocks = self.pollers[self.bus_of[target.id]].register_blocks(target.id)
        if self.builder.located(target.id, blocks):
            self._located(target)
        self.builder.identified(target.id, who, self.clock.boot())
        if who.clock is not None and self.watch.offset is not None:
            self.refill.see(target.id, who.clock, self.watch.offset)
            local = target.profile.clock is not None and target.profile.clock.zone == "local"
            clock = in_utc(who.clock, self.site.timezone, self.watch.offset) if local else who.clock
            event = self.meter_clocks.see(target.id, clock, self.watch.offset)
            if event is not None:
                self.builder.add(event)

    def _located(self, target: Target) -> None:
        """Sign where the registers of a self-describing meter were found, and go on with what was known of them."""
        at = self.clock.boot()
        places = {point.quantity: [part.address for part in point.parts] for point in target.profile.points}
        self.builder.add(Event(target.id, "meter_located", at, at, 1, dict(places)))
        if self.resumption is not None:
            self.resumption.lay({target.id})

    # -- builder -> outbox -------------------------------------------------------------------------------------------

    def tick(self, *, stopping: bool = False) -> list[Sealed]:
        """Pass the boundaries that are due, seal what is complete; return what was sealed.

        Raises:
            StoreError: the disk refuses; what was to be sealed is kept and tried again at the next tick.
        """
        boot, wall = self.clock.boot(), self.clock.wall()
        self._look(boot, wall)
        latest = wall // (self.builder.length * US) * self.builder.length
        if latest * US >= self.since:
            self.builder.open(latest, self.watch.boot_of(latest * US))
        ready = self.builder.ready(boot, stopping=stopping)
        if ready is not None:
            self.unsealed.add(self._commit(ready))
        elif not self.unsealed.commits and (stopping or boot - self.sealed_at >= self.site.heartbeat_s * US):
            self.unsealed.add(self._rest())
        self._recall(boot)
        return self._seal(boot)

    def _recall(self, boot: int) -> None:
        """Ask the meters for what they kept of boundaries that were sealed as unknown."""
        if boot < self.recall_at:
            return
        self.recall_at = boot + US
        for request in self.refill.due(boot, self.watch.offset or 0):
            told = partial(self._recalled, request)
            self.pollers[self.bus_of[request.meter]].recall(request.meter, request.start, request.stop, told)
        for event in self.refill.take_events():
            self.builder.add(event)

    def _recalled(self, request: Request, answer: list[Recorded] | ReadError) -> None:
        """Take what a meter had kept; it is sealed beside what was sealed as unknown."""
        boot = self.clock.boot()
        if isinstance(answer, ReadError):
            log.info("recorder_silent", meter=request.meter, reason=str(answer))
            self.refill.refused(request.meter, boot)
            return
        bodies = self.refill.answered(request, answer, boot)
        if bodies:
            log.info("gap_refilled", meter=request.meter, intervals=sum(body.n for body in bodies))
            refilled = tuple[tuple[str, Body], ...](("intervals", body) for body in bodies)
            self.unsealed.add(Commit(refilled, {"refill": self.refill.state()}))

    def _look(self, boot: int, wall: int) -> None:
        step = self.watch.see(boot, wall)
        if step:
            log.warning("clock_step", wall_us=wall, step_us=step)
            self.since = min(self.since, wall)  # what was written before the step says nothing of the new time
        if abs(step) >= self.builder.length * US:
            self._new_timeline(boot, wall)
        for event in self.watch.take_events():
            self.builder.add(event)

    def _new_timeline(self, boot: int, wall: int) -> None:
        """Seal what was complete before the clock stepped, and begin anew with the next boundary."""
        ready = self.builder.ready(boot, stopping=True)
        if ready is not None:
            self.unsealed.add(self._commit(ready))
        self.builder.jump()
        self.refill.forget()
        self.since = wall

    def _commit(self, ready: Sealable) -> Commit:
        self.refill.sealed(ready.intervals, ready.gaps, self.builder.length)
        bodies: list[tuple[str, Body]] = [("intervals", body) for body in ready.intervals]
        bodies += [("gap", ready.gaps)] if ready.gaps else []
        bodies += [("event", ready.events)] if ready.events else []
        for event in ready.events:
            if event.event in SUSPICIOUS:
                log.warning(event.event, meter=event.meter, count=event.count, hint=SUSPICIOUS[event.event])
        return Commit(tuple(bodies), {"state": ready.state | {"lost": dict(self.lost)}} | self._refill_state())

    def _refill_state(self) -> dict[str, object]:
        return {"refill": self.refill.state()} if self.refill.keepers else {}

    def _rest(self) -> Commit:
        """Return what happened without intervals, or a heartbeat."""
        events = tuple(self.builder.take_events())
        return Commit((("event", events) if events else ("heartbeat", None),), {})

    def _seal(self, boot: int) -> list[Sealed]:
        sealed: list[Sealed] = []
        full = self.pressure is not None and self.pressure.level == Level.FULL
        if self.unsealed.lost and not (full and self.pressure is not None and self.pressure.reserve_used):
            told = self._seal_lost(boot)
            sealed += [] if full else told  # what was sealed in reserve says nothing of the disk
        while self.unsealed.commits:
            bodies, kept = self._lean(self.unsealed.commits[0])
            done = self.sealer.seal(*bodies, kept=kept)
            del self.unsealed.commits[0]
            self._count(bodies, done, boot)
            sealed += done
        if sealed:
            self.watch.sealed(next((place for _, place in self.builder.opened if place is not None), None))
        return sealed

    def _lean(self, commit: Commit) -> Commit:
        return coarse(commit) if self.pressure is not None and self.pressure.level else commit

    def _seal_lost(self, boot: int) -> list[Sealed]:
        """Tell what could not be kept, in the room that was set aside for it."""
        gaps = tuple(self.unsealed.lost)
        with contextlib.nullcontext() if self.pressure is None else self.pressure.in_reserve():
            done = self.sealer.seal(("gap", gaps))
        self.unsealed.lost.clear()
        why = gaps[0].reason
        log.error("intervals_not_kept", registers=len(gaps), first=gaps[0].start, last=gaps[-1].stop, why=why)
        self._count((), done, boot)
        return done

    def _count(self, bodies: tuple[tuple[str, Body], ...], done: list[Sealed], boot: int) -> None:
        intervals = sum(body.n * len(body.blocks) for _, body in bodies if isinstance(body, Intervals))
        self.sealed_at = boot
        self.intervals_sealed += intervals
        self.batches_sealed += len(done)
        if intervals:
            log.info("batches_sealed", first=done[0].seq, last=done[-1].seq, intervals=intervals)
        self.uplink.kick()

    async def measure(self) -> None:
        """Tick until cancelled. While the disk refuses, what was measured waits in memory."""
        while True:
            try:
                await self.measure_until_sealed()
                self._make_room(sealed=True)
                self.refused = None
            except StoreError as error:
                if isinstance(error, Damaged):
                    raise
                self._refused(error)
                self._feed_watchdog()
                await self.clock.sleep(_DISK_AGAIN)

    def _make_room(self, *, sealed: bool) -> None:
        """Let go what the retention no longer asks for, and more where the outbox is too full."""
        boot = self.clock.boot()
        if boot - self.pruned_at > PRUNE_EVERY * US:
            self.outbox.prune(self.clock.wall() - self.site.uplink.retention_days * 86_400 * US)
            self.pruned_at = boot
        pressure = self.pressure
        recovers = sealed and pressure is not None and pressure.level == Level.FULL
        if pressure is not None and (recovers or boot - self.looked_at >= LOOK_EVERY * US):
            self.looked_at, before = boot, pressure.level
            if pressure.look(sealed=sealed) > before:
                self.builder.add(Event(None, "outbox_tight", boot, boot, 1, {"used": pressure.used}))

    def _refused(self, error: StoreError) -> None:
        """Tell a disk that refuses, once; acknowledged batches may make room."""
        if self.refused is None:
            log.error("outbox_refuses", waiting=len(self.unsealed.commits), said=str(error))
        self.refused = str(error)
        if self.pressure is not None:
            self.pressure.refused()
            with contextlib.suppress(StoreError):  # told above; it is tried again
                self.pressure.look(sealed=False)

    async def measure_until_sealed(self) -> list[Sealed]:
        """Tick until something was sealed; return it."""
        while not (sealed := self.tick()):
            self._make_room(sealed=False)
            self._feed_watchdog()
            await self.clock.sleep(self._pause())
        return sealed

    def _pause(self) -> float:
        """Return how long nothing can happen: to the next boundary, or a moment while one is being settled. [s]"""
        length = self.builder.length * US
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
            now_wall, now_boot = self.clock.wall(), self.clock.boot()
            self.resumption = resume(self.builder, state, now_wall=now_wall, now_boot=now_boot)
            if state.get("boot") is not None and state["boot_id"] == self.clock.boot_id():
                self.watch.recall(state["boot"], state["wall"] * US)
        self.refill.resume(self.outbox.get("refill") or {})

    async def keep_custody(self) -> None:
        """Look after keys and certificates until cancelled."""
        if self.custody is None:
            await asyncio.Event().wait()
        else:
            await self.custody.run()

    @property
    def bus_of(self) -> dict[str, str]:
        """Return the bus of each meter."""
        return {meter.id: meter.bus for meter in self.site.meter}

    async def ship(self) -> None:
        """Bring what is sealed to the collector, by one path or the other, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.uplink.run())
            if self.second is not None:
                group.create_task(self.second.run())

    async def poll(self) -> None:
        """Poll all links until cancelled."""
        async with asyncio.TaskGroup() as group:
            for poller in self.pollers.values():
                group.create_task(poller.run(self.deliver, self.failed, self.identified))
