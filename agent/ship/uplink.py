"""The MQTT link to the collector: carries what the courier gives, and hands it what comes back.

Rules of this file: paho's thread touches nothing (its callbacks only hand over to the event loop); a PUBACK is flow
control and nothing more. MQTT 5 first, 3.1.1 when the broker refuses it. A refusal waits as long as silence does.
"""

import asyncio
import contextlib
import json
import random
import socket
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.ship.broker import Broker
from agent.ship.courier import Counters, Courier
from shared import envelope, failpoint, topics
from shared.clock import Clock
from shared.errors import ConfigError
from shared.log import Log

log = Log(__name__)
FIRST_RETRY, LAST_RETRY = 1.0, 60.0  # [s]
#: Room that a PUBLISH packet takes beside its payload. [bytes]
_OVERHEAD = 512
#: Largest packet that we take; a receipt is far smaller. [bytes]
_MOST_BYTES = 300_000
#: CONNACK: unsupported protocol version (MQTT 5 section 3.2.2.2).
_NOT_V5 = 0x84
#: DISCONNECT: session taken over (MQTT 5 section 3.14.2.1); Mosquitto tells it from 2.1 on.
_TAKEN_OVER = 0x8E
_V5, _V311 = MQTTProtocolVersion.MQTTv5, MQTTProtocolVersion.MQTTv311


@dataclass(slots=True)
class Uplink:
    """One broker connection under a courier."""

    broker: Broker
    agent: str
    courier: Courier
    clock: Clock
    birth: Callable[[], dict[str, object]]
    connected: bool = False
    protocol: MQTTProtocolVersion = _V5
    first_retry: float = FIRST_RETRY  # [s]
    compress: bool = False  # only over MQTT 5, which can say so beside the message
    _client: mqtt.Client | None = None
    _inbox: asyncio.Queue[tuple[str, Any]] = field(default_factory=asyncio.Queue)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _understood: bool = False  # whether the broker speaks the version that was tried
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def counters(self) -> Counters:
        """Return what went over the link since start."""
        return self.courier.counters

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
            self._leave()

    # -- connecting --------------------------------------------------------------------------------------------------

    async def _connect_for_ever(self) -> None:
        pause = self.first_retry
        while True:
            welcome = await self._session()
            pause = self.first_retry if welcome else min(pause * 2, LAST_RETRY)
            await self.clock.sleep(pause * (0.75 + 0.5 * random.random()))  # noqa: S311 - jitter, no secret

    async def _session(self) -> bool:
        """Hold one connection to its end; return whether the broker took it."""
        self._over.clear()
        self._understood = False
        try:
            # It counts before it connects: paho may tell of the end from within `connect`, and only once.
            self._client = client = self._new_client(asyncio.get_running_loop())
            where = self.broker.host, self.broker.port, self.broker.ask_every
            await asyncio.to_thread(client.connect, *where, **self._properties())
        except (OSError, ValueError, ConfigError) as error:
            self._client = None
            log.warning("broker_unreachable", broker=self.broker.url, reason=str(error) or type(error).__name__)
            return False
        link = client.socket()
        if isinstance(link, socket.socket):  # without this a receipt waits 44 ms for a delayed ACK
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.loop_start()
        await self._over.wait()
        welcome, self._client, self.connected = self.connected, None, False
        if welcome:
            self.courier.lost()
        newer = self.protocol == _V5 and not self._understood  # perhaps the broker speaks only the older version
        self.protocol = _V311 if newer else _V5
        await asyncio.to_thread(client.loop_stop)
        return welcome

    def _new_client(self, loop: asyncio.AbstractEventLoop) -> mqtt.Client:
        extra: dict[str, Any] = {} if self.protocol == _V5 else {"clean_session": True}
        name, version = f"wattseal-{self.agent}", CallbackAPIVersion.VERSION2
        client = mqtt.Client(version, client_id=name, protocol=self.protocol, reconnect_on_failure=False, **extra)
        if self.broker.username:
            client.username_pw_set(self.broker.username, self.broker.password())
        context = self.broker.context()
        if context is not None:
            client.tls_set_context(context)
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

    def _properties(self) -> dict[str, Any]:
        if self.protocol != _V5:
            return {}
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho ships no types for it
        properties.MaximumPacketSize = _MOST_BYTES
        return {"properties": properties}

    def _state(self, *, alive: bool) -> str:
        return json.dumps({"agent": self.agent, "alive": alive, **(self.birth() if alive else {})})

    def _leave(self) -> None:
        """Say good-bye: a broker that is left politely does not publish the will."""
        client, self._client = self._client, None
        if client is not None:
            if self.connected:
                client.publish(topics.state(self.agent), self._state(alive=False), qos=0, retain=True)
            client.disconnect()
            client.loop_stop()
        self.connected = False

    # -- reading -----------------------------------------------------------------------------------------------------

    async def _read_for_ever(self) -> None:
        while True:
            kind, value = await self._inbox.get()
            if kind == "connect":
                self._on_connect(*value)
            elif kind == "disconnect":
                self._on_disconnect(*value)
            elif self._arrived(_topic(value), value.payload):
                self.kick()

    def _arrived(self, topic: str, payload: bytes) -> bool:
        """Hand over what came; return whether there may be something to send now."""
        if topic == topics.records(self.agent):
            return self.courier.learn(payload)
        return self.courier.take(payload)

    def _on_connect(self, client: mqtt.Client, reason: Any, properties: Properties | None) -> None:  # noqa: ANN401 - paho's
        if client is not self._client:
            return
        self._understood = reason.value != _NOT_V5
        if reason.is_failure:
            log.warning("broker_refuses", broker=self.broker.url, reason=str(reason), protocol=self.protocol.name)
            self._over.set()
            return
        self.connected = True
        allowed = getattr(properties, "MaximumPacketSize", None)
        self.courier.connected(allowed - _OVERHEAD if allowed else envelope.LIMIT)
        client.subscribe([(topics.records(self.agent), 1), (topics.receipt(self.agent), 1)])
        client.publish(topics.state(self.agent), self._state(alive=True), qos=1, retain=True)
        log.info("broker_connected", broker=self.broker.url, protocol=self.protocol.name)
        self.kick()

    def _on_disconnect(self, client: mqtt.Client, reason: Any) -> None:  # noqa: ANN401 - paho's
        if client is self._client:
            log.warning("broker_lost", broker=self.broker.url, reason=str(reason), protocol=self.protocol.name)
            if reason.value == _TAKEN_OVER:
                hint = "another program shows this gateway's identity: a second agent, or a copy of this machine"
                log.error("broker_session_taken_over", broker=self.broker.url, hint=hint)
            self._over.set()

    # -- sending -----------------------------------------------------------------------------------------------------

    async def _send_for_ever(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):  # not wait_for, which in Python 3.11 can swallow a cancellation
                async with asyncio.timeout(self._look_every()):
                    await self._wake.wait()
            self._wake.clear()
            if self.connected and self._client is not None:
                self._send(self._client)

    def _look_every(self) -> float:
        """Return how often to look for batches whose receipt did not come. [s]"""
        return min(5.0, self.courier.window.patience / 2_000_000)

    def _send(self, client: mqtt.Client) -> None:
        for text in self.courier.due():
            failpoint.reach("agent.before_publish")
            squeezed = self.compress and self.protocol == _V5
            payload = zlib.compress(text.encode("ascii"), 6) if squeezed else text
            client.publish(topics.batch(self.agent), payload, qos=1, properties=self._beside(squeezed=squeezed))
            failpoint.reach("agent.after_publish")

    def _beside(self, *, squeezed: bool) -> Properties | None:
        """Return an hour of message expiry: the outbox sends again anyway, so the broker's queue stays bounded."""
        if self.protocol != _V5:
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho ships no types for it
        properties.MessageExpiryInterval = 3600
        if squeezed:
            properties.UserProperty = topics.COMPRESSED
        return properties


def _topic(message: mqtt.MQTTMessage) -> str:
    """Return the topic of a message; of one that a damaged link has made no text, what no topic of ours is."""
    try:
        return message.topic
    except UnicodeDecodeError:
        return ""
