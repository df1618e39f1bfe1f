"""The agent's wiring: each arrow of the straight line is one call in this file.

meter -driver-> reads -> builder -> sealer -> outbox -> uplink -> collector; the receipt comes back to the outbox.
"""

import asyncio
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import gcd
from pathlib import Path

from agent import enrolment, links
from agent.acquire.drivers.base import Driver, Target
from agent.acquire.points import Profile
from agent.acquire.poller import Poller
from agent.config import Meter, Site
from agent.custody import Custody
from agent.daemon import Agent
from agent.keystore import tls
from agent.lifetime import until_stopped
from agent.measure.boundaries import US, Builder, Metered
from agent.measure.clockwatch import ClockWatch
from agent.measure.recorded import keeper
from agent.measure.refill import Refill
from agent.settings import effective
from agent.ship import rescue, trust
from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.outbox import Outbox, Sealed
from agent.ship.pressure import Pressure
from agent.ship.receipts import Desk
from agent.ship.seal import SOFTWARE, Sealer
from agent.ship.second import SecondPath
from agent.ship.trust import Trust
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from shared import systemd
from shared.clock import Clock
from shared.errors import Damaged
from shared.log import Log

log = Log(__name__)
PATIENCE = 30_000_000  # before a batch without a receipt is sent again [us]


def assemble(
    site: Site, profiles: Mapping[str, Profile], clock: Clock, drivers: Mapping[str, Driver] | None = None
) -> Agent:
    """Return an agent that is ready to run.

    Args:
        site: The site file.
        profiles: The profile of each meter.
        clock: Tells the time.
        drivers: The link of each bus; those that the site file describes when left out.

    Raises:
        ConfigError: not enrolled, or a file that it needs cannot be used.
        StoreError: the outbox cannot be used.
        LinkDown: an enrolment is pending and the collector cannot be asked.
    """
    outbox = rescue.opened(site.outbox, Path(site.data_dir) / "enrolment.jws", clock)
    try:
        return _assemble(site, profiles, clock, outbox, drivers or links.drivers(site, clock))
    except BaseException:
        outbox.close()
        raise


def _assemble(
    site: Site, profiles: Mapping[str, Profile], clock: Clock, outbox: Outbox, drivers: Mapping[str, Driver]
) -> Agent:
    enrolled, key = enrolment.standing(site, outbox)
    targets = {meter.id: _target(meter, profiles) for meter in site.meter}
    # Until a new length of the intervals acts, the boundaries of both are read.
    every = gcd(site.interval_s, int((outbox.get("state") or {}).get("length", site.interval_s)))
    pollers = {bus: _poller(site, bus, link, targets, clock, every) for bus, link in drivers.items()}
    watch = ClockWatch()
    metered = {meter.id: _metered(site, meter, pollers[meter.bus], profiles[meter.id]) for meter in site.meter}
    builder = Builder(site.interval_s, site.seal, site.boundary_tolerance_ms * 1000, metered, clock.boot_id())
    sealer = Sealer(
        outbox, key, clock, tuple(site.uplink.collectors), site.site, site.agent,
        lambda: watch.state(clock.discipline()),
    )  # fmt: skip
    broker = _broker(site)
    known = Trust(outbox, enrolled, trust.ring(trust.newest(outbox, enrolled)))
    desk = Desk(outbox, site.agent, enrolled.collector, known.keys)
    courier = Courier(outbox, desk, clock, Window(site.uplink.window, PATIENCE), known)
    uplink = Uplink(
        broker, site.agent, courier, clock, lambda: _birth(outbox, clock), compress=site.uplink.compress
    )  # fmt: skip
    watch.see(clock.boot(), clock.wall())
    refill = _refill(site, profiles)
    agent = Agent(site, clock, outbox, sealer, builder, watch, pollers, uplink, since=clock.wall(), refill=refill)
    agent.pressure = Pressure(outbox, site.uplink.max_outbox_MB * 1_000_000)
    agent.custody = Custody(site, outbox, clock, sealer)
    agent.second = _second(site, broker, uplink)
    agent.resume()
    agent.batches_sealed += len([*sealer.seal_config(effective(site, dict(profiles))), *rescue.tell(sealer)])
    agent.sealed_at = clock.boot()
    return agent


def _broker(site: Site) -> Broker:
    """Return how to reach the broker: who is named in the site file, else certificate or password of `enroll`."""
    up = site.uplink
    username, password_file = up.username, None if up.password_file is None else Path(up.password_file)
    if username is None and site.broker_password.exists():
        username, password_file = site.agent, site.broker_password
    own, named = tls.Paths(site.keys), (up.ca_file, up.cert_file, up.key_file)
    if up.cert_file is None and up.username is None and own.certificate.exists():
        named = (up.ca_file or str(own.authority), str(own.certificate), str(own.key))
    broker = Broker(up.broker, username, password_file, *named)
    broker.password()  # what cannot be read is told at the start, not at the first connect
    broker.context()
    return broker


def _second(site: Site, broker: Broker, uplink: Uplink) -> SecondPath | None:
    """Return the path for when the broker is away, if the site file names one."""
    url = site.uplink.https_url
    if url is None:
        return None
    context = broker.tls if url.startswith("https:") else lambda: False
    return SecondPath(
        url, site.agent, uplink.courier, uplink.clock, lambda: uplink.connected, context, site.uplink.compress
    )  # fmt: skip


def _birth(outbox: Outbox, clock: Clock) -> dict[str, object]:
    head = outbox.head()
    return {
        "boot": clock.boot_id(), "epoch": head.epoch, "head": head.seq, "software": SOFTWARE, "at": clock.wall()
    }  # fmt: skip


def _target(meter: Meter, profiles: Mapping[str, Profile]) -> Target:
    return Target(meter.id, profiles[meter.id], meter.poll_s * US, meter.unit, meter.nodes)


def _poller(site: Site, bus: str, link: Driver, targets: Mapping[str, Target], clock: Clock, every: int) -> Poller:
    meters = [targets[meter.id] for meter in site.meter if meter.bus == bus]
    return Poller(link, meters, clock, interval_us=every * US, timeout_s=site.buses[bus].timeout_ms / 1000)


def _metered(site: Site, meter: Meter, poller: Poller, profile: Profile) -> Metered:
    update = round((meter.update_s or profile.update_s or 0) * US)
    expects = {"ct_primary_A": meter.ct_primary_A, "vt_primary_V": meter.vt_primary_V}
    return Metered(
        meter.id, meter.disclosure, meter.serial, meter.poll_s * US, meter.max_power, poller.register_blocks(meter.id),
        update if update > 2000 * site.boundary_tolerance_ms else 0,
        {name: Fraction(str(value)) for name, value in expects.items() if value is not None},
    )  # fmt: skip


def _refill(site: Site, profiles: Mapping[str, Profile]) -> Refill:
    keepers = {meter.id: keeper(profiles[meter.id], meter.poll_s * US) for meter in site.meter}
    disclosure = {meter.id: meter.disclosure for meter in site.meter}
    return Refill(
        {name: one for name, one in keepers.items() if one is not None}, disclosure, site.boundary_tolerance_ms * 1000
    )  # fmt: skip


async def run(agent: Agent) -> None:
    """Run until SIGTERM; what was measured is sealed before this returns."""
    try:
        await _run(agent)
    except Damaged:
        rescue.flag(agent.site.outbox).touch()
        raise


async def _run(agent: Agent) -> None:
    async with until_stopped() as stop:
        poll, measure, uplink, custody, waiting = (
            asyncio.create_task(work)
            for work in (agent.poll(), agent.measure(), agent.ship(), agent.keep_custody(), _until(stop))
        )
        systemd.notify("READY=1")
        log.info("agent_started", agent=agent.site.agent, meters=len(agent.site.meter))
        done, _ = await asyncio.wait([poll, measure, uplink, custody, waiting], return_when=asyncio.FIRST_COMPLETED)
        systemd.notify("STOPPING=1")
        try:
            await _ended(poll, measure, custody, waiting)
            agent.tick(stopping=True)
            await _drain(agent)
        finally:
            await _ended(uplink)
            agent.outbox.close()
            _reraise(done)
        log.info("agent_stopped", agent=agent.site.agent)


async def _until(stop: asyncio.Event) -> None:
    await stop.wait()


async def _ended(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _reraise(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Raise what ended a task: the first cause, rather than the group that a task group makes of it."""
    for task in tasks:
        error = task.exception()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        if error is not None:
            raise error


async def _drain(agent: Agent) -> None:
    """Give the receipt of the last batches a moment; what comes later waits on disk for the next start."""
    deadline = agent.clock.boot() + 2 * US
    while agent.uplink.connected and agent.outbox.count()["waiting"] and agent.clock.boot() < deadline:
        await agent.clock.sleep(0.05)


async def once(agent: Agent) -> list[Sealed]:
    """Measure until the first intervals are sealed; nothing is sent."""
    found: list[Sealed] = []
    polling = asyncio.create_task(agent.poll())
    try:
        while not agent.intervals_sealed:
            found += await agent.measure_until_sealed()
    finally:
        polling.cancel()
        await asyncio.gather(polling, return_exceptions=True)
        agent.outbox.close()
    return found
