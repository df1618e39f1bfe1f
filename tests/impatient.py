"""A gateway's true uplink that never waits before it tries again, beside a broker of the test's own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.receipts import Desk
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from shared.clock import SystemClock
from tests.fakes_agent import gateway


@asynccontextmanager
async def impatient(folder: Path, broker: Broker) -> AsyncIterator[tuple[Uplink, "asyncio.Task[None]"]]:
    """Give the uplink and the task in which it runs; both end with the block."""
    clock = SystemClock()
    gate = gateway(folder, clock)
    courier = Courier(gate.outbox, Desk(gate.outbox, "dc1-gw1", "central", {}), clock, Window(4, 10**6))
    uplink = Uplink(broker, "dc1-gw1", courier, clock, dict, first_retry=0.0)
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        gate.outbox.close()
