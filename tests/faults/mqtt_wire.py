"""As much of the bytes of MQTT 3.1.1 and 5 as a small broker needs (OASIS MQTT 3.1.1 and 5.0, sections 2 and 3)."""

import asyncio
from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
V5 = 5
#: Lengths of properties by identifier (MQTT 5 section 2.2.2.2); 0 a string, -1 two strings, -2 a variable integer.
_PROPERTIES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1), **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4), 0x0B: -2, 0x26: -1,
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), 0),
}  # fmt: skip
_RECEIVE_MAXIMUM, _MAXIMUM_PACKET = 0x21, 0x27


@dataclass(frozen=True, slots=True)
class Message:
    """What a client published."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Hello:
    """A CONNECT."""

    level: int
    clean: bool
    client: str
    will: Message | None
    most: int  # messages on the way to it at once


class Body:
    """A packet's bytes, read from the front."""

    def __init__(self, octets: bytes) -> None:
        self.rest = octets

    def take(self, count: int) -> bytes:
        """Return so many bytes."""
        if len(self.rest) < count:
            raise EOFError("a packet is shorter than it says")
        found, self.rest = self.rest[:count], self.rest[count:]
        return found

    def number(self, size: int) -> int:
        """Return an unsigned integer of so many bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Return bytes that their length precedes."""
        return self.take(self.number(2))

    def variable(self) -> int:
        """Return a variable byte integer."""
        found = shift = 0
        while True:
            (octet,) = self.take(1)
            found |= (octet & 0x7F) << shift
            shift += 7
            if not octet & 0x80:
                return found

    def properties(self, level: int) -> dict[int, int]:
        """Return the properties that are numbers; none before MQTT 5."""
        found: dict[int, int] = {}
        inside = Body(self.take(self.variable()) if level >= V5 else b"")
        while inside.rest:
            (name,) = inside.take(1)
            size = _PROPERTIES.get(name, 0)
            if size > 0:
                found[name] = inside.number(size)
            elif size == -2:
                found[name] = inside.variable()
            else:
                for _ in range(2 if size == -1 else 1):
                    inside.string()
        return found


async def read(reader: asyncio.StreamReader) -> tuple[int, int, Body]:
    """Return type, flags and body of the next packet."""
    (first,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (octet,) = await reader.readexactly(1)
        length |= (octet & 0x7F) << shift
        shift += 7
        if not octet & 0x80:
            break
    return first >> 4, first & 0xF, Body(await reader.readexactly(length))


def packet(kind: int, flags: int, body: bytes) -> bytes:
    """Return the bytes of a packet."""
    head, length = bytearray([kind << 4 | flags]), len(body)
    while True:
        length, octet = divmod(length, 128)
        head.append(octet | (0x80 if length else 0))
        if not length:
            return bytes(head) + body


def hello(body: Body) -> Hello:
    """Return what a CONNECT says."""
    body.string()
    level, flags, _ = body.number(1), body.number(1), body.number(2)
    told = body.properties(level)
    client, will = body.string().decode(), None
    if flags & 0x04:
        body.properties(level)
        topic = body.string().decode()
        will = Message(topic, body.string(), flags >> 3 & 3, bool(flags & 0x20))
    return Hello(level, bool(flags & 0x02), client, will, told.get(_RECEIVE_MAXIMUM, 65_535))


def welcome(level: int, *, known: bool, most_bytes: int | None) -> bytes:
    """Return a CONNACK; with the largest packet that is taken where the version can say it."""
    told = b"" if most_bytes is None else bytes([_MAXIMUM_PACKET]) + most_bytes.to_bytes(4, "big")
    return packet(CONNACK, 0, bytes([known, 0]) + (bytes([len(told)]) + told if level >= V5 else b""))


def published(flags: int, body: Body, level: int) -> tuple[int, Message]:
    """Return the packet id (0 at QoS 0) and the message of a PUBLISH."""
    topic, qos = body.string().decode(), flags >> 1 & 3
    number = body.number(2) if qos else 0
    body.properties(level)
    return number, Message(topic, body.rest, qos, bool(flags & 1))


def publish(message: Message, number: int, level: int, *, again: bool = False, retained: bool = False) -> bytes:
    """Return a PUBLISH at QoS 1."""
    topic = message.topic.encode()
    body = len(topic).to_bytes(2, "big") + topic + number.to_bytes(2, "big") + (b"\0" if level >= V5 else b"")
    return packet(PUBLISH, again << 3 | 1 << 1 | retained, body + message.payload)


def subscribed(body: Body, level: int) -> tuple[list[str], bytes]:
    """Return the filters of a SUBSCRIBE, and its SUBACK."""
    number = body.take(2)
    body.properties(level)
    filters = []
    while body.rest:
        filters.append(body.string().decode())
        body.take(1)
    return filters, packet(SUBACK, 0, number + (b"\0" if level >= V5 else b"") + b"\x01" * len(filters))


def fits(pattern: str, topic: str) -> bool:
    """Return whether a topic fits a filter.

    >>> fits("wattseal/v1/+/up/batch", "wattseal/v1/a/up/batch"), fits("a/#", "a/b/c"), fits("a/+", "a/b/c")
    (True, True, False)
    """
    wanted, levels = pattern.split("/"), topic.split("/")
    if wanted[-1] == "#":
        wanted, levels = wanted[:-1], levels[: len(wanted) - 1]
    return len(wanted) == len(levels) and all(one in ("+", level) for one, level in zip(wanted, levels, strict=True))
