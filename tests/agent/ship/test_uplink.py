"""The uplink over a real Mosquitto: what the broker does or forgets, nothing is lost and nothing is marked unproved."""

import asyncio
import json
import resource
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from agent.ship.broker import Broker
from agent.ship.courier import Courier
from agent.ship.receipts import Desk
from agent.ship.uplink import Uplink
from agent.ship.window import Window
from shared import topics
from shared.clock import SystemClock
from shared.errors import ConfigError
from tests.brokers import Mosquitto
from tests.fakes_agent import Gateway, LittleCollector, gateway

AGENT = "dc1-gw1"
WITHIN = 15.0  # [s]
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


class Side:
    """The collector's end of the broker; `mute` takes batches and says nothing."""

    def __init__(self, broker: Mosquitto, collector: LittleCollector, **login: str) -> None:
        self.collector, self.mute = collector, False
        self.arrived: list[str] = []
        self.ready = False
        self.client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="central", protocol=V5)
        if login:
            self.client.username_pw_set(login["username"], login["password"])
        self.client.on_connect = lambda client, *_: client.subscribe(topics.ALL_BATCHES, qos=1)
        self.client.on_subscribe = self._subscribed
        self.client.on_message = lambda _client, _data, message: self._take(message.payload.decode("ascii"))
        self.client.reconnect_delay_set(0.1, 0.2)  # type: ignore[arg-type] # paho takes fractions of a second, too
        self.client.connect("127.0.0.1", broker.port)
        self.client.loop_start()

    def _subscribed(self, *_: object) -> None:
        self.ready = True

    def _take(self, text: str) -> None:
        self.collector.take(text)
        self.arrived.append(text)
        if not self.mute:
            self.tell()

    def tell(self, **changes: object) -> None:
        """Publish a retained receipt."""
        for epoch in self.collector.acked:
            text = self.collector.receipt(AGENT, epoch, **changes)
            self.client.publish(topics.receipt(AGENT), text, qos=1, retain=True)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gateway]:
    made = gateway(tmp_path, SystemClock())
    yield made
    made.outbox.close()


@pytest.fixture
def side(mosquitto: Mosquitto, gate: Gateway) -> Iterator[Side]:
    made = Side(mosquitto, gate.collector)
    yield made
    made.close()


def _uplink(gate: Gateway, broker: Broker, *, window: int = 16, patience_s: float = 0.4) -> Uplink:
    public = gate.collector.signer.verifier
    desk = Desk(gate.outbox, AGENT, "central", {public.kid: public})
    courier = Courier(gate.outbox, desk, SystemClock(), Window(window, round(patience_s * 1e6)))
    made = Uplink(broker, AGENT, courier, SystemClock(), lambda: {"boot": "b"})
    made.first_retry = 0.1
    return made


@asynccontextmanager
async def _running(uplink: Uplink) -> AsyncIterator[Uplink]:
    task = asyncio.create_task(uplink.run())
    try:
        yield uplink
        if task.done():
            task.result()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {WITHIN} s: {what}")
        await asyncio.sleep(0.01)


def _waiting(gate: Gateway) -> int:
    return gate.outbox.count()["waiting"]


@pytest.mark.parametrize("protocol", [V5, V311])
def test_every_batch_arrives_and_is_marked_by_receipt(
    mosquitto: Mosquitto, gate: Gateway, side: Side, protocol: MQTTProtocolVersion
) -> None:
    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url))
        uplink.protocol = protocol
        gate.heartbeats(20)
        async with _running(uplink):
            await _until(lambda: not _waiting(gate), "all is marked")
            assert uplink.protocol == protocol
            gate.heartbeats(1)
            uplink.kick()
            await _until(lambda: not _waiting(gate), "the new one is marked")
            assert uplink.counters.acknowledged == 22

    asyncio.run(run())
    assert set(side.arrived) == set(gate.outbox.texts())


def test_the_brokers_puback_releases_nothing(mosquitto: Mosquitto, gate: Gateway, side: Side) -> None:
    side.mute = True

    async def run() -> None:
        gate.heartbeats(3)
        async with _running(_uplink(gate, Broker(mosquitto.url))):
            await _until(lambda: len(side.arrived) >= 8, "all came, and again")  # 4 batches, repeated
            assert _waiting(gate) == 4
            side.tell()
            await _until(lambda: not _waiting(gate), "marked by the receipt")

    asyncio.run(run())


def test_a_forged_receipt_is_counted_and_marks_nothing(mosquitto: Mosquitto, gate: Gateway, side: Side) -> None:
    side.mute = True

    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url))
        async with _running(uplink):
            await _until(lambda: side.arrived, "the batch came")
            side.tell(acked_hash=b"x" * 32)
            side.client.publish(topics.receipt(AGENT), b"\xff\x00" * 50_000, retain=True)
            await _until(lambda: uplink.counters.receipts_refused >= 2, "refused")
            assert _waiting(gate) == 1
            assert uplink.connected

    asyncio.run(run())


def test_a_broker_killed_and_started_again_loses_nothing(mosquitto: Mosquitto, gate: Gateway, side: Side) -> None:
    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url), window=4)
        async with _running(uplink):
            for _ in range(3):
                side.arrived.clear()
                gate.heartbeats(10)
                uplink.kick()
                await _until(lambda: uplink.connected and side.arrived, "some came")
                mosquitto.kill()
                await _until(lambda: not uplink.connected, "the loss is noticed")
                gate.heartbeats(3)
                mosquitto.start()
            await _until(lambda: not _waiting(gate), "all is marked")

    asyncio.run(run())
    assert side.collector.acked[gate.epoch][0] == 40


def test_a_retained_receipt_is_read_at_connect(mosquitto: Mosquitto, gate: Gateway, side: Side) -> None:
    for text in gate.outbox.texts():
        gate.collector.take(text)
    side.tell()

    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url))
        uplink.courier.window.size = 0  # nothing is sent: only what is retained can mark
        async with _running(uplink):
            await _until(lambda: not _waiting(gate), "marked")
            assert uplink.counters.sent == 0

    asyncio.run(run())


def test_small_packets_leave_at_once(mosquitto: Mosquitto, gate: Gateway) -> None:
    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url))
        async with _running(uplink):
            await _until(lambda: uplink.connected, "connected")
            link = uplink._client.socket() if uplink._client else None
            assert isinstance(link, socket.socket)
            assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    asyncio.run(run())


def test_a_batch_over_the_brokers_limit_is_parked_and_does_not_loop(tmp_path: Path, mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto = Mosquitto(tmp_path, ["max_packet_size 20000"]).start()
    gate = gateway(tmp_path, SystemClock())
    side = Side(mosquitto, gate.collector)

    async def run() -> None:
        gate.heartbeats(1)
        gate.event(50_000)
        gate.heartbeats(2)
        uplink = _uplink(gate, Broker(mosquitto.url), patience_s=0.1)
        async with _running(uplink):
            await _until(lambda: gate.outbox.acked(gate.epoch) == 2, "what fits is marked")
            await _until(lambda: uplink.counters.sent >= 8, "the others are sent again")
            assert uplink.counters.oversize == 1
            assert uplink.counters.connects == 1
        assert _waiting(gate) == 3

    try:
        asyncio.run(run())
    finally:
        side.close()
        mosquitto.kill()
        gate.outbox.close()


def _passwords(folder: Path, **users: str) -> list[str]:
    import subprocess

    target = folder / "passwords"
    target.write_text("", encoding="ascii")
    target.chmod(0o600)
    for name, password in users.items():
        subprocess.run(["mosquitto_passwd", "-b", str(target), name, password], check=True, capture_output=True)
    return ["allow_anonymous false", f"password_file {target}"]


def test_user_and_password_come_from_the_file(tmp_path: Path, mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto = Mosquitto(tmp_path, _passwords(tmp_path, **{AGENT: "right", "central": "c"})).start()
    gate = gateway(tmp_path, SystemClock())
    side = Side(mosquitto, gate.collector, username="central", password="c")
    secret = tmp_path / "broker.password"
    secret.write_text("wrong\n", encoding="ascii")

    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url, AGENT, secret))
        async with _running(uplink):
            await _until(lambda: "not authorised" in mosquitto.said.read_text(encoding="utf-8"), "refused")
            assert not uplink.connected
            secret.write_text("right\n", encoding="ascii")  # read again at each attempt
            await _until(lambda: not _waiting(gate), "marked")
            assert uplink.protocol == V5  # who refuses a password has understood

    try:
        asyncio.run(run())
    finally:
        side.close()
        mosquitto.kill()
        gate.outbox.close()


def test_a_refusal_is_not_hammered(tmp_path: Path, mosquitto: Mosquitto) -> None:
    mosquitto.kill()
    mosquitto = Mosquitto(tmp_path, _passwords(tmp_path, central="c")).start()
    gate = gateway(tmp_path, SystemClock())

    async def run() -> None:
        async with _running(_uplink(gate, Broker(mosquitto.url))):
            begin = time.monotonic()
            await _until(lambda: mosquitto.said.read_text(encoding="utf-8").count("not authorised") >= 4, "refusals")
            assert time.monotonic() - begin > 0.1 * (1 + 2 + 4) * 0.75

    asyncio.run(run())
    mosquitto.kill()
    gate.outbox.close()


def test_a_password_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.password cannot be read"):
        Broker("mqtt://127.0.0.1", "u", tmp_path / "no.password").password()


def test_certificates_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate", encoding="ascii")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(ConfigError, match="check ca_file"):
            Broker("mqtts://127.0.0.1", ca_file=str(tmp_path / name)).context()


@contextmanager
def _door(answer: bytes) -> Iterator[tuple[str, list[int]]]:
    """Give a broker that answers MQTT 5 with `answer` and takes 3.1.1; it notes the protocol levels that knock."""
    levels: list[int] = []

    async def enter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        packet = await reader.read(1000)
        levels.append(packet[packet.index(b"MQTT") + 4])
        writer.write(bytes.fromhex("20020000") if levels[-1] == 4 else answer)
        await writer.drain()
        if levels[-1] == 4:
            await reader.read()
        writer.close()

    import threading

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(enter, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield f"mqtt://127.0.0.1:{server.sockets[0].getsockname()[1]}", levels
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.mark.parametrize("answer", ["2003008400", "20020001", ""], ids=["unsupported", "as 3.1.1 says it", "closed"])
def test_a_broker_that_knows_only_311_gets_311(gate: Gateway, answer: str) -> None:
    async def run(url: str) -> None:
        uplink = _uplink(gate, Broker(url))
        async with _running(uplink):
            await _until(lambda: uplink.connected, "connected")
            assert uplink.protocol == V311

    with _door(bytes.fromhex(answer)) as (url, levels):
        asyncio.run(run(url))
    assert levels == [5, 4]


def test_birth_and_departure_are_retained(mosquitto: Mosquitto, gate: Gateway) -> None:
    states: list[dict[str, object]] = []
    watcher = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=V5)
    watcher.on_message = lambda _client, _data, message: states.append(json.loads(message.payload))
    watcher.connect("127.0.0.1", mosquitto.port)
    watcher.subscribe(topics.ALL_STATES, qos=1)
    watcher.loop_start()

    async def run() -> None:
        async with _running(_uplink(gate, Broker(mosquitto.url))):
            await _until(lambda: states, "the birth")
        await _until(lambda: len(states) > 1, "the departure")

    asyncio.run(run())
    watcher.disconnect()
    watcher.loop_stop()
    assert states[0] == {"agent": AGENT, "alive": True, "boot": "b"}
    assert states[-1] == {"agent": AGENT, "alive": False}


def test_a_backlog_drains_with_bounded_memory(mosquitto: Mosquitto, gate: Gateway) -> None:
    for _ in range(250):
        gate.event(40_000)  # 10 MB in all
    side = Side(mosquitto, gate.collector)
    side.arrived = _Forgetful()

    async def run() -> None:
        uplink = _uplink(gate, Broker(mosquitto.url), window=8)
        async with _running(uplink):
            await _until(lambda: gate.outbox.acked(gate.epoch) > 20, "it has begun")
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await _until(lambda: not _waiting(gate), "all is marked")
            assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 10_000  # [kB]
            assert uplink.counters.sent < 2 * 251

    try:
        asyncio.run(run())
    finally:
        side.close()


class _Forgetful(list[str]):
    """Keeps nothing, so that the measured memory is the agent's."""

    def append(self, text: str) -> None:
        """Forget it."""
