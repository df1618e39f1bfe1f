"""A link that turns packets into no MQTT: both ends connect again, and neither stands still or dies."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ship.broker import Broker
from collector.intake.mqtt import Broker as Central
from collector.intake.mqtt import Link
from tests.impatient import impatient
from tests.sample_broker import until

V5 = 5
NO_TEXT = b"\xff\xfe"


class Garbler:
    """A broker of a few bytes: it welcomes, grants every subscription, then sends a message."""

    def __init__(self) -> None:
        self.topic = NO_TEXT
        self.door = socket.create_server(("127.0.0.1", 0))
        self.url = f"mqtt://127.0.0.1:{self.door.getsockname()[1]}"
        self.sent = 0
        self._links: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                link, _ = self.door.accept()
            except OSError:
                return
            self._links.append(link)
            threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        level = 0
        try:
            while packet := _packet(link):
                kind, body = packet
                if kind == 1:
                    level = body[6]
                    link.sendall(b"\x20\x03\x00\x00\x00" if level == V5 else b"\x20\x02\x00\x00")
                elif kind == 8:
                    topics = _subscribed(body, level)
                    answer = body[:2] + (b"\x00" if level == V5 else b"") + b"\x01" * topics
                    link.sendall(bytes([0x90, len(answer)]) + answer)
                    bad = len(self.topic).to_bytes(2, "big") + self.topic + (b"\x00" if level == V5 else b"") + b"x"
                    link.sendall(bytes([0x30, len(bad)]) + bad)
                    self.sent += 1
        except OSError:
            return

    def close(self) -> None:
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for link in self._links:
            link.close()
        self._thread.join()


def _packet(link: socket.socket) -> tuple[int, bytes] | None:
    """Return kind and body of the next packet; None at the end."""
    first = link.recv(1)
    if not first:
        return None
    size, shift = 0, 0
    while True:
        one = link.recv(1)[0]
        size |= (one & 0x7F) << shift
        shift += 7
        if not one & 0x80:
            break
    body = b""
    while len(body) < size:
        body += link.recv(size - len(body))
    return first[0] >> 4, body


def _subscribed(body: bytes, level: int) -> int:
    """Return how many topics a SUBSCRIBE names."""
    at, count = 2 + (level == V5), 0
    while at < len(body):
        at += 2 + int.from_bytes(body[at : at + 2], "big") + 1
        count += 1
    return count


@pytest.fixture
def garbler() -> Iterator[Garbler]:
    made = Garbler()
    yield made
    made.close()


def test_the_collector_connects_again_after_a_topic_that_is_no_text(garbler: Garbler) -> None:
    arrived: list[object] = []
    link = Link(Central(garbler.url, "wattseal-central"), ("wattseal/v1/+/up/batch",), arrived.append, lambda: None)
    link.start()
    until(lambda: garbler.sent >= 3)
    link.stop()
    assert arrived == []
    assert link.problem == "a topic is no text; connecting again" or link.connects >= 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # that is what is meant here
def test_the_collector_connects_again_after_the_networks_thread_has_died(garbler: Garbler) -> None:
    garbler.topic = b"wattseal/v1/dc1-gw1/up/batch"

    def dies(_message: object) -> None:
        raise SystemExit  # ends paho's thread without a word, as a packet does that its parser does not expect

    link = Link(Central(garbler.url, "wattseal-central"), ("wattseal/v1/+/up/batch",), dies, lambda: None)
    link.look_every = 0.1
    link.start()
    until(lambda: garbler.sent >= 3)
    link.stop()
    assert link.connects >= 2


def test_the_agent_goes_on_after_a_topic_that_is_no_text(garbler: Garbler, tmp_path: Path) -> None:
    async def run() -> int:
        async with impatient(tmp_path, Broker(garbler.url)) as (uplink, task):
            await asyncio.to_thread(until, lambda: uplink.counters.receipts_refused >= 1)
            assert not task.done()
        return uplink.counters.acknowledged

    assert asyncio.run(run()) == 0
