"""One open connection, port or socket, and the one question that is open on it.

Rules: bytes that nobody asked for are never kept; the deadline holds however slowly an answer drips in; what does not
fit ends the question at once on a line (`Misfit`), and is passed over among datagrams, each of which stands alone.
"""

import asyncio
from collections.abc import Callable

from agent.acquire.drivers.modbus_frame import Asked, Misfit

_STEPS = 5


class Lost(Exception):  # noqa: N818 - names the state of the line
    """The other side closed."""


class Gone(Exception):  # noqa: N818 - names the state of the peer
    """Nobody listens at the address of a datagram."""


class Line(asyncio.Protocol, asyncio.DatagramProtocol):
    """One conversation.

    Args:
        silence_s: That must follow an answer on a serial line before it counts (3.5 characters). [s]
        numbered: Whether each question carries a number of its own.
        number: That of the last question on the line before.
    """

    def __init__(self, *, silence_s: float = 0.0, numbered: bool = True, number: int = 0) -> None:
        self._loop = asyncio.get_running_loop()
        self._silence_s = silence_s
        self._numbered = numbered
        self.number = number
        self._ahead = b""  # the number of the open question
        self._asked: Asked | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._got = b""
        self._deadline = 0.0  # of the open question [s, the loop's clock]
        self._timer: asyncio.TimerHandle | None = None
        self.stray_at: float | None = None  # when bytes came that nobody asked for [s, the loop's clock]
        self.babbles = False  # such bytes did come
        self.why = ""  # why datagrams were passed over
        self.ended = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        # Asked by name: asyncio's own datagram transports are none of `asyncio.DatagramTransport`.
        if hasattr(transport, "sendto"):
            self._write: Callable[[bytes], None] = transport.sendto
        elif isinstance(transport, asyncio.Transport):
            self._write = transport.write
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Take bytes of a stream."""
        answer, asked = self._answer, self._asked
        if answer is None or asked is None or answer.done():
            self.stray_at, self.babbles = self._loop.time(), True
            return
        self._got = got = self._got + data if self._got else data
        try:
            pdu = asked.answer(self._ahead, got)
        except Misfit as error:
            answer.set_exception(error)
            return
        if pdu is not None:
            answer.set_result(pdu)

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:  # noqa: ARG002 - the form of asyncio
        """Take one datagram: it is the whole answer, or none of it."""
        answer, asked = self._answer, self._asked
        if answer is None or asked is None or answer.done() or not data:
            return
        try:
            pdu = asked.answer(self._ahead, data)
        except Misfit as error:
            self.why = str(error)
            return
        if pdu is not None:
            answer.set_result(pdu)

    def error_received(self, exc: Exception) -> None:
        """Fail the question when the peer's machine says that nobody listens."""
        self._fail(Gone(str(exc)))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the form of asyncio
        """Fail the question at once when the other side closes."""
        self.ended = True
        self._fail(Lost("the connection was lost"))

    def ask(self, asked: Asked, timeout_s: float) -> asyncio.Future[bytes]:
        """Send a question and return what will be its answer. [s]

        It ends in Misfit, Lost, Gone or TimeoutError where there is none.
        """
        self._asked, self._got, self.why = asked, b"", ""
        self._answer = answer = self._loop.create_future()
        # One timer for many questions, and not wait_for: those take a fifth of the CPU of a request.
        self._deadline = self._loop.time() + timeout_s
        if self._timer is None or self._deadline < self._timer.when():
            self._set_timer()
        if self._numbered:  # never 0, which some answers bear
            self.number = number = self.number % 0xFFFF + 1
            self._ahead = number.to_bytes(2, "big")
        self._write(self._ahead + asked.request)
        return answer

    @property
    def left_s(self) -> float:
        """Return what is left of the last question's time. [s]"""
        return max(self._deadline - self._loop.time(), 0.0)

    def forget(self) -> None:
        """Take no answer any more."""
        self._answer = None

    async def silence(self) -> None:
        """Wait for the silence that must follow an answer.

        Raises:
            Misfit: there was none.
        """
        if self._silence_s:
            await asyncio.sleep(self._silence_s)
            if self.stray_at is not None:
                raise Misfit("answered more bytes than one answer has")

    def spoil(self) -> None:
        """Note that bytes may come now that nobody will have asked for."""
        self.stray_at, self.babbles = self._loop.time(), self.babbles or bool(self._got)

    async def drained(self, silence_s: float, limit_s: float) -> None:
        """Let bytes pass until there was silence for so long, at most until the limit. [s]

        In small steps: when this machine itself stood still, that was no silence.

        Raises:
            Misfit: there was no silence.
        """
        last, end = self.stray_at, self._loop.time() + limit_s
        left = 0.0 if last is None else last + silence_s - self._loop.time()
        while left > 0:
            if self._loop.time() >= end:
                raise Misfit("somebody else speaks without pause")
            step = min(left, silence_s / _STEPS)
            await asyncio.sleep(step)
            left, last = (left - step if self.stray_at == last else silence_s), self.stray_at
        self.stray_at, self.babbles = None, False

    def close(self) -> None:
        """Close; no byte is taken any more."""
        self.ended = True
        self._fail(Lost("closed"))
        if self._timer is not None:
            self._timer.cancel()
        self.transport.close()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        """Fail the open question if its time is over; a timer may be that of an older one."""
        self._timer = None
        if self._answer is None:
            return
        if self._loop.time() < self._deadline:
            self._set_timer()
        else:
            self._fail(TimeoutError())

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
