"""The agent's wiring: each arrow of the straight line is one call in this file.

meter -driver-> reads -> builder -> sealer -> outbox -> uplink -> collector; the receipt comes back to the outbox.
"""

import asyncio
from collections.abc import Mapping

from agent import enrolment
from agent.acquire.drivers.base import Driver, Target
from agent.acquire.drivers.modbus import ModbusTcp
from agent.acquire.points import Profile
from agent.acquire.poller import Poller
from agent.config import Meter, Site
from agent.daemon import Agent
from agent.lifetime import until_stopped
from agent.measure.boundaries import US, Builder, Metered
from agent.measure.clockwatch import ClockWatch
from agent.settings import effective
from agent.ship.outbox import Outbox, Sealed
from agent.ship.receipts import Desk
from agent.ship.seal import Sealer
from agent.ship.uplink import Broker, Uplink
from agent.ship.window import Window
from shared import systemd
from shared.clock import Clock
from shared.log import Log

log = Log(__name__)
PATIENCE = 30_000_000  # before a batch without a receipt is sent again [us]


def assemble(site: Site, profiles: Mapping[str, Profile], clock: Clock) -> Agent:
    """Return an agent that is ready to run.

    Raises:
        ConfigError: not enrolled, or a file that it needs cannot be used.
        StoreError: the outbox cannot be used.
        LinkDown: an enrolment is pending and the collector cannot be asked.
    """
    outbox = Outbox(site.outbox)
    enrolled = enrolment.standing(site, outbox)
    drivers = {bus: driver(site, bus, clock) for bus in dict.fromkeys(meter.bus for meter in site.meter)}
    targets = {meter.id: _target(meter, profiles) for meter in site.meter}
    pollers = {bus: _poller(site, bus, link, targets, clock) for bus, link in drivers.items()}
    watch = ClockWatch()
    metered = {meter.id: _metered(meter, drivers[meter.bus], targets[meter.id]) for meter in site.meter}
    builder = Builder(site.interval_s, site.seal, site.boundary_tolerance_ms * 1000, metered, clock.boot_id())
    sealer = Sealer(
        outbox, enrolment.signer(site), clock, tuple(site.uplink.collectors), site.site, site.agent,
        lambda: watch.state(clock.discipline()),
    )  # fmt: skip
    up = site.uplink
    broker = Broker(up.broker, up.username, up.password_file, up.ca_file, up.cert_file, up.key_file)
    desk = Desk(outbox, site.agent, enrolled.collector, {enrolled.collector_key.kid: enrolled.collector_key})
    uplink = Uplink(broker, site.agent, outbox, desk, clock, Window(up.window, PATIENCE), lambda: _birth(outbox, clock))
    watch.see(clock.boot(), clock.wall())
    agent = Agent(site, clock, outbox, sealer, builder, watch, pollers, uplink, since=clock.wall())
    agent.resume()
    agent.batches_sealed += len(sealer.seal_config(effective(site, dict(profiles))))
    agent.sealed_at = clock.boot()
    return agent


def _birth(outbox: Outbox, clock: Clock) -> dict[str, object]:
    head = outbox.head()
    return {"boot": clock.boot_id(), "epoch": head.epoch, "head": head.seq}


def _target(meter: Meter, profiles: Mapping[str, Profile]) -> Target:
    return Target(meter.id, profiles[meter.id], meter.poll_s * US, meter.unit, meter.nodes)


def _poller(site: Site, bus: str, link: Driver, targets: Mapping[str, Target], clock: Clock) -> Poller:
    meters = [targets[meter.id] for meter in site.meter if meter.bus == bus]
    return Poller(link, meters, clock, interval_us=site.interval_s * US, timeout_s=_timeout(site, bus))


def _timeout(site: Site, bus: str) -> float:
    link = site.modbus_tcp.get(bus) or site.opcua[bus]
    return link.timeout_ms / 1000


def driver(site: Site, bus: str, clock: Clock) -> Driver:
    """Return the driver of a bus; asyncua is imported only here, and only for a site that has OPC UA."""
    if bus in site.modbus_tcp:
        link = site.modbus_tcp[bus]
        return ModbusTcp(link.host, link.port, clock)
    from agent.acquire.drivers.opcua import OpcUa

    server = site.opcua[bus]
    return OpcUa(server.url, clock, security=server.security)


def _metered(meter: Meter, link: Driver, target: Target) -> Metered:
    blocks = {
        block.index: tuple(point for point in block.points if point.kind == "register")
        for block in link.blocks(target)
        if block.has_register
    }
    return Metered(meter.id, meter.disclosure, meter.serial, meter.poll_s * US, meter.max_power, blocks)


async def run(agent: Agent) -> None:
    """Run until SIGTERM; what was measured is sealed before this returns."""
    async with until_stopped() as stop:
        tasks = [asyncio.create_task(work) for work in (agent.poll(), agent.measure(), agent.uplink.run())]
        waiting = asyncio.create_task(stop.wait())
        systemd.notify("READY=1")
        log.info("agent_started", agent=agent.site.agent, meters=len(agent.site.meter))
        done, _ = await asyncio.wait([*tasks, waiting], return_when=asyncio.FIRST_COMPLETED)
        systemd.notify("STOPPING=1")
        for task in (*tasks[:2], waiting):
            task.cancel()
        await asyncio.gather(*tasks[:2], waiting, return_exceptions=True)
        agent.tick(stopping=True)
        await _drain(agent)
        tasks[2].cancel()
        await asyncio.gather(tasks[2], return_exceptions=True)
        agent.outbox.close()
        log.info("agent_stopped", agent=agent.site.agent)
        for task in done - {waiting}:
            task.result()


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
