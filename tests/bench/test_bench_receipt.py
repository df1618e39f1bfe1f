"""DESIGN.md section 9, number 7: a proved, durable receipt beside the broker's own acknowledgement."""

import os
import socket
import statistics
import threading
import time
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collector.intake.authentic import Arrival
from collector.intake.inlet import Inlet
from collector.intake.mqtt import Broker
from collector.store.engine import open_store
from collector.store.migrate import migrate
from shared import topics
from tests.bench.pairs import reached, show
from tests.bench.site import body
from tests.brokers import Mosquitto
from tests.collector.conftest import Centre

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


def _sync(target: Path, text: str) -> float:
    """Return what the disk itself takes for as many bytes. [s]"""
    begin = time.perf_counter()
    with target.open("ab") as file:
        file.write(text.encode("ascii"))
        file.flush()
        os.fsync(file.fileno())
    return time.perf_counter() - begin


def test_a_receipt_is_not_long_after_the_puback(mosquitto: Mosquitto, tmp_path: Path) -> None:
    """Measure one batch at a time: to the PUBACK of a topic that nobody reads, and to the receipt of our ledger."""
    store = open_store("sqlite", tmp_path / "collector")
    migrate(store)
    centre = Centre(store)
    agent = centre.agent()
    inlet = Inlet(centre.ledger, Broker(mosquitto.url, "wattseal-central"))
    inlet.start()
    deadline = time.monotonic() + WITHIN
    while not inlet.link.connected:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    wire, topic = Wire(mosquitto.port, agent.agent), topics.batch(agent.agent)
    wire.time(topic, agent.texts[0], wire.receipts)
    texts = [agent.seal("intervals", body(START + k * QUARTER, 1, 25, length=QUARTER)) for k in range(ROUNDS * EACH)]
    ours: list[float] = []
    pubacks: list[float] = []
    syncs: list[float] = []
    ledger: list[float] = []
    for text in texts:
        while wire.acknowledged.acquire(blocking=False):
            pass  # those of the batches before
        pubacks.append(wire.time("bench/nobody", text, wire.acknowledged))
        syncs.append(_sync(tmp_path / "bare", text))
        ours.append(wire.time(topic, text, wire.receipts))
    wire.client.disconnect()
    wire.client.loop_stop()
    inlet.stop()
    for text in (agent.heartbeat() for _ in range(50)):
        begin = time.process_time()
        centre.ledger.take([Arrival(agent.agent, text.encode("ascii"))])
        ledger.append(time.process_time() - begin)
    store.close()
    blocks = [slice(k * EACH, (k + 1) * EACH) for k in range(3, ROUNDS)]
    ratios = [statistics.median(ours[one]) / statistics.median(pubacks[one]) for one in blocks]
    ratio = statistics.median(ratios)
    late = 1000 * sorted(ours)[len(ours) * 95 // 100]
    show("7 receipt round trip", [
        ("receipt p50 / PUBACK p50", f"{ratio:.3g} ({min(ratios):.3g} to {max(ratios):.3g}); {reached(ratio, 4)}"),
        ("receipt p50, p95", f"{1000 * statistics.median(ours):.2f}, {late:.2f} ms"),
        ("of it: one bare fsync p50", f"{1000 * statistics.median(syncs):.2f} ms"),
        ("of it: verify, admit, prove, sign p50", f"{1000 * statistics.median(ledger):.2f} ms CPU"),
        ("PUBACK p50", f"{1000 * statistics.median(pubacks):.2f} ms"),
    ])  # fmt: skip
