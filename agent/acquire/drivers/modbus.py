"""Modbus, reading only, over every link of `modbus_link`. Every failure leaves here as a `ReadError`.

Rules: functions 3, 4, 20 and 43 and no other; one request at a time; an exception reply closes nothing; a meter that is
busy is asked again inside the deadline, never after it; what a scale register said is forgotten when a read of its
meter fails.
Source: Modbus Application Protocol V1.1b3 sections 6.3, 6.4, 6.14, 6.21 and 7.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from agent.acquire import decode, plan, sunspec
from agent.acquire.drivers import modbus_frame as frame
from agent.acquire.drivers import modbus_identity, modbus_recorder
from agent.acquire.drivers.base import BlockRead, Identity, Recorded, Refused, Target
from agent.acquire.drivers.modbus_frame import Asked, Misfit, Question
from agent.acquire.drivers.modbus_link import Link, Reply
from agent.acquire.plan import Block
from shared.clock import US, Clock
from shared.errors import ReadError

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address: not all of these registers exist",
    3: "illegal value",
    4: "device failure",
    5: "it needs more time",
    6: "device busy",
    8: "its memory has a parity error",
    10: "gateway has no path to the unit",
    11: "gateway got no answer from the unit: check unit number and wiring",
}
_REFUSAL = 0x80
_HEAD = 2  # function and byte count of an answer
_LATER = frozenset({5, 6})  # acknowledge, busy: the same question may be answered a moment later
_AGAIN_S = 0.1
_AGAIN = 3  # times
_SUNSPEC = 3  # SunSpec's models are holding registers


_NOTHING: Mapping[str, int | None] = {}


class _Way(NamedTuple):
    """How a block is asked and understood: made once, it runs at every poll."""

    block: Block
    asked: Asked
    read: decode.BlockReader


class Modbus:
    """One link with all units behind it."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self._link = link
        self._clock = clock
        self._ways: dict[tuple[str, int], _Way] = {}
        self._scales: dict[str, Mapping[str, int | None]] = {}  # by meter

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the requests that bring all points of a meter, those that a boundary needs first.

        None of a meter whose addresses are still to be found by `resolve`.
        """
        return plan.requests(target.profile, self._link.cost)

    async def resolve(self, target: Target, timeout_s: float) -> Target:
        """Return the meter with the addresses that it has; as it is where the profile says them all. [s]

        Raises:
            ReadError: as `read`.
        """
        if target.profile.discovery is None:
            return target
        end = self._clock.boot() + int(timeout_s * US)

        async def read(address: int, count: int) -> Sequence[int]:
            left_s = max(end - self._clock.boot(), 0) / US
            return await self.registers(target.unit, _SUNSPEC, address, count, left_s)

        models = await sunspec.walk(read)
        return replace(target, profile=sunspec.located(target.profile, models))

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return the decoded answer to one block read. [s]

        Raises:
            Refused: the unit answered with an exception code.
            Unreachable: the link cannot be opened.
            ReadError: no answer in time, or one that does not fit the request.
        """
        way = self._ways.get((target.id, block.index))
        if way is None or way.block is not block or way.asked.unit != target.unit:
            way = self._way(target, block)
        known = self._scales.pop(target.id, _NOTHING)  # forgotten, unless this read succeeds
        reply = await self._link.ask(way.asked, self._clock, timeout_s)
        if reply.pdu[0] & _REFUSAL:
            reply = await self._later(way.asked, reply, timeout_s)
        decoded = way.read(reply.pdu[_HEAD:], known)
        if known or decoded.scales:
            self._scales[target.id] = {**known, **decoded.scales}
        return BlockRead(
            target.id, block.index, reply.sent, reply.at, decoded.registers, decoded.values, decoded.scaled
        )

    def _way(self, target: Target, block: Block) -> _Way:
        asked = self._link.framed(target.unit, frame.registers(block.function, block.address, block.count))
        reader = decode.block_reader(block.address, block.points)
        way = _Way(block, asked, reader)
        self._ways[target.id, block.index] = way
        return way

    async def identity(self, target: Target, timeout_s: float) -> Identity:
        """Return serial number, settings and clock, as far as profile and meter have them. [s, for all of it]

        Raises:
            ReadError: as `read`.
        """
        self._scales.pop(target.id, None)
        end = self._clock.boot() + int(timeout_s * US)
        found = modbus_identity.Found(target.profile)
        waiting = list(modbus_identity.blocks(target.profile, self._link.cost))
        while waiting:
            block = waiting.pop(0)
            question = frame.registers(block.function, block.address, block.count)
            try:
                reply = await self._timed(target, question, end)
            except Refused as error:
                waiting += modbus_identity.narrower(block, error)
            else:
                found.add(block, _words(reply.pdu, 2), reply.sent, reply.at)
        return found.identity()

    async def registers(self, unit: int, function: int, address: int, count: int, timeout_s: float) -> Sequence[int]:
        """Return raw words of holding (3) or input (4) registers. [s]

        Raises:
            ReadError: as `read`.
        """
        asked = self._link.framed(unit, frame.registers(function, address, count))
        return _words((await self._answered(asked, timeout_s)).pdu, 2)

    async def file_record(self, unit: int, file: int, record: int, count: int, timeout_s: float) -> Sequence[int]:
        """Return so many words of a file, from that record on (function 20). [s]

        Raises:
            ReadError: as `read`.
        """
        asked = self._link.framed(unit, frame.file_record(file, record, count))
        return _words((await self._answered(asked, timeout_s)).pdu, 4)

    async def device_identification(self, unit: int, timeout_s: float) -> Mapping[int, str]:
        """Return what the device says of itself by object id: 0 maker, 1 product code, 2 revision, ... [s]

        Raises:
            Refused: the device knows no function 43 / 14.
            ReadError: as `read`.
        """
        end = self._clock.boot() + int(timeout_s * US)
        told = await self._identified(unit, 1, end)
        try:
            return told | await self._identified(unit, 2, end)
        except Refused:
            return told  # it knows the basic objects only

    async def _identified(self, unit: int, level: int, end: int) -> dict[int, str]:
        told: dict[int, str] = {}
        first = 0
        while True:
            asked = self._link.framed(unit, frame.identification(level, first))
            reply = await self._answered(asked, max(end - self._clock.boot(), 0) / US)
            try:
                found, following = frame.objects(reply.pdu)
            except Misfit as error:
                raise ReadError(f"{self._named(asked)}: {error}; leave it out") from error
            told |= {number: _text(value) for number, value in found.items()}
            if following is None or following <= first:
                return told
            first = following

    async def recorded(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        """Return what the meter's own recorder holds with labels in ``[start_us, stop_us)``, as if UTC. [us; s]

        Raises:
            ReadError: as `read`.
        """
        kept, end = target.profile.recorder, self._clock.boot() + int(timeout_s * US)
        if kept is None:
            return []

        async def ask(question: Question) -> Sequence[int]:
            pdu = (await self._timed(target, question, end)).pdu
            return _words(pdu, 4 if question.function == modbus_recorder.FILE_RECORD else 2)

        return await modbus_recorder.recorded(ask, kept, target.profile.max_registers, start_us, stop_us)

    async def close(self) -> None:
        """Close the link; the next read opens it again."""
        await self._link.close()

    async def _timed(self, target: Target, question: Question, end: int) -> Reply:
        """Return an answer within a time that several questions share, with the pause that the meter wants."""
        if target.profile.pause_ms:
            await self._clock.sleep(target.profile.pause_ms / 1000)
        left_s = (end - self._clock.boot()) / US
        asked = self._link.framed(target.unit, question)
        if left_s <= 0:
            raise ReadError(f"{self._named(asked)}: no time was left to ask; allow more")
        return await self._answered(asked, left_s)

    async def _answered(self, asked: Asked, timeout_s: float) -> Reply:
        reply = await self._link.ask(asked, self._clock, timeout_s)
        return await self._later(asked, reply, timeout_s) if reply.pdu[0] & _REFUSAL else reply

    async def _later(self, asked: Asked, reply: Reply, timeout_s: float) -> Reply:
        """Return the answer of a unit that was busy, asked again while time is left; else say what it refused."""
        end = reply.sent + int(timeout_s * US)
        for _ in range(_AGAIN):
            left_s = (end - self._clock.boot()) / US - _AGAIN_S
            if reply.pdu[1] not in _LATER or left_s <= 0:
                break
            await self._clock.sleep(_AGAIN_S)
            reply = await self._link.ask(asked, self._clock, left_s)
            if not reply.pdu[0] & _REFUSAL:
                return reply
        code = reply.pdu[1]
        why = _EXCEPTIONS.get(code, "see its manual")
        raise Refused(f"{self._named(asked)}: refused with exception {code:02X} ({why})", code)

    def _named(self, asked: Asked) -> str:
        return f"{self._link.place} unit {asked.unit}, {asked.question.name}"


def _words(pdu: bytes, first: int) -> Sequence[int]:
    return struct.unpack_from(f">{(len(pdu) - first) // 2}H", pdu, first)


def _text(value: bytes) -> str:
    shown = value.decode("utf-8", errors="replace")
    return "".join(one for one in shown if one.isprintable()).strip()
