"""The links that Modbus is spoken over: TCP, TLS, UDP, RTU on a serial port, RTU through a TCP gateway.

Rules: one question at a time. After a question without its answer a connection is closed; what cannot be closed
usefully, a serial line, is drained until it is silent, and `modbus_owed` keeps what comes later still from being taken
for another answer (also behind a gateway, which hands late bytes to the next connection). UDP drops what does not fit.
Where an idle connection turns out closed, a new one is tried once. Every failure leaves here as a `ReadError`.
Sources: Modbus over Serial Line V1.02 sections 2.4 and 2.5.1.1; Modbus/TCP Security MB-TCP-Security-v21.
"""

import asyncio
import os
import ssl
import termios
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

from agent.acquire.drivers import modbus_frame as frame
from agent.acquire.drivers.base import Unreachable
from agent.acquire.drivers.modbus_frame import Asked, Misfit, Question
from agent.acquire.drivers.modbus_line import Gone, Line, Lost
from agent.acquire.drivers.modbus_owed import TWICE_US, Owed
from agent.acquire.plan import PER_REGISTER_US, ROUND_TRIP_US
from shared.clock import US, Clock
from shared.errors import ConfigError, ReadError

Parity = Literal["none", "even", "odd"]
Opening = Callable[[Callable[[], Line]], Awaitable[object]]

_GATEWAY_SILENCE_S = 0.002  # after an answer through a gateway: what belongs to it comes in the same breath
_TURNAROUND_US = 7_500  # a meter takes 5 to 10 ms to answer
_FAST = 19_200  # above it the silence of 3.5 characters is 1.75 ms
_FAST_SILENCE_S = 0.001_75
_LONGEST = 256  # a serial frame [bytes]
_BABBLE_S = 0.05  # silence that is waited for where bytes came that fit nothing [s]
_TURNS = 4  # of the event loop: a timer, who waits for it, the bytes that it writes, and their arrival
_REFUSAL = 0x80


class Reply(NamedTuple):
    """A complete answer."""

    pdu: bytes
    sent: int  # just before the question left [us since boot]
    at: int  # when the answer was complete [us since boot]


class _Closed(ReadError):  # noqa: N818 - names the state of the connection
    """The other side closed while a question was open."""


class _Misread(ReadError):  # noqa: N818 - names what came
    """Bytes came that are no answer."""


@dataclass(frozen=True, slots=True)
class _Speech:
    """How a link speaks."""

    framing: Callable[[int, Question], Asked]
    numbered: bool = True  # a question has a number, by which its answer is known
    closes: bool = True  # after a failure it is closed, not drained
    silence_s: float = 0.0  # that must follow an answer
    byte_s: float = 0.0  # what a byte takes


class Link:
    """One way to one or many units.

    Args:
        place: How messages call it.
        cost: What a request costs beside its registers, and what a register adds. [us]
        speech: How it speaks.
        opening: How it is opened.
    """

    def __init__(self, place: str, cost: tuple[int, int], speech: _Speech, opening: Opening) -> None:
        self.place = place
        self.cost = cost
        self.framed = speech.framing
        self._speech = speech
        self._opening = opening
        self._line: Line | None = None
        self._number = int.from_bytes(os.urandom(2), "big")
        self._owed = Owed()
        self._drain_s = 0.0
        self._patience_s = 0.0  # of the open question

    async def ask(self, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        """Return the answer to a question, or the refusal of it. [s]

        Raises:
            Unreachable: the link cannot be opened.
            ReadError: no answer in time, or none that fits.
        """
        self._patience_s, line = timeout_s, self._line
        if line is None or line.ended or line.stray_at is not None or not self._speech.numbered:
            return await self._twice(asked, clock, timeout_s)
        try:
            return await self._exchange(line, asked, clock, timeout_s)
        except (_Closed, _Misread):  # closed while idle, or bytes that belong to a question before: once more, anew
            return await self._spoken(asked, clock, line.left_s)

    async def close(self) -> None:
        """Close; the next question opens it again."""
        if self._line is not None:
            self._number = self._line.number  # a gateway may answer old questions on a new connection
            self._line.close()
            self._line = None

    async def _twice(self, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        """Return the answer from a line that was not ready, or has no numbers: noise on it is no reason to give up."""
        begin, numbered = clock.boot(), self._speech.numbered
        reused = self._line is not None and not self._line.ended
        once = self._spoken if numbered else self._unnumbered
        try:
            return await once(asked, clock, timeout_s)
        except (_Closed, _Misread) as error:
            left_s = _left(begin, timeout_s, clock)
            if not left_s or (not reused and (numbered or isinstance(error, _Closed))):
                raise
        return await once(asked, clock, left_s)

    async def _unnumbered(self, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        """Ask so that nothing late, and nothing said twice, can be taken for the answer."""
        begin = clock.boot()
        if self._owed.confuses(asked.unit, asked.question, begin):
            await self._proved(asked, clock, timeout_s)
        reply = await self._owing(asked, clock, _left(begin, timeout_s, clock))
        if not reply.pdu[0] & _REFUSAL:
            self._owed.settle(asked.unit, asked.question)
        return reply

    async def _proved(self, asked: Asked, clock: Clock, timeout_s: float) -> None:
        """Show by answers of another length that no older one can come any more."""
        unit, begin = asked.unit, clock.boot()
        found = self._owed.touchstone(unit, asked.question, begin)
        if found is None:
            raise ReadError(f"{self._named(asked)}: not asked, a late answer could be taken for it; it waits for 10 s")
        touchstone, times = found
        for _ in range(times):
            reply = await self._owing(self.framed(unit, touchstone), clock, _left(begin, timeout_s, clock))
        self._owed.settle(unit, touchstone)
        if reply.pdu[0] & _REFUSAL:  # it may have been the late answer
            self._owed.owe(unit, touchstone, clock.boot())

    async def _owing(self, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        answered = False
        for _ in range(_TURNS):
            await asyncio.sleep(0)  # what came while this machine stood still is heard before anything is asked
        if self._line is not None and self._owed.just_told(asked.unit, asked.question, clock.boot()):
            self._line.spoil()
            self._drain_s = max(self._drain_s, TWICE_US / US)
        try:
            reply = await self._spoken(asked, clock, timeout_s)
            answered = True
        finally:
            if not answered:
                self._owed.owe(asked.unit, asked.question, clock.boot())
        if not reply.pdu[0] & _REFUSAL:
            self._owed.told(asked.unit, asked.question, clock.boot())  # not `reply.at`: this machine may stall
        return reply

    async def _spoken(self, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        line, begin = self._line, clock.boot()
        if line is None or line.ended or line.stray_at is not None:
            line = await self._ready(asked, timeout_s)
        return await self._exchange(line, asked, clock, _left(begin, timeout_s, clock))

    async def _exchange(self, line: Line, asked: Asked, clock: Clock, timeout_s: float) -> Reply:
        """Return the answer on a line that is ready; where there is none, it is not used on as it is."""
        answered, sent = False, clock.boot()
        try:
            pdu = await line.ask(asked, timeout_s)
            at = clock.boot()
            if not self._speech.numbered:
                await line.silence()
            answered = True
        except (Misfit, Lost, Gone, TimeoutError) as error:
            raise self._told(error, line, asked) from error
        finally:
            line.forget()
            if not answered:  # cancelled, too: whatever comes late finds the door closed, or nobody who listens
                await self._spoil(line, asked)
        return Reply(pdu, sent, at)

    def _told(self, error: Exception, line: Line, asked: Asked) -> ReadError:
        name = self._named(asked)
        match error:
            case Misfit():
                return _Misread(f"{name}: {error}")
            case Lost():
                return _Closed(f"{name}: {error}")
            case Gone():
                return Unreachable(f"{self.place}: nobody listens; check address and port")
        why = f" ({line.why})" if line.why else ""
        return ReadError(
            f"{name}: no usable answer in {self._patience_s:.3g} s{why};"
            " check that the unit is powered and its number is right"
        )

    async def _spoil(self, line: Line, asked: Asked) -> None:
        if self._speech.closes or line.ended:
            await self.close()
        elif not self._speech.numbered:
            line.spoil()
            length = _LONGEST if asked.question.length is None else asked.question.length + 3
            self._drain_s = length * self._speech.byte_s + _TURNAROUND_US / US

    async def _ready(self, asked: Asked, timeout_s: float) -> Line:
        """Return a line on which nothing is on the way."""
        line = self._line
        if line is not None and not line.ended and not (self._speech.closes and self._speech.numbered):
            try:
                await line.drained(max(self._drain_s, _BABBLE_S if line.babbles else 0.0), timeout_s)
            except Misfit as error:
                raise _Misread(f"{self._named(asked)}: {error}") from error
            self._drain_s = 0.0
            if not line.ended:
                return line
        await self.close()
        self._line = line = await self._opened(timeout_s)
        return line

    async def _opened(self, timeout_s: float) -> Line:
        line = Line(silence_s=self._speech.silence_s, numbered=self._speech.numbered, number=self._number)
        try:
            async with asyncio.timeout(timeout_s):
                await self._opening(lambda: line)
        except TimeoutError as error:
            # What a first try has used up of the time proves nothing against the link.
            kind = Unreachable if timeout_s > self._patience_s / 2 else ReadError
            raise kind(f"{self.place}: no connection in {timeout_s:.3g} s; check address, port and network") from error
        except (OSError, ValueError, termios.error) as error:
            raise Unreachable(f"{self.place}: {error}; check address, port and network") from error
        if line.ended:
            raise Unreachable(f"{self.place}: it closes at once; check that the device is still there")
        return line

    def _named(self, asked: Asked) -> str:
        return f"{self.place} unit {asked.unit}, {asked.question.name}"


def _left(begin: int, timeout_s: float, clock: Clock) -> float:
    return max(timeout_s - (clock.boot() - begin) / US, 0.0)


def tcp(host: str, port: int = 502) -> Link:
    """Return Modbus TCP."""
    return Link(
        f"{host}:{port}", (ROUND_TRIP_US, PER_REGISTER_US), _Speech(frame.mbap), partial(_stream, host, port, None)
    )


def tls(host: str, port: int = 802, *, ca_file: str, cert_file: str | None = None, key_file: str | None = None) -> Link:
    """Return Modbus TCP inside TLS; ``ca_file`` (or the device's own certificate) proves it, the other two prove us.

    Raises:
        ConfigError: a file is not there or holds something else.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a device's own certificate may be all that is known
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except OSError as error:
        files = ", ".join(name for name in (ca_file, cert_file, key_file) if name)
        raise ConfigError(f"{host}:{port}: {error}; check {files}") from error
    opening = partial(_stream, host, port, context)
    return Link(f"{host}:{port} (TLS)", (ROUND_TRIP_US, PER_REGISTER_US), _Speech(frame.mbap), opening)


def udp(host: str, port: int = 502) -> Link:
    """Return Modbus in UDP datagrams."""
    speech = _Speech(frame.mbap, closes=False)
    opening = partial(_datagrams, host, port)
    return Link(f"{host}:{port} (UDP)", (ROUND_TRIP_US, PER_REGISTER_US), speech, opening)


def rtu_over_tcp(host: str, port: int) -> Link:
    """Return frames of a serial line through a gateway that takes them as they are."""
    speech = _Speech(frame.rtu, numbered=False, silence_s=_GATEWAY_SILENCE_S)
    opening = partial(_stream, host, port, None)
    return Link(f"{host}:{port} (RTU)", serial_cost(_FAST), speech, opening)


def rtu(device: str, *, baudrate: int = 19_200, parity: Parity = "even", stop_bits: int = 1) -> Link:
    """Return a serial line."""
    character_s = 11 / baudrate
    silence_s = 3.5 * character_s if baudrate <= _FAST else _FAST_SILENCE_S
    speech = _Speech(frame.rtu, numbered=False, closes=False, silence_s=silence_s, byte_s=character_s)
    opening = partial(_serial, device, baudrate, parity, stop_bits)
    return Link(device, serial_cost(baudrate), speech, opening)


def serial_cost(baudrate: int) -> tuple[int, int]:
    """Return what a request costs on a serial line beside its registers, and what a register adds. [us]

    A character has 11 bits. Asked are 8, answered 5 and 2 a register; silence surrounds both, and the meter thinks.

    Examples:
        >>> serial_cost(9600)
        (30416, 2291)
    """
    bit = 11 * US / baudrate
    silence = 3.5 * bit if baudrate <= _FAST else _FAST_SILENCE_S * US
    return int(13 * bit + 2 * silence + _TURNAROUND_US), int(2 * bit)


async def _stream(host: str, port: int, context: ssl.SSLContext | None, line: Callable[[], Line]) -> object:
    named = host if context else None
    return await asyncio.get_running_loop().create_connection(line, host, port, ssl=context, server_hostname=named)


async def _datagrams(host: str, port: int, line: Callable[[], Line]) -> object:
    return await asyncio.get_running_loop().create_datagram_endpoint(line, remote_addr=(host, port))


async def _serial(device: str, baudrate: int, parity: Parity, stop_bits: int, line: Callable[[], Line]) -> object:
    from pymodbus.transport.serialtransport import create_serial_connection  # only where there is a serial line

    loop = asyncio.get_running_loop()
    opened = await create_serial_connection(loop, line, device, baudrate, 8, parity[0].upper(), stop_bits, 0)
    await asyncio.sleep(0)  # it calls `connection_made` a moment later
    await asyncio.sleep(0)
    return opened
