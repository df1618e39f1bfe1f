"""A site in simulated time: true daemon, true outbox, meters whose registers are functions of time."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

from agent import main, sitefile
from agent.daemon import Agent
from agent.ship.outbox import Outbox
from shared import envelope, keys
from shared.batch import Batch, Event, Gap, decode
from shared.intervals import Block, Intervals, disagreements
from tests.fakes import ManualClock
from tests.fakes_agent import Bus, LittleCollector

US = 1_000_000
START = 1_772_460_000 + 250  # fifty seconds before a boundary of 300 s
BOOT = 864_000 * US
SITE = """
schema = 1
site = "dc1"
agent = "dc1-gw1"
interval_s = {length}
data_dir = "{folder}"
[uplink]
broker = "mqtt://127.0.0.1:1"
[modbus_tcp.room]
host = "127.0.0.1"
"""
METER = """
[[meter]]
id = "{id}"
profile = "{profile}"
bus = "room"
unit = {unit}
role = "load"
max_power_kW = 100
quantities = [{quantities}]
{more}
"""


def watt_hours(power: int) -> Callable[[int], int]:
    """Return a register [Wh] under constant power [W], by boot time."""
    return lambda boot: 5_000_000 + power * boot // (3600 * US)


class Bench:
    """A site with simulated meters, its data directory, and an agent that can be killed and started again."""

    def __init__(self, folder: Path, *, length: int = 300, **meters: str) -> None:
        self.folder, self.length = folder, length
        self.meters = meters or {"a": 'serial = "0012345"'}
        self.clock = ManualClock(wall=START * US, boot=BOOT)
        self.bus = Bus(self.clock, {name: watt_hours(36_000) for name in self.meters})
        self.profile, self.quantities = "schneider-iem3000", ["energy_active_import"]
        self.collector = LittleCollector()
        self.enrolled = ""
        self._read()

    def _read(self) -> None:
        text = SITE.format(folder=self.folder, length=self.length)
        names = ", ".join(f'"{name}"' for name in self.quantities)
        for unit, (name, more) in enumerate(self.meters.items(), start=1):
            text += METER.format(id=name, profile=self.profile, unit=unit, more=more, quantities=names)
        target = self.folder / "site.toml"
        target.write_text(text, encoding="utf-8")
        self.site, self.profiles = sitefile.load(target)

    def enrol(self) -> None:
        key = keys.create(self.site.keys)
        self.enrolled = self.collector.enrol("dc1-gw1", "dc1", key)
        outbox = Outbox(self.site.outbox)
        outbox.begin(uuid.uuid4().hex, self.enrolled)
        outbox.close()

    def agent(self) -> Agent:
        if not self.enrolled:
            self.enrol()
        self._read()
        return main.assemble(self.site, self.profiles, self.clock, {"room": self.bus})

    def run(self, *steps: float | Callable[[Agent], object], stop: bool = False) -> Agent:
        """Run an agent through some time and deeds; then kill it, or stop it politely."""

        async def go() -> Agent:
            agent = self.agent()
            tasks = [asyncio.create_task(agent.poll()), asyncio.create_task(agent.measure())]
            for step in steps:
                if callable(step):
                    step(agent)
                else:
                    await self._pass(step)
            for task in tasks:
                if task.done():
                    task.result()
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if stop:
                agent.tick(stopping=True)
            agent.outbox.close()
            return agent

        return asyncio.run(go())

    async def _pass(self, seconds: float) -> None:
        end = self.clock.boot() + round(seconds * US)
        while True:
            await settled()
            wake = self.clock.next_wake
            if wake is None or wake > end:
                break
            self.clock.advance(max(0, wake - self.clock.boot()) / US)
        self.clock.advance((end - self.clock.boot()) / US)
        await settled()

    def batches(self) -> list[Batch]:
        outbox = Outbox(self.site.outbox, look=True)
        texts = list(outbox.texts())
        outbox.close()
        for text in texts:
            self.collector.take(text)  # each is believed and continues the chain
        return [decode(envelope.payload(envelope.apart(text))) for text in texts]

    def events(self) -> list[Event]:
        return [one for batch in self.batches() if batch.kind == "event" for one in _events(batch)]

    def gaps(self) -> list[Gap]:
        bodies = [batch.body for batch in self.batches() if batch.kind == "gap"]
        return [one for body in bodies if isinstance(body, tuple) for one in body if isinstance(one, Gap)]

    def bodies(self) -> list[Intervals]:
        found = [batch.body for batch in self.batches() if isinstance(batch.body, Intervals)]
        assert all(disagreements(body) == [] for body in found)
        return found

    def values(self, meter: str = "a", quantity: str = "energy_active_import") -> dict[int, int | None]:
        """Return the sealed values by the interval's start."""
        return {
            body.start + at * body.length: value
            for body in self.bodies()
            for block in body.blocks
            if block.meter == meter and quantity in block.registers
            for at, value in enumerate(block.registers[quantity].values)
        }

    def blocks(self, meter: str = "a") -> list[Block]:
        return [block for body in self.bodies() for block in body.blocks if block.meter == meter]


async def settled() -> None:
    """Wait until nothing is left to do at this moment: hours of simulated time want few turns of the loop."""
    ready = vars(asyncio.get_running_loop())["_ready"]
    await asyncio.sleep(0)
    while ready:  # noqa: ASYNC110 - no event says that nobody else wants to run
        await asyncio.sleep(0)


def _events(batch: Batch) -> list[Event]:
    return [one for one in batch.body if isinstance(one, Event)] if isinstance(batch.body, tuple) else []
