"""Modbus TCP by pymodbus, reading only: functions 3 and 4. Every failure leaves here as a `ReadError`.

Rules: one request at a time; no repeats inside the library; after a reply that did not come in time the connection is
closed, so that a late reply can never become another register's value; an exception reply closes nothing. asyncio sets
TCP_NODELAY on every connection.
Source: Modbus Application Protocol V1.1b3 sections 6.3, 6.4 and 7; Modbus Messaging on TCP/IP V1.0b section 3.
"""

import asyncio
import logging
import struct
from collections.abc import Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersResponse, ReadInputRegistersResponse

from agent.acquire import decode
from agent.acquire.drivers.base import BlockRead, Refused, Target, Unreachable
from agent.acquire.plan import Block, plan
from shared.clock import Clock
from shared.errors import ReadError

_EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address: not all of these registers exist",
    3: "illegal value",
    4: "device failure",
    6: "device busy",
    10: "gateway has no path to the unit",
    11: "gateway got no answer from the unit: check unit number and wiring",
}


class _Lost(ReadError):  # noqa: N818 - names the state of the connection
    """The other side closed the connection while a request was open."""


class _Holding(ReadHoldingRegistersResponse):
    """The answer as pymodbus reads it, in one step and without the text that its log would show.

    pymodbus takes each register alone and writes every answer out for a log that is off: a seventh of its CPU.
    """

    def decode(self, data: bytes) -> None:
        """Take the registers; a shorter frame than it says fails as it does in pymodbus (struct.error)."""
        self.registers = struct.unpack_from(f">{data[0] // 2}H", data, 1)

    def __str__(self) -> str:
        return type(self).__name__


class _Input(ReadInputRegistersResponse):
    """Likewise, for function 4."""

    decode = _Holding.decode
    __str__ = _Holding.__str__


class ModbusTcp:
    """One endpoint with all units behind it."""

    def __init__(self, host: str, port: int, clock: Clock) -> None:
        # What pymodbus logs here is said again, with the meter's name, by the errors below.
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        self._place = f"{host}:{port}"
        self._host = host
        self._port = port
        self._clock = clock
        self._client: AsyncModbusTcpClient | None = None
        self._readers: dict[tuple[str, int], tuple[Block, decode.BlockReader]] = {}

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the requests that bring all points of a meter, those with registers first."""
        profile = target.profile
        return plan(profile.points, max_registers=profile.max_registers, forbidden=profile.forbidden)

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return the decoded answer to one block read. [s]

        Raises:
            Refused: the unit answered with an exception code.
            Unreachable: the endpoint does not take a connection.
            ReadError: no answer in time, or one that does not fit the request.
        """
        sent, words, at = await self._asked(target.unit, block, timeout_s)
        registers, values = self._reader(target, block)(words)
        return BlockRead(target.id, block.index, sent, at, registers, values)

    def _reader(self, target: Target, block: Block) -> decode.BlockReader:
        key = target.id, block.index
        known = self._readers.get(key)
        if known is None or known[0] is not block:
            known = self._readers[key] = block, decode.block_reader(block.address, block.points)
        return known[1]

    async def identity(self, target: Target, timeout_s: float) -> str | None:
        """Return the serial number as text; None where profile or meter has none. [s]

        Raises:
            ReadError: as `read`.
        """
        point = target.profile.serial
        if point is None:
            return None
        part = point.parts[0]
        block = Block(0, part.function, part.address, part.count, (point,))
        _, words, _ = await self._asked(target.unit, block, timeout_s)
        return decode.text(words, point)

    async def close(self) -> None:
        """Close the connection; the next read opens it again."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _asked(self, unit: int, block: Block, timeout_s: float) -> tuple[int, Sequence[int], int]:
        """Return when the request left, its registers, and when they were complete.

        Where an old connection turns out to be closed, as many meters close idle ones, a new one is tried once.
        """
        for reused in (self._client is not None, False):
            client = await self._connected(timeout_s)
            sent = self._clock.boot()
            try:
                return sent, await self._ask(client, unit, block, timeout_s), self._clock.boot()
            except _Lost:
                if not reused:
                    raise
        raise AssertionError("the second round returns or raises")

    async def _connected(self, timeout_s: float) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        await self.close()
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=timeout_s, retries=0, reconnect_delay=0, trace_connect=self._lost
        )
        if not await client.connect():
            client.close()
            raise Unreachable(f"{self._place}: no connection in {timeout_s:.3g} s; check address, port and network")
        for answer in (_Holding, _Input):
            client.register(answer)
        client.ctx.comm_params.timeout_connect = None  # type: ignore[assignment] # passed to wait_for: `_ask` keeps the time
        self._client = client
        return client

    async def _ask(self, client: AsyncModbusTcpClient, unit: int, block: Block, timeout_s: float) -> Sequence[int]:
        complete = False
        # Not by wait_for, as pymodbus would: that takes a fifth of the CPU of a request.
        deadline = asyncio.get_running_loop().call_later(timeout_s, _fail, client, TimeoutError())
        try:
            reply = await self._request(client, unit, block)
            words = self._words(reply, unit, block)
            complete = True
        except Refused:
            complete = True
            raise
        except ConnectionException as error:
            raise _Lost(f"{self._place} unit {unit}, {_named(block)}: the connection was lost") from error
        except (ModbusException, ValueError, TimeoutError) as error:
            raise ReadError(
                f"{self._place} unit {unit}, {_named(block)}: no usable answer in {timeout_s:.3g} s;"
                " check that the unit is powered and its number is right"
            ) from error
        finally:
            deadline.cancel()
            if not complete:  # cancelled, too: whatever comes late finds the door closed
                await self.close()
        return words

    def _words(self, reply: ModbusPDU, unit: int, block: Block) -> Sequence[int]:
        words = reply.registers
        if reply.function_code == block.function and len(words) == block.count:
            return words
        name = f"{self._place} unit {unit}, {_named(block)}"
        if not reply.isError():
            raise ReadError(
                f"{name}: answered {len(words)} registers to function {reply.function_code}; is it a meter?"
            )
        code = reply.exception_code
        raise Refused(f"{name}: refused with exception {code:02X} ({_EXCEPTIONS.get(code, 'see its manual')})", code)

    async def _request(self, client: AsyncModbusTcpClient, unit: int, block: Block) -> ModbusPDU:
        ask = client.read_holding_registers if block.function == 3 else client.read_input_registers
        return await ask(block.address, count=block.count, device_id=unit)

    def _lost(self, connected: bool) -> None:  # noqa: FBT001 - pymodbus calls it so
        """Fail the open request at once when the other side closes; pymodbus alone would wait for its timeout."""
        if not connected and self._client is not None:
            _fail(self._client, ConnectionException("closed by the other side"))


def _fail(client: AsyncModbusTcpClient, error: Exception) -> None:
    """End the open request, if there is one."""
    future = client.ctx.response_future
    if not future.done():
        future.set_exception(error)
        future.exception()  # nobody may be waiting, which is no fault


def _named(block: Block) -> str:
    kind = "holding" if block.function == 3 else "input"
    return f"{kind} registers {block.address} to {block.address + block.count - 1}"
