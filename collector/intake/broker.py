"""An MQTT broker in this process, for demo and lab (amqtt: MQTT 3.1.1 only, sessions in memory only).

Nobody is anonymous: every user has a password that `users` made, and an agent may write only its own `up` topics and
read only its own `down` topics. Its door does what amqtt does not: a client that speaks MQTT 5 is told so at once
(amqtt waits for ever), and a packet over the limit ends its connection.
"""

import asyncio
import contextlib
import logging
import threading
from dataclasses import dataclass
from typing import Any

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker as Amqtt
from amqtt.contexts import Action
from amqtt.errors import AMQTTError, BrokerError, MQTTError, NoDataError
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from collector.intake.users import Users, may
from shared.errors import ConfigError
from shared.log import Log

log = Log(__name__)
MOST_BYTES = 300_000
_WITHIN = 10.0  # [s]
_CONNECT = 1  # MQTT 3.1.1 section 2.2.1
_V311 = 4
_NOT_V5 = bytes.fromhex("2003008400")  # CONNACK of MQTT 5: unsupported protocol version (section 3.2.2.2)


class Gate(BaseAuthPlugin, BaseTopicPlugin):  # type: ignore[misc] # amqtt ships no types, and wants its plugins derived
    """Asks `Users` who may enter, and keeps each agent to its own topics."""

    @dataclass
    class Config:
        """What amqtt hands to the plugin."""

        users: Any = None

    async def authenticate(self, *, session: Session) -> bool:
        """Return whether the session's user may enter."""
        users: Users = self.config.users
        return users.accepts(session.username, session.password)

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool:
        """Return whether the user may do that with the topic."""
        if session is None or topic is None:
            return False
        return may(session.username, topic, writes=action == Action.PUBLISH)


class _Reader(StreamReaderAdapter):  # type: ignore[misc] # amqtt ships no types, and wants its readers derived
    """Gives first what was read at the door, and ends a connection that announces too large a packet."""

    def __init__(self, reader: asyncio.StreamReader, first: bytes) -> None:
        super().__init__(reader)
        self._first, self._stream = first, reader

    async def read(self, n: int = -1) -> bytes:
        """Return n bytes."""
        if n > MOST_BYTES:
            raise ConnectionResetError(f"a packet of {n} bytes is over the limit of {MOST_BYTES}")
        known, self._first = self._first[:n], self._first[n:]
        return known if len(known) == n else known + await self._stream.readexactly(n - len(known))


async def _knock(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """Return the beginning of a CONNECT packet and the protocol level that it names (MQTT 3.1.1 section 3.1)."""
    first = await reader.readexactly(2)
    while first[-1] & 0x80 and len(first) < 5:  # remaining length, section 2.2.3
        first += await reader.readexactly(1)
    name = await reader.readexactly(7)  # length, "MQTT", level
    good = first[0] >> 4 == _CONNECT and name[:6] == b"\x00\x04MQTT"
    return first + name, name[6] if good else 0


class EmbeddedBroker:
    """Runs in a thread of its own from `start` to `stop`."""

    def __init__(self, host: str, port: int, users: Users) -> None:
        self.host, self.port, self.users = host, port, users
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._error: Exception | None = None
        self._amqtt: Any = None  # it ships no types
        self._inside: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread = threading.Thread(target=self._run, name="wattseal-broker", daemon=True)

    def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address cannot be used.
        """
        for name in ("amqtt", "transitions"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # it logs each packet, and each lost client as an error
        self._thread.start()
        if not self._ready.wait(_WITHIN) or self._error is not None:
            said = str(self._error or "no answer")
            hint = "stop what listens there, or choose another embedded_listen"
            raise ConfigError(f"mqtt: the embedded broker cannot listen on {self.host}:{self.port}: {said}; {hint}")
        log.info("broker_started", host=self.host, port=self.port)

    def stop(self) -> None:
        """Close every connection."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_WITHIN)  # its port is closed by then; what may still hang is amqtt's own, in a daemon thread

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        self._amqtt = Amqtt(
            {
                "listeners": {"default": {"type": "external", "max_connections": 1000}},
                "plugins": {"collector.intake.broker.Gate": {"users": self.users}},
            }
        )
        try:
            await self._amqtt.start()
            server = await asyncio.start_server(self._enter, self.host, self.port)
        except (BrokerError, OSError) as error:
            self._error = error
            return
        finally:
            self._ready.set()
        await self._stop.wait()
        server.close()
        with contextlib.suppress(TimeoutError):  # amqtt has waited for ever for a client that was gone
            async with asyncio.timeout(_WITHIN / 2):
                await self._amqtt.shutdown()
        for writer in self._inside.values():
            writer.close()
        if self._inside:
            await asyncio.wait(list(self._inside), timeout=2)

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or self._amqtt is None:
            return
        self._inside[task] = writer
        try:
            async with asyncio.timeout(_WITHIN):  # unlike wait_for, it never swallows a cancellation
                first, level = await _knock(reader)
            if level == _V311:
                adapted = _Reader(reader, first), StreamWriterAdapter(writer)
                await self._amqtt.external_connected(*adapted, "default")
            elif level > _V311:
                writer.write(_NOT_V5)
                await writer.drain()
        except (OSError, EOFError, TimeoutError, NoDataError, AMQTTError, MQTTError) as error:
            log.info("broker_client_lost", said=str(error) or type(error).__name__)
        finally:
            writer.close()
            del self._inside[task]
