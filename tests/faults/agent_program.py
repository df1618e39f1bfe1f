"""A gateway's sealing loop and its uplink as a program of its own, which tests kill: no meters, all else is real.

Each batch holds one interval of a register that counts 7 a step; where the next one begins is kept in the same commit,
so that whoever reads the ledger can tell whether a restart lost energy or told it twice.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.ship import rescue
from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk
from agent.ship.seal import Sealer
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from shared import keys, log, record
from shared.batch import ClockState
from shared.clock import SystemClock
from shared.errors import StoreError
from tests.fakes import reads

START = 1_772_460_000  # [UTC s]
STEP = 7  # [raw counts an interval]
PRUNE_EACH = 5  # seals


@dataclass(frozen=True, slots=True)
class Order:
    """What the program is to do, as it is told on its command line."""

    folder: Path
    broker: str
    agent: str
    pause: float  # between seals [s]
    prune: bool

    @property
    def enough(self) -> Path:
        """Return the file that ends the sealing once it is there; like the journal, it is on no disk that fails."""
        return self.folder.with_suffix(".enough")

    @property
    def journal(self) -> Path:
        """Return the file of what was promised."""
        return self.folder.with_suffix(".sealed")


def order(words: list[str]) -> Order:
    folder, broker, agent, pause, prune = words
    return Order(Path(folder), broker, agent, float(pause), prune == "prune")


def gateway(order: Order, outbox: Outbox, clock: SystemClock) -> tuple[Sealer, Uplink]:
    text = outbox.enrolment()
    assert text is not None
    enrolled, signer = record.introduce(text), keys.load(order.folder / "keys")

    def word() -> ClockState:
        return ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))

    sealer = Sealer(outbox, signer, clock, ("central",), enrolled.site, enrolled.agent, word)
    public = enrolled.collector_key
    desk = Desk(outbox, enrolled.agent, enrolled.collector, {public.kid: public})
    courier = Courier(outbox, desk, clock, Window(16, 300_000))
    uplink = Uplink(Broker(order.broker), order.agent, courier, clock, lambda: {"boot": clock.boot_id()})
    uplink.first_retry = 0.1
    return sealer, uplink


def seal(sealer: Sealer, journal: int) -> None:
    """Seal the next interval; what is durable is written down, so that its loss would be seen."""
    until = sealer.outbox.get("until") or 0
    body = reads(START + until * 300, [STEP * until, STEP * (until + 1)])
    for one in sealer.seal(("intervals", body), kept={"until": until + 1}):
        os.write(journal, f"{one.text}\n".encode("ascii"))


def opened(order: Order, clock: SystemClock) -> tuple[Outbox, Sealer, Uplink]:
    """Open the outbox; a disk that refuses is asked again, as the service manager would."""
    while True:
        try:
            outbox = rescue.opened(order.folder / "outbox.sqlite", order.folder / "enrolment.jws", clock)
            outbox._db.execute(f"PRAGMA synchronous={os.environ.get('LABORATORY_SYNCHRONOUS', 'FULL')}")
            sealer, uplink = gateway(order, outbox, clock)
            sealer.seal_config({"schema": 1})
            rescue.tell(sealer)
        except StoreError as error:
            print(f"refused: {error}", flush=True)
            time.sleep(0.05)
            continue
        return outbox, sealer, uplink


async def run(order: Order) -> None:
    clock = SystemClock()
    outbox, sealer, uplink = opened(order, clock)
    journal = os.open(order.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sending = asyncio.create_task(uplink.run())
    count = 0
    while not (order.enough.exists() and not outbox.count()["waiting"]):
        if not order.enough.exists():
            count += 1
            tried(lambda: seal(sealer, journal))
            uplink.kick()
        if order.prune and count % PRUNE_EACH == 0:
            tried(lambda: outbox.prune(clock.wall()))
        await asyncio.sleep(order.pause)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    outbox.close()


def tried(work: Callable[[], object]) -> None:
    """Do something; a disk that refuses is told, and asked again the next time."""
    try:
        work()
    except StoreError as error:
        print(f"refused: {error}", flush=True)


if __name__ == "__main__":
    log.start()
    asyncio.run(run(order(sys.argv[1:])))
