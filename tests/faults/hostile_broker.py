"""A small true MQTT broker (3.1.1 and 5, QoS 0 and 1, retained messages, wills, kept sessions) that does mischief.

Without mischief it keeps the rules. With it: duplicates, reorders, drops what it has acknowledged, stays silent on what
it took, forgets everything, closes connections, gives older retained messages or others than were retained; seeded.
"""

import asyncio
import random
from dataclasses import dataclass, field, replace

from tests.faults import mqtt_wire as wire
from tests.faults.looping import Looping
from tests.faults.mqtt_wire import Message

_SETTLED = 0.05  # after that long nothing more is held back to be shuffled [s]
_LIMIT = 300_000  # [bytes]


@dataclass(frozen=True, slots=True)
class Mischief:
    """What the broker does to messages on topics that hold `only`; chances are for each message."""

    only: str = ""
    copies: int = 1  # each is delivered so often
    shuffle: int = 1  # in any order within so many
    lie: float = 0.0  # acknowledged and dropped
    silent: float = 0.0  # delivered and not acknowledged
    close: float = 0.0  # every connection is reset
    forget: float = 0.0  # sessions, queues and retained messages are gone, and every connection is reset
    stale: float = 0.0  # of a retained message: an older one is given instead, or after it


NONE = Mischief()


@dataclass
class _Session:
    """What the broker knows of a client."""

    level: int
    most: int
    filters: list[str] = field(default_factory=list)
    queue: list[tuple[Message, bool]] = field(default_factory=list)
    inflight: dict[int, tuple[Message, bool]] = field(default_factory=dict)
    held: list[tuple[Message, bool]] = field(default_factory=list)  # waits to be shuffled
    writer: asyncio.StreamWriter | None = None
    next_id: int = 0


class HostileBroker(Looping):
    """The broker; `mischief` and `most_bytes` may be changed at any time."""

    def __init__(self, mischief: Mischief = NONE, seed: int = 1, most_bytes: int | None = None) -> None:
        super().__init__()
        self.mischief, self.most_bytes = mischief, most_bytes
        self.only_311 = False
        self.connects: dict[str, int] = {}
        self.dropped = self.delivered = self.wipes = self.oversize = 0
        self.retained: dict[str, list[Message]] = {}
        self._chances = random.Random(seed)
        self._sessions: dict[str, _Session] = {}

    def _happens(self, chance: float, topic: str) -> bool:
        return self.mischief.only in topic and self._chances.random() < chance

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client."""
        kind, _, body = await wire.read(reader)
        if kind != wire.CONNECT:
            return
        hello = wire.hello(body)
        if hello.level >= wire.V5 and self.only_311:
            writer.write(bytes.fromhex("2003008400"))  # unsupported protocol version
            return
        self.connects[hello.client] = self.connects.get(hello.client, 0) + 1
        session = self._welcome(hello, writer)
        polite = False
        try:
            polite = await self._attend(reader, session)
        finally:
            if session.writer is writer:
                session.writer = None
            if hello.will is not None and not polite:
                self._route(hello.will)

    def _welcome(self, hello: wire.Hello, writer: asyncio.StreamWriter) -> _Session:
        known = self._sessions.get(hello.client)
        if known is not None and known.writer is not None:
            known.writer.transport.abort()
        if known is None or hello.clean:
            known, found = _Session(hello.level, hello.most), False
            self._sessions[hello.client] = known
        else:
            found = True
        known.level, known.most, known.writer = hello.level, hello.most, writer
        writer.write(wire.welcome(hello.level, known=found, most_bytes=self.most_bytes))
        for number, (message, retained) in known.inflight.items():
            writer.write(wire.publish(message, number, known.level, again=True, retained=retained))
        self._flow(known)
        return known

    async def _attend(self, reader: asyncio.StreamReader, session: _Session) -> bool:
        """Read a client's packets to its end; return whether it said good-bye."""
        writer = session.writer
        assert writer is not None
        while True:
            kind, flags, body = await wire.read(reader)
            match kind:
                case wire.PUBLISH:
                    if len(body.rest) > (self.most_bytes or _LIMIT):
                        self.oversize += 1
                        return False
                    self._publish(flags, body, session)
                case wire.PUBACK:
                    session.inflight.pop(body.number(2), None)
                    self._flow(session)
                case wire.SUBSCRIBE:
                    filters, answer = wire.subscribed(body, session.level)
                    session.filters += filters
                    writer.write(answer)
                    self._give_retained(session, filters)
                case wire.PINGREQ:
                    writer.write(wire.packet(wire.PINGRESP, 0, b""))
                case wire.DISCONNECT:
                    return True
            await writer.drain()

    def _publish(self, flags: int, body: wire.Body, session: _Session) -> None:
        number, message = wire.published(flags, body, session.level)
        if message.qos and not self._happens(self.mischief.silent, message.topic) and session.writer is not None:
            session.writer.write(wire.packet(wire.PUBACK, 0, number.to_bytes(2, "big")))
        if self._happens(self.mischief.lie, message.topic):
            self.dropped += 1
        else:
            self._route(message)
        if self._happens(self.mischief.forget, message.topic):
            self._forget()
        elif self._happens(self.mischief.close, message.topic):
            self._reset()

    def _route(self, message: Message) -> None:
        if message.retain:
            self.retained.setdefault(message.topic, []).append(message)
        for session in list(self._sessions.values()):
            if any(wire.fits(pattern, message.topic) for pattern in session.filters):
                self._hold(session, replace(message, retain=False))

    def _hold(self, session: _Session, message: Message) -> None:
        """Put a message, or its copies, among those from which any may come next."""
        bad = self.mischief if self.mischief.only in message.topic else NONE
        session.held += [(message, False)] * bad.copies
        while len(session.held) >= max(bad.shuffle, 1):
            self._pick(session)
        if session.held:
            asyncio.get_running_loop().call_later(_SETTLED, self._settle, session, len(session.held))
        self._flow(session)

    def _pick(self, session: _Session) -> None:
        session.queue.append(session.held.pop(self._chances.randrange(len(session.held))))

    def _settle(self, session: _Session, count: int) -> None:
        """Let go what was held back, if nothing came since."""
        if len(session.held) == count:
            while session.held:
                self._pick(session)
            self._flow(session)

    def _give_retained(self, session: _Session, filters: list[str]) -> None:
        for topic, kept in list(self.retained.items()):
            if any(wire.fits(pattern, topic) for pattern in filters):
                session.queue.append((kept[-1], True))
                if self._happens(self.mischief.stale, topic):
                    session.queue.append((self._chances.choice(kept), True))
                    self._chances.shuffle(session.queue)
        self._flow(session)

    def _flow(self, session: _Session) -> None:
        """Send what the client may have on its way."""
        while session.writer is not None and session.queue and len(session.inflight) < session.most:
            message, retained = session.queue.pop(0)
            session.next_id = session.next_id % 65_535 + 1
            session.inflight[session.next_id] = message, retained
            session.writer.write(wire.publish(message, session.next_id, session.level, retained=retained))
            self.delivered += 1

    def _reset(self) -> None:
        for session in self._sessions.values():
            if session.writer is not None:
                session.writer.transport.abort()

    def _forget(self) -> None:
        self.wipes += 1
        self._reset()
        self._sessions.clear()
        self.retained.clear()

    # -- what a test does --------------------------------------------------------------------------------------------

    def wipe(self) -> None:
        """Forget everything now, as a broker whose state was on a lost disk."""

        async def work() -> None:
            self._forget()

        self.do(work)

    def say(self, topic: str, payload: str) -> None:
        """Retain and deliver a message that no client sent."""

        async def work() -> None:
            self._route(Message(topic, payload.encode(), 1, retain=True))

        self.do(work)
