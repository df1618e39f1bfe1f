"""While no broker answers, batches go over HTTPS: the same bytes, the same receipts; and back when one answers."""

import asyncio
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import uvicorn
from sqlalchemy import select

from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.second import SecondPath
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from collector.intake import generation
from collector.intake.inlet import Inlet
from collector.intake.mqtt import Broker as CollectorsBroker
from collector.office.app import create
from collector.parts import Parts
from collector.store.engine import Store
from collector.store.schema import ledger_bytes
from shared.clock import SystemClock
from tests.brokers import Mosquitto, free_port
from tests.chain.pair import Pair
from tests.collector.conftest import Centre
from tests.collector.office.conftest import config
from tests.fakes import ManualClock
from tests.site_bench import settled

WITHIN = 20.0  # [s]


class Site:
    """A gateway whose broker can be there or not, and a collector that serves its API on loopback."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.centre = Centre(store)
        self.centre.clock = SystemClock()  # type: ignore[assignment] # the second path waits in real time
        self.centre.ledger.clock = SystemClock()
        self.pair = Pair(folder, self.centre)
        self.port, self.broker_up = free_port(), False
        self.courier = Courier(
            self.pair.outbox, self.pair.desk, SystemClock(), Window(16, 400_000), self.pair.trust
        )  # fmt: skip
        self.path = SecondPath(
            f"http://127.0.0.1:{self.port}", "dc1-gw1", self.courier, SystemClock(), lambda: self.broker_up,
            self._no_tls, patience=200_000,
        )  # fmt: skip

    @staticmethod
    def _no_tls() -> ssl.SSLContext | bool:
        return False

    @property
    def waiting(self) -> int:
        return self.pair.outbox.count()["waiting"]

    @contextmanager
    def office(self) -> Iterator[None]:
        """Serve the collector's API."""
        centre = self.centre
        parts = Parts(config(), centre.clock, centre.signer, centre.store, centre.log, centre.ledger, None)
        server = uvicorn.Server(uvicorn.Config(create(parts), port=self.port, log_config=None))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(WITHIN)


@pytest.fixture
def site(store: Store, tmp_path: Path) -> Site:
    return Site(store, tmp_path)


@asynccontextmanager
async def running(path: SecondPath) -> AsyncIterator[None]:
    task = asyncio.create_task(path.run())
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WITHIN} s: {what}")
        await asyncio.sleep(0.02)


def held(site: Site) -> set[str]:
    with site.centre.store.read() as connection:
        return set(connection.execute(select(ledger_bytes.c.jws)).scalars())


def test_what_is_sealed_without_a_broker_is_acknowledged_and_the_way_back_is_found(site: Site) -> None:
    async def story() -> None:
        async with running(site.path):
            await until(lambda: site.waiting == 0 and site.path.active, "the backlog")
            site.pair.meters(3)
            await until(lambda: site.waiting == 0, "what was sealed meanwhile")
            site.broker_up = True
            await until(lambda: not site.path.active, "the way back")
            site.pair.meters(1)
            await asyncio.sleep(0)
        assert site.waiting == 1  # it is the first path's again

    site.pair.meters(40)
    with site.office():
        asyncio.run(story())
    assert len(set(site.pair.texts()) - held(site)) == 1
    assert site.courier.counters.receipts_refused == 0


def test_a_broker_that_comes_back_in_time_keeps_the_second_path_unused(site: Site) -> None:
    clock = ManualClock()
    path = SecondPath("http://127.0.0.1:9", "dc1-gw1", site.courier, clock, lambda: site.broker_up, site._no_tls)

    async def passes(seconds: int) -> bool:
        used = False
        for _ in range(seconds):
            clock.advance(1)
            await settled()
            used |= path.active
        return used

    async def story() -> list[bool]:
        found = []
        async with running(path):
            for up, seconds in ((True, 300), (False, 55), (True, 5), (False, 55), (True, 1), (False, 70)):
                site.broker_up = up
                found.append(await passes(seconds))
        return found

    assert asyncio.run(story()) == [False, False, False, False, False, True]


def test_compressed_batches_pass_a_real_broker(store: Store, tmp_path: Path, mosquitto: Mosquitto) -> None:
    site = Site(store, tmp_path)
    uplink = Uplink(Broker(mosquitto.url), "dc1-gw1", site.courier, SystemClock(), dict, compress=True)
    inlet = Inlet(site.centre.ledger, CollectorsBroker(mosquitto.url, "wattseal-central"))

    async def story() -> None:
        task = asyncio.create_task(uplink.run())
        try:
            await until(lambda: site.waiting == 0, "the receipts")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    site.pair.meters(10)
    inlet.start()
    try:
        asyncio.run(story())
    finally:
        inlet.stop()
    assert inlet.counters.refused == 0
    assert set(site.pair.texts()) <= held(site)


def test_a_collector_that_is_away_is_asked_again_and_nothing_is_marked_before(site: Site) -> None:
    async def story() -> None:
        async with running(site.path):
            await until(lambda: site.path.active, "the turn to the second path")
            assert site.waiting == 6
            with site.office():
                await until(lambda: site.waiting == 0, "the backlog")

    site.pair.meters(5)
    asyncio.run(story())


def test_compressed_batches_arrive_as_they_were_signed(site: Site) -> None:
    site.path.compress = True

    async def story() -> None:
        async with running(site.path):
            await until(lambda: site.waiting == 0, "the backlog")

    site.pair.meters(5)
    with site.office():
        asyncio.run(story())
    assert set(site.pair.texts()) <= held(site)


def test_a_restore_is_followed_on_the_second_path_too(site: Site) -> None:
    site.pair.meters(5)
    site.pair.ship()
    site.pair.meters(2)
    generation.restore(site.centre.store, site.centre.log, number=None, reason="x", by="anna", now=1)

    async def story() -> None:
        async with running(site.path):
            await until(lambda: site.waiting == 0, "the backlog")

    with site.office():
        asyncio.run(story())
    seen = site.pair.outbox.last_seen()
    assert seen is not None
    assert seen.log == "wattseal/central/2"
    assert site.pair.refused == []
