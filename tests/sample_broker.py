"""Mosquitto with the shipped configuration and access list, certificates of the collector's own authority, clients."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.intake import authority, pki
from collector.intake.authority import Revoked
from tests.brokers import Mosquitto, free_port

CONFIG = Path(__file__).resolve().parent.parent / "config"
WITHIN = 15.0
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
MEMBERS = ("collector", "dc1-gw1", "dc1-gw2")


def until(condition: Callable[[], object], within: float = WITHIN) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def csr(name: str, key: ec.EllipticCurvePrivateKey) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def write_key(target: Path, key: ec.EllipticCurvePrivateKey) -> None:
    plain = serialization.NoEncryption()
    target.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))


class Sample(Mosquitto):
    """Mosquitto with the sample files, their paths and its port moved."""

    def __init__(self, folder: Path, certificates: Path | None = None) -> None:
        """Make it; with `certificates` a folder that `collector agents broker-files` has written is used."""
        super().__init__(folder)
        self.folder, self.port = folder, free_port()
        (folder / "state").mkdir()
        if certificates is None:
            self._certify()
        text = (CONFIG / "mosquitto.conf").read_text(encoding="utf-8")
        for before, after in {
            "listener 8883": f"listener {self.port} 127.0.0.1",
            "/etc/mosquitto/certs": str(certificates or folder),
            "/etc/mosquitto/wattseal.acl": str(folder / "acl"),
            "/var/lib/mosquitto/": f"{folder}/state/",
        }.items():
            assert before in text
            text = text.replace(before, after)
        (folder / "acl").write_text((CONFIG / "mosquitto.acl").read_text(encoding="utf-8"), encoding="utf-8")
        root = self.config.read_text(encoding="ascii").splitlines()[0]
        self.config.write_text((root if root == "user root" else "") + "\n" + text, encoding="utf-8")

    def _certify(self) -> None:
        """Make an authority, and the certificates of broker, collector and two agents."""
        self.now = int(time.time()) * 1_000_000
        self.authority = authority.make("central", self.now)
        pki.server(self.folder, "broker", ["127.0.0.1"], self.authority, self.now)
        (self.folder / "ca.pem").write_text(self.authority.pem)
        for name in MEMBERS:
            self.member(name)
        self.revoke()

    def member(self, name: str) -> x509.Certificate:
        """Make a member's key and certificate."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self.authority.client(csr(name, key), name, self.now)
        (self.folder / f"{name}.pem").write_text(authority.pem(made))
        write_key(self.folder / f"{name}.key", key)
        return made

    def revoke(self, *names: str) -> None:
        """Write the list of the certificates of some members as revoked."""
        held = [x509.load_pem_x509_certificate((self.folder / f"{name}.pem").read_bytes()) for name in names]
        listed = [Revoked(one.serial_number, self.now) for one in held]
        (self.folder / "revoked.pem").write_bytes(self.authority.revocations(listed, self.now))

    def reload(self) -> None:
        """Let it read its files again, as `systemctl reload mosquitto` does."""
        assert self._running is not None
        self._running.send_signal(signal.SIGHUP)

    @property
    def url(self) -> str:
        """Return its address."""
        return f"mqtts://127.0.0.1:{self.port}"

    def client(self, name: str, version: MQTTProtocolVersion = V5, client_id: str = "") -> "Member":
        """Return a connected client with that certificate."""
        made = Member(self, name, version, client_id)
        made.connect()
        return made

    @contextlib.contextmanager
    def clients(self, *names: str, version: MQTTProtocolVersion = V5) -> Iterator[list["Member"]]:
        """Give connected clients that leave with the block."""
        made = [self.client(name, version) for name in names]
        try:
            yield made
        finally:
            for one in made:
                one.close()


class Member:
    """A client of the broker, and what it hears."""

    def __init__(self, broker: Sample, name: str | None, version: MQTTProtocolVersion, client_id: str = "") -> None:
        self.heard: dict[str, bytes] = {}
        self.codes: list[str] = []
        self.ends: list[str] = []
        self.connects: list[str] = []
        self.port, self.name = broker.port, name
        self.client = mqtt.Client(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=version, reconnect_on_failure=False
        )
        pair = (
            (None, None) if name is None else (str(broker.folder / f"{name}.pem"), str(broker.folder / f"{name}.key"))
        )
        self.client.tls_set(str(broker.folder / "ca.pem"), *pair)
        self.client.on_message = self._hear
        self.client.on_publish = lambda _client, _data, _mid, code, _properties: self.codes.append(str(code))
        self.client.on_subscribe = lambda _client, _data, _mid, codes, _properties: self.codes.append(str(codes[0]))
        self.client.on_connect = lambda _client, _data, _flags, code, _properties: self.connects.append(str(code))
        self.client.on_disconnect = lambda _client, _data, _flags, code, _properties: self.ends.append(str(code))

    def connect(self) -> None:
        """Connect and wait for the broker's welcome."""
        self.client.connect("127.0.0.1", self.port)
        self.client.loop_start()
        until(lambda: self.connects or self.ends)
        assert self.connects == ["Success"], (self.connects, self.ends)

    def is_let_in(self) -> bool:
        """Return whether the broker takes this client at all."""
        try:
            self.client.connect("127.0.0.1", self.port)
        except OSError:  # an SSLError is one
            return False
        self.client.loop_start()
        until(lambda: self.connects or self.ends)
        let_in = bool(self.connects)
        self.close()
        return let_in

    def _hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:  # noqa: ANN401 - paho's
        self.heard[message.topic] = bytes(message.payload)

    def does(self, action: str, topic: str, payload: bytes = b"x") -> str:
        """Publish to or subscribe a topic; return what the broker says of it."""
        count = len(self.codes)
        if action == "publish":
            self.client.publish(topic, payload, qos=1, retain=True)
        else:
            self.client.subscribe(topic, qos=1)
        until(lambda: len(self.codes) > count)
        return self.codes[-1]

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()
