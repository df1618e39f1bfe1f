"""The MQTT link to the collector: sends what the outbox holds, marks only what a receipt proves.

Rules of this file: the outbox is the only queue; paho's thread never touches it (its callbacks only hand over to the
event loop); a PUBACK is flow control and nothing more; what is larger than the broker takes is parked, never looped.
MQTT 5 first, 3.1.1 when the broker refuses it.
"""

import asyncio
import contextlib
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk
from agent.ship.window import Window
from shared import envelope, topics
from shared.clock import Clock
from shared.errors import ConfigError, TrustError
from shared.log import Log

log = Log(__name__)
PATIENCE = 30_000_000  # [us]
KEEPALIVE = 30  # [s]
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # [s]


@dataclass(frozen=True, slots=True)
class Broker:
    """How to reach the broker."""

    url: str
    username: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @property
    def host(self) -> str:
        """Return the host name."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Return the port; 8883 with TLS, 1883 without, unless the address has one."""
        return urlsplit(self.url).port or (8883 if self.secure else 1883)

    @property
    def secure(self) -> bool:
        """Return whether the link is TLS."""
        return urlsplit(self.url).scheme == "mqtts"

    def password(self) -> str | None:
        """Return the password from its file.

        Raises:
            ConfigError: it cannot be read.
        """
        if self.password_file is None:
            return None
        try:
            return Path(self.password_file).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigError(f"uplink.password_file: {self.password_file}: {error.strerror}") from error

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings.

        Raises:
            ConfigError: a certificate or key cannot be used.
        """
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"uplink: certificates cannot be used: {error}; check ca_file, cert_file, key_file"
            ) from error
        return context


@dataclass(slots=True)
class Counters:
    """What went over the link since start."""

    sent: int = 0
    acknowledged: int = 0
    receipts: int = 0
    receipts_refused: int = 0
    connects: int = 0
    oversize: int = 0


@dataclass(slots=True)
class Uplink:
    """One broker connection and the window of batches on the way."""

    broker: Broker
    agent: str
    outbox: Outbox
    desk: Desk
    clock: Clock
    window: Window
    birth: Callable[[], dict[str, object]]
    counters: Counters = field(default_factory=Counters)
    connected: bool = False
    protocol: MQTTProtocolVersion = MQTTProtocolVersion.MQTTv5
    _client: mqtt.Client | None = None
    _limit: int = envelope.LIMIT
    _parked: set[int] = field(default_factory=set)
    _inbox: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def kick(self) -> None:
        """Send soon: something was sealed."""
        self._wake.set()

    async def run(self) -> None:
        """Keep the link up and the outbox draining until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._connect_for_ever())
                group.create_task(self._read_for_ever())
                group.create_task(self._send_for_ever())
        finally:
            self._close()

    # -- connecting --------------------------------------------------------------------------------------------------

    async def _connect_for_ever(self) -> None:
        pause = FIRST_RETRY
        while True:
            if self._client is None:
                good = await self._connect()
                pause = FIRST_RETRY if good else min(pause * 2, LAST_RETRY)
            await self.clock.sleep(0.2 if self._client is not None else pause)

    async def _connect(self) -> bool:
        client = self._new_client(asyncio.get_running_loop())
        try:
            await asyncio.to_thread(client.connect, self.broker.host, self.broker.port, KEEPALIVE)
        except (OSError, ValueError) as error:
            log.warning("broker_unreachable", broker=self.broker.url, reason=str(error) or type(error).__name__)
            return False
        link = client.socket()
        if isinstance(link, socket.socket):  # without this a receipt waits 44 ms for a delayed ACK
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._client = client
        client.loop_start()
        return True

    def _new_client(self, loop: asyncio.AbstractEventLoop) -> mqtt.Client:
        extra: dict[str, Any] = {} if self.protocol == MQTTProtocolVersion.MQTTv5 else {"clean_session": True}
        name, version = f"wattseal-{self.agent}", CallbackAPIVersion.VERSION2
        client = mqtt.Client(version, client_id=name, protocol=self.protocol, reconnect_on_failure=False, **extra)
        if self.broker.username:
            client.username_pw_set(self.broker.username, self.broker.password())
        if self.broker.secure:
            client.tls_set_context(self.broker.context())
        client.will_set(topics.state(self.agent), self._state(alive=False), qos=1, retain=True)

        def post(kind: str, value: Any) -> None:  # noqa: ANN401 - whatever a callback brings
            with contextlib.suppress(RuntimeError):  # the loop is closing: nothing more is read
                loop.call_soon_threadsafe(self._inbox.put_nowait, (kind, value))

        client.on_connect = lambda _client, _data, _flags, reason, properties: post(
            "connect", (client, reason, properties)
        )
        client.on_disconnect = lambda _client, _data, _flags, reason, _properties: post("disconnect", (client, reason))
        client.on_message = lambda _client, _data, message: post("message", message)
        return client

    def _state(self, *, alive: bool) -> str:
        return json.dumps({"agent": self.agent, "alive": alive, **(self.birth() if alive else {})})

    def _close(self) -> None:
        client, self._client, self.connected = self._client, None, False
        if client is not None:
            client.disconnect()
            client.loop_stop()

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            kind, value = await self._inbox.get()
            if kind == "connect":
                self._on_connect(*value)
            elif kind == "disconnect":
                self._on_disconnect(*value)
            else:
                self._on_message(value.payload)

    def _on_connect(self, client: mqtt.Client, reason: Any, properties: Properties | None) -> None:  # noqa: ANN401 - paho's
        if client is not self._client:
            return
        if reason.is_failure:
            log.warning("broker_refuses", broker=self.broker.url, reason=str(reason), protocol=self.protocol)
            self._drop(client)
            return
        self.connected = True
        self.counters.connects += 1
        allowed = getattr(properties, "MaximumPacketSize", None)
        self._limit = min(envelope.LIMIT, allowed - 512) if allowed else envelope.LIMIT
        client.subscribe(topics.receipt(self.agent), qos=1)
        client.publish(topics.state(self.agent), self._state(alive=True), qos=1, retain=True)
        self.window.reset()
        self._parked.clear()
        log.info("broker_connected", broker=self.broker.url, protocol=self.protocol)
        self.kick()

    def _on_disconnect(self, client: mqtt.Client, reason: Any) -> None:  # noqa: ANN401 - paho's
        if client is self._client:
            if self.connected:
                log.warning("broker_lost", broker=self.broker.url, reason=str(reason))
            self._drop(client)

    def _drop(self, client: mqtt.Client) -> None:
        if not self.connected:  # refused before it began: perhaps it speaks only the other version
            newer = self.protocol == MQTTProtocolVersion.MQTTv5
            self.protocol = MQTTProtocolVersion.MQTTv311 if newer else MQTTProtocolVersion.MQTTv5
        self._client, self.connected = None, False
        client.loop_stop()

    def _on_message(self, payload: bytes) -> None:
        self.counters.receipts += 1
        try:
            taken = self.desk.take(payload.decode("ascii", errors="replace"), self.clock.wall())
        except TrustError as error:
            self.counters.receipts_refused += 1
            log.error(  # noqa: TRY400 - what is not believed is no bug of ours
                "receipt_refused", reason=error.reason, said=str(error)
            )
            return
        self.counters.acknowledged += taken.acked
        for rejected in taken.rejected:
            log.error("batch_rejected", reason=rejected.reason)
        if taken.missing:
            self.window.reset()
        if taken.acked or taken.missing:
            self.kick()

    # -- sending -----------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout=5)
            self._wake.clear()
            if self.connected and self._client is not None:
                self._send(self._client)

    def _send(self, client: mqtt.Client) -> None:
        waiting = dict(self.outbox.waiting(most=self.window.size + len(self._parked)))
        sendable = [row for row in waiting if row not in self._parked]
        for row in self.window.due(sendable, self.clock.boot()):
            text = waiting[row].text
            if len(text) > self._limit:
                self._parked.add(row)
                self.counters.oversize += 1
                log.error("batch_over_broker_limit", seq=waiting[row].seq, bytes=len(text), limit=self._limit)
                continue
            client.publish(topics.batch(self.agent), text, qos=1, properties=self._expiry())
            self.counters.sent += 1

    def _expiry(self) -> Properties | None:
        """Return an hour of message expiry: the outbox sends again anyway, so the broker's queue stays bounded."""
        if self.protocol != MQTTProtocolVersion.MQTTv5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho ships no types for it
        properties.MessageExpiryInterval = 3600
        return properties
