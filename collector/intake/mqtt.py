"""The collector's link to an MQTT broker: one session that stays, acknowledged by hand.

Rules of this file: MQTT 5 first, 3.1.1 where the broker refuses it; the session is kept over reconnects; a message is
acknowledged only when its reader says so, and only on the connection that brought it; each attempt gets a new client
(a paho client that lost its link has stalled before, facts/trust.md 8.2). No error of paho leaves it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from collector.intake.inflate import inflate
from collector.intake.intake import Message
from shared.errors import ConfigError
from shared.log import Log
from shared.topics import COMPRESSED

log = Log(__name__)
V5, V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311
KEEPALIVE = 30  # [s]
SESSION_LIFE = 7 * 24 * 3600  # [s]
RECEIVE_MAXIMUM = 1024
MOST_BYTES = 300_000
FIRST_RETRY, LAST_RETRY = 0.5, 30.0  # [s]
ANSWER_WITHIN = 10.0  # [s]
LOOK_EVERY = 2.0  # whether the network's thread lives [s]


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and who the collector is there."""

    url: str
    client_id: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    renew: Callable[[], None] = field(default=lambda: None, repr=False)  # makes the certificate anew where it is old
    keepalive: int = KEEPALIVE

    @property
    def ask_every(self) -> int:
        """Return after what silence paho asks the broker for a sign of life. [s]

        It gives up when the next such span has passed, too: a half-open link is noticed within 1.5 times the keepalive.
        """
        return max(1, self.keepalive * 3 // 5)

    @property
    def secure(self) -> bool:
        """Return whether the link is TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def host(self) -> str:
        """Return the host name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port; 8883 with TLS, 1883 without, unless the address has one."""
        return urlsplit(self.url).port or (8883 if self.secure else 1883)

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings, from files as they are now.

        Raises:
            ConfigError: a certificate or key cannot be used.
        """
        try:
            self.renew()
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"mqtt: certificates cannot be used: {error}; check ca_file, cert_file, key_file"
            ) from error
        return context


class Link:
    """Keeps one subscription alive until it is told to stop."""

    def __init__(
        self, broker: Broker, topics: tuple[str, ...], arrived: Callable[[Message], None], up: Callable[[], None]
    ) -> None:
        """Make a link; `arrived` and `up` (subscribed anew) are called in the network's thread and must be quick."""
        self.broker, self.topics, self._arrived, self._up = broker, topics, arrived, up
        self.connected = False
        self.connects = 0
        self.problem: str | None = None
        self.look_every = LOOK_EVERY
        self._version = V5
        self._client: paho.Client | None = None
        self._stopping = threading.Event()
        self._lost = threading.Event()
        if broker.secure:
            broker.context()  # what cannot be used is told at the start, not at the first connect
        self._thread = threading.Thread(target=self._run, name="wattseal-broker-link", daemon=True)

    def start(self) -> None:
        """Connect, and connect again whenever the link is lost."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye to the broker; what was handed to `publish` is sent before."""
        self._stopping.set()
        self._lost.set()
        self._thread.join()

    def publish(self, topic: str, text: str) -> bool:
        """Send a retained message; return False where there is no link now."""
        client = self._client
        if client is None or not self.connected:
            return False
        return client.publish(topic, text, qos=1, retain=True).rc == paho.MQTT_ERR_SUCCESS

    def _run(self) -> None:
        pause = FIRST_RETRY
        while not self._stopping.is_set():
            self._lost.clear()
            before = self.connects
            self._session()
            pause = FIRST_RETRY if self.connects > before else min(pause * 2, LAST_RETRY)
            self._stopping.wait(pause)

    def _session(self) -> None:
        """Live through one connection."""
        try:
            client = self._new_client()
            self._connect(client)
        except (OSError, ValueError, ConfigError) as error:
            self._trouble("broker_unreachable", str(error) or type(error).__name__)
            return
        self._client = client
        client.loop_start()
        answer_by = time.monotonic() + ANSWER_WITHIN
        while not self._lost.wait(self.look_every) and self._reads():
            if not self.connected and time.monotonic() >= answer_by:
                break
        if not self.connected and not self._stopping.is_set():
            self._version = V311 if self._version == V5 else V5  # perhaps it speaks only the other version
        self.connected = False
        client.disconnect()
        client.loop_stop()
        self._client = None

    def _reads(self) -> bool:
        """Return whether paho's thread still lives: a packet that is no MQTT has ended it without a word."""
        name = f"paho-mqtt-client-{self.broker.client_id}"
        if any(one.name == name for one in threading.enumerate()):
            return True
        self._trouble("broker_link_damaged", "what came was no MQTT; connecting again")
        return False

    def _new_client(self) -> paho.Client:
        extra: dict[str, Any] = {} if self._version == V5 else {"clean_session": False}
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=self.broker.client_id, protocol=self._version, manual_ack=True,
            reconnect_on_failure=False, **extra,
        )  # fmt: skip
        if self.broker.username:
            client.username_pw_set(self.broker.username, self.broker.password)
        if self.broker.secure:
            client.tls_set_context(self.broker.context())
        client.on_socket_open = _no_delay
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        return client

    def _connect(self, client: paho.Client) -> None:
        if self._version == V311:
            client.connect(self.broker.host, self.broker.port, self.broker.ask_every)
            return
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho ships no types for it
        properties.SessionExpiryInterval = SESSION_LIFE
        properties.ReceiveMaximum = RECEIVE_MAXIMUM
        properties.MaximumPacketSize = MOST_BYTES
        where = self.broker.host, self.broker.port, self.broker.ask_every
        client.connect(*where, clean_start=False, properties=properties)

    def _on_connect(self, client: paho.Client, _own: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401 - paho's
        if reason.is_failure:
            self._trouble("broker_refuses", str(reason))
            self._lost.set()
            return
        client.subscribe([(topic, 1) for topic in self.topics])

    def _on_subscribe(self, _client: paho.Client, _own: object, _mid: int, reasons: list[Any], _more: object) -> None:
        if any(reason.is_failure for reason in reasons):
            self._trouble("broker_refuses_subscription", ", ".join(map(str, reasons)))
            self._lost.set()
            return
        self.connected, self.problem = True, None
        self.connects += 1
        log.info("broker_connected", broker=self.broker.url, protocol=self._version.name)
        self._up()

    def _on_disconnect(self, _client: paho.Client, _own: object, _flags: object, reason: Any, _more: object) -> None:  # noqa: ANN401 - paho's
        if self.connected and not self._stopping.is_set():
            self._trouble("broker_lost", str(reason))
        self._lost.set()

    def _on_message(self, client: paho.Client, _own: object, message: paho.MQTTMessage) -> None:
        mid, qos = message.mid, message.qos

        def acknowledge() -> None:
            if client is self._client:
                client.ack(mid, qos)

        try:
            topic = message.topic
        except UnicodeDecodeError:  # a damaged link: what else it brings is no better
            self._trouble("broker_link_damaged", "a topic is no text; connecting again")
            self._lost.set()
            return
        beside = getattr(message.properties, "UserProperty", None) or []
        octets = bytes(message.payload)
        octets = inflate(octets) if COMPRESSED in beside else octets
        self._arrived(Message(topic, octets, acknowledge))

    def _trouble(self, event: str, said: str) -> None:
        if said != self.problem:  # a state is told once
            log.warning(event, broker=self.broker.url, said=said)
        self.problem = said


def _no_delay(_client: paho.Client, _own: object, link: Any) -> None:  # noqa: ANN401 - a socket, or TLS around one
    """Send at once: without this a receipt waits for a delayed acknowledgement."""
    if isinstance(link, socket.socket):
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
