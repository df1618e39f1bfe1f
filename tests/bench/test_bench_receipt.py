"""DESIGN.md section 9, number 7: a proved, durable receipt beside the broker's own acknowledgement."""

import os
import socket
import statistics
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collector.intake.authentic import Arrival
from collector.store.engine import open_store
from collector.store.migrate import migrate
from shared import keys, topics
from tests.bench.pairs import reached, show
from tests.bench.site import body
from tests.brokers import Mosquitto
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent
from tests.faults.laboratory import Program

pytestmark = pytest.mark.bench
WITHIN = 10.0  # [s]
ROUNDS, EACH = 25, 8
QUARTER = 900
START = 1_772_460_000


class Wire:
    """A client without delays of its own: publishes, and waits for PUBACK or receipt."""

    def __init__(self, port: int, agent: str) -> None:
        self.receipts, self.acknowledged = threading.Semaphore(0), threading.Semaphore(0)
        self._subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="bench")
        self.client.on_connect = lambda client, *_: client.subscribe(topics.receipt(agent), qos=1)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda *_: self.receipts.release()
        self.client.on_publish = lambda *_: self.acknowledged.release()
        self.client.connect("127.0.0.1", port)
        link = self.client.socket()
        assert isinstance(link, socket.socket)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.loop_start()
        assert self._subscribed.wait(WITHIN)

    def time(self, topic: str, text: str, awaited: threading.Semaphore) -> float:
        """Return how long it took until the awaited came. [s]"""
        begin = time.perf_counter()
        self.client.publish(topic, text, qos=1)
        assert awaited.acquire(timeout=WITHIN)
        return time.perf_counter() - begin

    def wait(self, topic: str, text: str) -> None:
        """Publish until the first receipt comes: who is not there yet gets nothing."""
        deadline = time.monotonic() + 3 * WITHIN
        while time.monotonic() < deadline:
            self.client.publish(topic, text, qos=1)
            if self.receipts.acquire(timeout=0.5):
                return
        pytest.fail("no receipt came")

    def forget(self) -> None:
        """Forget what came late of the batches before."""
        for one in (self.acknowledged, self.receipts):
            while one.acquire(blocking=False):
                pass

    def stop(self) -> None:
        """Leave the broker."""
        self.client.disconnect()
        self.client.loop_stop()


def _sync(target: Path, text: str) -> float:
    """Return what the disk itself takes for as many bytes. [s]"""
    begin = time.perf_counter()
    with target.open("ab") as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - begin


@pytest.fixture
def centre(mosquitto: Mosquitto, tmp_path: Path) -> Iterator[Centre]:
    """Give a collector whose inlet runs as a program of its own, as `serve` does."""
    folder = tmp_path / "collector"
    store = open_store("sqlite", folder)
    migrate(store)
    made = Centre(store, keys.create(folder / "keys"))
    program = Program("collector_program", (folder, mosquitto.url), tmp_path / "collector.log")
    program.start()
    yield made
    program.kill()
    store.close()


def test_a_receipt_is_not_long_after_the_puback(mosquitto: Mosquitto, centre: Centre, tmp_path: Path) -> None:
    """Measure one batch at a time: to the PUBACK of a topic that nobody reads, and to the receipt of our ledger."""
    agent = centre.agent()
    wire, topic = Wire(mosquitto.port, agent.agent), topics.batch(agent.agent)
    wire.wait(topic, agent.texts[0])
    texts = [agent.seal("intervals", body(START + k * QUARTER, 1, 25, length=QUARTER)) for k in range(ROUNDS * EACH)]
    ours: list[float] = []
    pubacks: list[float] = []
    syncs: list[float] = []
    for text in texts:
        wire.forget()
        pubacks.append(wire.time("bench/nobody", text, wire.acknowledged))
        syncs.append(_sync(tmp_path / "bare", text))
        ours.append(wire.time(topic, text, wire.receipts))
    wire.stop()
    durable = [sum(both) for both in zip(pubacks, syncs, strict=True)]
    late = 1000 * sorted(ours)[len(ours) * 95 // 100]
    show("7 receipt round trip", [
        ("receipt p50 / PUBACK p50", f"{_ratio(ours, pubacks)}; {reached(_median_ratio(ours, pubacks), 4)}"),
        ("receipt p50 / (PUBACK + one bare fsync) p50", _ratio(ours, durable)),
        ("receipt p50, p95", f"{1000 * statistics.median(ours):.2f}, {late:.2f} ms"),
        ("of it: one bare fsync p50", f"{1000 * statistics.median(syncs):.2f} ms"),
        ("of it: verify, admit, prove, sign p50", f"{1000 * statistics.median(_alone(centre, agent)):.2f} ms CPU"),
        ("PUBACK p50", f"{1000 * statistics.median(pubacks):.2f} ms"),
    ])  # fmt: skip


def _alone(centre: Centre, agent: LittleAgent) -> list[float]:
    """Return the CPU time of the ledger for one small batch, without network and threads. [s]"""
    found = []
    for text in (agent.heartbeat() for _ in range(50)):
        begin = time.process_time()
        centre.ledger.take([Arrival(agent.agent, text.encode("ascii"))])
        found.append(time.process_time() - begin)
    return found


def _ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    blocks = [slice(k * EACH, (k + 1) * EACH) for k in range(3, ROUNDS)]
    return [statistics.median(ours[one]) / statistics.median(theirs[one]) for one in blocks]


def _median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(_ratios(ours, theirs))


def _ratio(ours: Sequence[float], theirs: Sequence[float]) -> str:
    found = _ratios(ours, theirs)
    return f"{statistics.median(found):.3g} ({min(found):.3g} to {max(found):.3g})"
