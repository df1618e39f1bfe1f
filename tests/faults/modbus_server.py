"""A Modbus server that errs on purpose, byte by byte, in frames of TCP or of a serial line.

Unit `LIVING` always answers well; every other unit errs as `modbus_kinds` says. What a unit truly put on the wire for
a question is kept in `truth`: the first word counts the questions, so that an answer to another one shows.
"""

import asyncio
import os
import tty
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

from agent.acquire.drivers.modbus_frame import crc

LIVING = 1
HOST = "127.0.0.1"
Send = Callable[[bytes], object]


class Close:
    """An action: hang up."""


Action = bytes | float | Close  # send, wait [s], hang up
Fault = Callable[["Asked"], Iterator[Action]]


@dataclass(frozen=True)
class Asked:
    """One question as it came."""

    raw: bytes
    unit: int
    pdu: bytes
    number: bytes  # two bytes; empty on a serial line
    words: tuple[int, ...]
    before: "Asked | None"  # the question before, to the same unit
    turn: int  # counts the questions to this unit

    @property
    def serial(self) -> bool:
        return not self.number

    @property
    def answer(self) -> bytes:
        """Return the PDU of the true answer."""
        return read_answer(self.pdu[0], self.words)

    def framed(self, pdu: bytes, *, unit: int | None = None, number: int | None = None, protocol: int = 0) -> bytes:
        """Return a frame; what is not given is as in the question."""
        body = bytes([self.unit if unit is None else unit]) + pdu
        if self.serial:
            return body + crc(body)
        ahead = self.number if number is None else (number & 0xFFFF).to_bytes(2, "big")
        return ahead + protocol.to_bytes(2, "big") + len(body).to_bytes(2, "big") + body

    @property
    def true(self) -> bytes:
        """Return the frame of the true answer."""
        return self.framed(self.answer)


def read_answer(function: int, words: tuple[int, ...]) -> bytes:
    """Return the PDU of an answer to function 3 or 4."""
    return bytes([function, 2 * len(words)]) + b"".join(word.to_bytes(2, "big") for word in words)


def shown(function: int, address: int) -> int:
    """Return what a register holds, 0 to 65535."""
    return zlib.crc32(bytes([function]) + address.to_bytes(2, "big")) & 0xFFFF


@dataclass
class Server:
    """Units that err in one way."""

    fault: Fault
    serial: bool
    forwards: bool = False  # a gateway that hands late bytes to the next connection
    truth: dict[tuple[int, int, int, int], tuple[int, ...]] = field(default_factory=dict)
    asked: list[bytes] = field(default_factory=list)  # every question's PDU
    _turns: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    _before: dict[int, Asked] = field(default_factory=dict)
    _latest: Send = len
    _order: dict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def take(self, buffer: bytearray, send: Send, hang_up: Callable[[], None]) -> None:
        """Answer each question that is complete in the buffer."""
        self._latest = send
        while (length := self._length(buffer)) and len(buffer) >= length:
            raw = bytes(buffer[:length])
            del buffer[:length]
            task = asyncio.ensure_future(self._answer(self._question(raw), send, hang_up))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _length(self, buffer: bytearray) -> int:
        if self.serial:
            return 0 if len(buffer) < 3 else {43: 7, 20: 5 + buffer[2]}.get(buffer[1], 8)
        return 0 if len(buffer) < 6 else 6 + int.from_bytes(buffer[4:6], "big")

    def _question(self, raw: bytes) -> Asked:
        number, body = (b"", raw[:-2]) if self.serial else (raw[:2], raw[6:])
        assert not self.serial or crc(body) == raw[-2:]
        unit, pdu = body[0], body[1:]
        address, count = int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big")
        self._turns[unit] += 1
        first = self._turns[unit] & 0xFFFF
        words = (first, *(shown(pdu[0], address + n) for n in range(1, count)))
        one = Asked(raw, unit, pdu, number, words, self._before.get(unit), self._turns[unit])
        self._before[unit] = one
        self.truth[unit, pdu[0], address, count] = words
        self.asked.append(pdu)
        return one

    async def _answer(self, asked: Asked, send: Send, hang_up: Callable[[], None]) -> None:
        actions = iter((asked.true,)) if asked.unit == LIVING else self.fault(asked)
        async with self._order[asked.unit]:  # a unit answers in the order in which it was asked
            for action in actions:
                if isinstance(action, bytes):
                    (self._latest if self.forwards else send)(action)
                elif isinstance(action, float):
                    await asyncio.sleep(action)
                else:
                    hang_up()
                    return

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


@asynccontextmanager
async def on_tcp(server: Server) -> AsyncIterator[int]:
    """Give the port at which it listens."""

    class Connection(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.buffer = transport, bytearray()

        def data_received(self, data: bytes) -> None:
            self.buffer += data
            server.take(self.buffer, self._send, self.transport.close)

        def _send(self, frame: bytes) -> None:
            if not self.transport.is_closing():
                self.transport.write(frame)

    listening = await asyncio.get_running_loop().create_server(Connection, HOST, 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        server.stop()
        listening.close()


@asynccontextmanager
async def on_terminal(server: Server) -> AsyncIterator[str]:
    """Give the device of a pseudo-terminal at whose other end it sits; hanging up is silence there."""
    near, far = os.openpty()
    tty.setraw(far)
    os.set_blocking(near, False)
    buffer = bytearray()

    def heard() -> None:
        buffer.extend(os.read(near, 4096))
        server.take(buffer, partial(os.write, near), lambda: None)

    loop = asyncio.get_running_loop()
    loop.add_reader(near, heard)
    try:
        yield os.ttyname(far)
    finally:
        server.stop()
        loop.remove_reader(near)
        os.close(near)
        os.close(far)
