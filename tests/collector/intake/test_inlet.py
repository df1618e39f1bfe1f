"""The inlet against real brokers: the embedded one (MQTT 3.1.1), and Mosquitto (MQTT 5) where it is installed."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collector.intake.broker import EmbeddedBroker
from collector.intake.inlet import Inlet
from collector.intake.mqtt import Broker
from collector.intake.users import COLLECTOR, Users, may
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from shared import topics
from shared.errors import ConfigError
from tests.collector.conftest import Centre
from tests.conftest import lacking
from tests.fakes import LittleAgent

Make = Callable[[Store], Centre]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the awaited did not happen in time"
        time.sleep(0.01)


class Wire:
    """An agent's side of a broker: publishes what it is told to and keeps the receipts."""

    def __init__(self, port: int, agent: LittleAgent, password: str | None) -> None:
        self.agent, self.receipts = agent, list[str]()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"w-{agent.agent}")
        if password is not None:
            self.client.username_pw_set(agent.agent, password)
        self.client.on_connect = lambda client, *_: client.subscribe(topics.receipt(agent.agent), qos=1)
        self.client.on_message = lambda _client, _own, message: self.receipts.append(message.payload.decode())
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        until(self.client.is_connected)

    def send(self, *texts: str, topic: str | None = None) -> None:
        for text in texts:
            self.client.publish(topic or topics.batch(self.agent.agent), text, qos=1)

    def acked(self) -> int:
        for text in self.receipts:
            self.agent.believe(text)
        return self.agent.acked

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def centre_here(tmp_path: Path) -> Iterator[Centre]:
    store = open_store("sqlite", tmp_path / "collector")
    migrate(store)
    yield Centre(store)
    store.close()


class Lab:
    """An embedded broker and its users."""

    def __init__(self, folder: Path) -> None:
        self.users = Users(folder / "broker-users.json")
        self.port = free_port()
        self.password = self.users.add(COLLECTOR)
        self.broker = EmbeddedBroker("127.0.0.1", self.port, self.users)
        self.broker.start()

    def address(self) -> Broker:
        return Broker(f"mqtt://127.0.0.1:{self.port}", "wattseal-central", COLLECTOR, self.password)

    def again(self) -> None:
        """Stop the broker, which forgets everything, and start another in its place."""
        self.broker.stop()
        self.broker = EmbeddedBroker("127.0.0.1", self.port, self.users)
        self.broker.start()


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.broker.stop()


def test_a_batch_becomes_a_proved_receipt_over_the_embedded_broker(lab: Lab, centre_here: Centre) -> None:
    agent = centre_here.agent()
    beats: list[int] = []
    inlet = Inlet(centre_here.ledger, lab.address(), alive=lambda: beats.append(1))
    inlet.start()
    until(lambda: inlet.link.connected)
    wire = Wire(lab.port, agent, lab.users.add("dc1-gw1"))
    for _ in range(99):
        agent.heartbeat()
    wire.send(*agent.texts)
    until(lambda: wire.acked() == 100)
    inlet.stop()
    wire.close()
    assert inlet.counters.received == 100
    assert inlet.counters.stored == 100
    assert inlet.fault is None
    assert beats


def test_after_the_broker_forgot_everything_agents_are_told_again(lab: Lab, centre_here: Centre) -> None:
    agent = centre_here.agent()
    centre_here.take(*agent.texts)  # its receipt never reached a broker
    inlet = Inlet(centre_here.ledger, lab.address())
    inlet.start()
    until(lambda: inlet.link.connects == 1)
    lab.again()
    until(lambda: inlet.link.connects == 2)
    wire = Wire(lab.port, agent, lab.users.add("dc1-gw1"))
    until(lambda: wire.acked() == 1)
    wire.send(agent.heartbeat())
    until(lambda: wire.acked() == 2)
    inlet.stop()
    wire.close()


def test_a_batch_on_another_agents_topic_is_refused(centre_here: Centre, mosquitto: int) -> None:
    agent, other = centre_here.agent(), centre_here.agent("dc1-gw2")
    inlet = Inlet(centre_here.ledger, Broker(f"mqtt://127.0.0.1:{mosquitto}", "wattseal-central"))
    inlet.start()
    until(lambda: inlet.link.connected)
    wire = Wire(mosquitto, agent, None)
    wire.send(other.texts[0], "no batch at all")
    wire.send(agent.texts[0])
    until(lambda: wire.acked() == 1)
    inlet.stop()
    wire.close()
    assert (inlet.counters.refused, inlet.counters.stored) == (2, 1)


def test_what_was_not_acknowledged_comes_again_over_mqtt_5(centre_here: Centre, mosquitto: int) -> None:
    agent = centre_here.agent()
    address = Broker(f"mqtt://127.0.0.1:{mosquitto}", "wattseal-central")
    first = Inlet(centre_here.ledger, address)
    first.start()
    until(lambda: first.link.connected)
    first.stop()  # its session stays with the broker
    wire = Wire(mosquitto, agent, None)
    for _ in range(20):
        agent.heartbeat()
    wire.send(*agent.texts)
    second = Inlet(centre_here.ledger, address)
    second.start()
    until(lambda: wire.acked() == 21)
    second.stop()
    wire.close()
    assert second.counters.received == 21


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[int]:
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        lacking("Mosquitto is not installed (apt install mosquitto)")
    port = free_port()
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n")
    with subprocess.Popen([program, "-c", settings], stderr=subprocess.DEVNULL) as running:
        until(lambda: _listens(port))
        yield port
        running.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_nobody_enters_the_embedded_broker_without_its_password(lab: Lab) -> None:
    lab.users.add("dc1-gw1")
    assert not lab.users.accepts("dc1-gw1", "guess")
    assert not lab.users.accepts("dc1-gw1", None)
    assert not lab.users.accepts(None, None)
    assert not lab.users.accepts("nobody", "")
    assert lab.users.target.stat().st_mode & 0o077 == 0


def test_an_agent_keeps_to_its_own_topics() -> None:
    assert may("gw1", topics.batch("gw1"), writes=True)
    assert may("gw1", topics.receipt("gw1"), writes=False)
    assert not may("gw1", topics.batch("gw2"), writes=True)
    assert not may("gw1", topics.receipt("gw1"), writes=True)
    assert not may("gw1", topics.receipt("gw2"), writes=False)
    assert not may("gw1", "#", writes=False)
    assert not may("+", "wattseal/v1/+/down/receipt", writes=False)
    assert may(COLLECTOR, topics.ALL_BATCHES, writes=False)


def test_a_port_in_use_is_one_clear_sentence(lab: Lab) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{lab.port}"):
        EmbeddedBroker("127.0.0.1", lab.port, lab.users).start()


def test_a_broker_that_is_not_there_is_tried_until_it_stops(centre_here: Centre) -> None:
    inlet = Inlet(centre_here.ledger, Broker(f"mqtt://127.0.0.1:{free_port()}", "wattseal-central"))
    inlet.start()
    until(lambda: inlet.link.problem is not None)
    inlet.stop()
    assert inlet.fault is None
