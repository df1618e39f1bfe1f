"""The shipped broker configuration under abuse, on a real Mosquitto, with certificates of the collector's authority."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from collector.intake import authority, presence
from collector.intake.inlet import Inlet
from collector.intake.mqtt import Broker
from collector.store.engine import Store
from shared import topics
from tests.brokers import Mosquitto
from tests.collector.conftest import Centre
from tests.sample_broker import V5, V311, Member, Sample, until

A, B = "dc1-gw1", "dc1-gw2"
VERSIONS = pytest.mark.parametrize("version", [V5, V311], ids=["5", "3.1.1"])
MARK = b"the honest one"


@pytest.fixture
def sample(mosquitto: Mosquitto, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sample]:
    mosquitto.kill()  # it showed that there is one
    made = Sample(tmp_path_factory.mktemp("sample"))
    made.start()
    yield made
    made.kill()


FOREIGN = [
    topics.batch(B), topics.state(B), topics.receipt(A), topics.receipt(B), topics.records(A), topics.records(B),
    "$SYS/broker/uptime", "wattseal/v1/collector/up/batch", "wattseal/v1//up/batch", "wattseal/v2/dc1-gw1/up/batch",
    "wattseal/v1/dc1-gw1/up/batch/more", "other",
]  # fmt: skip


@VERSIONS
def test_an_agent_writes_nothing_but_its_own_batches_and_state(sample: Sample, version: MQTTProtocolVersion) -> None:
    with sample.clients("collector", A, B, version=version) as (centre, a, b):
        for topic in (topics.ALL_BATCHES, topics.ALL_STATES, "$SYS/#", "other"):
            centre.does("subscribe", topic)
        for topic in (topics.receipt(B), topics.records(B), topics.batch(B)):
            b.does("subscribe", topic)
        said = {topic: a.does("publish", topic) for topic in FOREIGN}
        if version == V5:  # 3.1.1 has no word for it: taken and thrown away
            assert set(said.values()) == {"Not authorized"}
        a.does("publish", topics.batch(A), MARK)
        a.does("publish", topics.state(A), MARK)
        until(lambda: topics.state(A) in centre.heard)
        assert centre.heard == {topics.batch(A): MARK, topics.state(A): MARK}
        centre.does("publish", topics.receipt(B), MARK)
        until(lambda: b.heard)
        assert b.heard == {topics.receipt(B): MARK}
    with sample.clients("collector", B, version=version) as (centre, b):  # nor was anything of it kept
        for topic in (topics.ALL_BATCHES, topics.ALL_STATES):
            centre.does("subscribe", topic)
        b.does("subscribe", topics.receipt(B))
        until(lambda: len(centre.heard) == 2 and b.heard)
        assert set(centre.heard) == {topics.batch(A), topics.state(A)}


@VERSIONS
def test_an_agent_reads_nothing_but_its_own_receipts_and_records(sample: Sample, version: MQTTProtocolVersion) -> None:
    with sample.clients("collector", A, B, version=version) as (centre, a, b):
        wanted = ("#", "+/#", "$SYS/#", "wattseal/v1/+/up/batch", "wattseal/v1/+/down/receipt", *FOREIGN)
        for topic in (*wanted, topics.batch(A)):
            b.does("subscribe", topic)
        a.does("publish", topics.batch(A), MARK)
        a.does("publish", topics.state(A), MARK)
        b.does("publish", topics.batch(B), MARK)
        for agent in (A, B):
            centre.does("publish", topics.receipt(agent), MARK)
            centre.does("publish", topics.records(agent), MARK)
        until(lambda: topics.records(B) in b.heard)
        assert set(b.heard) == {topics.receipt(B), topics.records(B)}


@VERSIONS
def test_the_collector_writes_receipts_and_records_and_no_batches(sample: Sample, version: MQTTProtocolVersion) -> None:
    with sample.clients("collector", A, version=version) as (centre, a):
        centre.does("subscribe", topics.ALL_BATCHES)
        centre.does("publish", topics.batch(A), b"forged")
        a.does("publish", topics.batch(A), MARK)
        until(lambda: centre.heard)
        assert centre.heard == {topics.batch(A): MARK}


def _raw(sample: Sample, topic: bytes) -> bytes:
    """Publish to a topic that no client library would send; return what comes back before the end."""
    trust = ssl.create_default_context(cafile=str(sample.folder / "ca.pem"))
    trust.load_cert_chain(sample.folder / f"{A}.pem", sample.folder / f"{A}.key")
    plain = socket.create_connection(("127.0.0.1", sample.port), 5)
    with trust.wrap_socket(plain, server_hostname="127.0.0.1") as link:
        link.sendall(b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x")
        assert link.recv(4) == b"\x20\x02\x00\x00"
        body = len(topic).to_bytes(2, "big") + topic + b"x"
        link.sendall(bytes([0x31, len(body)]) + body)
        link.sendall(b"\xc0\x00")  # PINGREQ
        try:
            return link.recv(2)
        except OSError:
            return b""


@pytest.mark.parametrize("topic", [b"wattseal/v1/+/up/batch", b"#", b"wattseal/v1/dc1-gw1/up/#", b"", b"\xff"])
def test_a_topic_with_wildcards_ends_the_connection_and_reaches_nobody(sample: Sample, topic: bytes) -> None:
    with sample.clients("collector", B) as (centre, b):
        centre.does("subscribe", topics.ALL_BATCHES)
        assert _raw(sample, topic) != b"\xd0\x00"
        b.does("publish", topics.batch(B), MARK)
        until(lambda: centre.heard)
        assert centre.heard == {topics.batch(B): MARK}


def test_nobody_comes_in_without_a_certificate_of_the_authority(sample: Sample, tmp_path: Path) -> None:
    assert Member(sample, A, V5).is_let_in()
    assert not Member(sample, None, V5).is_let_in()
    assert not Member(sample, "broker", V5).is_let_in()  # a server's certificate speaks for no agent
    other = tmp_path / "other"
    other.mkdir()
    stranger = Sample(other)  # another authority made this one for the same name
    (sample.folder / "stranger.pem").write_bytes((stranger.folder / f"{A}.pem").read_bytes())
    (sample.folder / "stranger.key").write_bytes((stranger.folder / f"{A}.key").read_bytes())
    assert not Member(sample, "stranger", V5).is_let_in()


@VERSIONS
def test_a_revoked_certificate_is_refused_once_the_broker_has_reloaded(
    sample: Sample, version: MQTTProtocolVersion
) -> None:
    assert Member(sample, A, version).is_let_in()
    began = time.monotonic()
    sample.revoke(A)
    sample.reload()
    until(lambda: not Member(sample, A, version).is_let_in(), 60)
    assert time.monotonic() - began < 60
    assert Member(sample, B, version).is_let_in()
    sample.member(A)  # enrolled again: a new key, a new certificate
    assert Member(sample, A, version).is_let_in()


@pytest.mark.parametrize("victim", ["wattseal-dc1-gw1", "dc1-gw1", "wattseal-central", "collector"])
def test_a_client_id_of_somebody_else_takes_nothing_over(sample: Sample, victim: str) -> None:
    with sample.clients("collector", A) as (centre, a):
        centre.does("subscribe", topics.ALL_BATCHES)
        thief = sample.client(B, V5, victim)
        a.does("publish", topics.batch(A), MARK)
        until(lambda: centre.heard)
        thief.close()
        assert (a.ends, centre.ends) == ([], [])


def test_an_oversize_packet_ends_its_own_connection_only(sample: Sample) -> None:
    with sample.clients("collector", A, B) as (centre, a, b):
        centre.does("subscribe", topics.ALL_BATCHES)
        a.client.publish(topics.batch(A), b"x" * 300_001, qos=1)
        until(lambda: a.ends)
        b.does("publish", topics.batch(B), b"x" * 262_144)
        until(lambda: centre.heard)
        assert set(centre.heard) == {topics.batch(B)}


# -- the collector behind it -----------------------------------------------------------------------------------------


def _birth(boot: str, at: int) -> bytes:
    return json.dumps({"agent": A, "alive": True, "boot": boot, "epoch": "e" * 32, "head": 1, "at": at}).encode()


def test_two_machines_with_one_certificate_are_counted_and_told(sample: Sample, store: Store) -> None:
    centre = Centre(store)
    centre.agent(A)
    folder = sample.folder
    broker = Broker(
        sample.url, "wattseal-central", ca_file=str(folder / "ca.pem"), cert_file=str(folder / "collector.pem"),
        key_file=str(folder / "collector.key"),
    )  # fmt: skip
    inlet = Inlet(centre.ledger, broker)
    inlet.start()

    def present() -> presence.Present | None:
        with store.read() as connection:
            return presence.every(connection).get(A)

    def heard(boot: str) -> bool:
        found = present()
        return found is not None and found.boot == boot and found.connected

    try:
        until(lambda: inlet.link.connected)
        machines: list[Member] = []
        for at, boot in enumerate(("a" * 32, "b" * 32, "a" * 32, "b" * 32), start=1):
            machines.append(sample.client(A))
            machines[-1].does("publish", topics.state(A), _birth(boot, at))
            until(lambda boot=boot: heard(boot))  # type: ignore[misc] # a default binds the loop's value
        assert [bool(one.ends) for one in machines] == [True, True, True, False]
        found = present()
        assert found is not None
        assert (found.clones, presence.line(found)) == (2, "  connected  TWO MACHINES SHOW THIS IDENTITY (2 times)")
    finally:
        for one in machines:
            one.close()
        inlet.stop()
    assert authority.pin(sample.authority.certificate) == sample.authority.pin
