"""OPC UA by asyncua, reading only. Imported only when a site has OPC UA: asyncua costs 40 MB.

Rules: a node is named by its namespace's URI, never by an index, which moves when a server restarts; all nodes of a
meter are read in one request; a Bad or Uncertain status is None; the read is stamped by our boot clock, the server's
time stamps are not used. Neither Write nor Call is used anywhere here.
Sources: OPC 10000-4 section 5.11.2 (Read) and 7.39 (StatusCode); OPC 10000-6 section 5.1.12 (nsu= text); OPC 34100.
"""

import asyncio
import logging
import struct
from collections.abc import Mapping, Sequence

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.uaerrors import UaError

from agent.acquire import decode
from agent.acquire.drivers import opcua_nodes
from agent.acquire.drivers.base import BlockRead, Target, Unreachable
from agent.acquire.plan import Block
from agent.acquire.points import Point, Raw
from shared.clock import Clock
from shared.errors import ReadError

_FAILURES = (UaError, OSError, asyncio.TimeoutError, ConnectionError)
_FLOATS = {ua.VariantType.Float, ua.VariantType.Double}
_INTEGERS = {
    ua.VariantType.SByte, ua.VariantType.Byte, ua.VariantType.Int16, ua.VariantType.UInt16, ua.VariantType.Int32,
    ua.VariantType.UInt32, ua.VariantType.Int64, ua.VariantType.UInt64,
}  # fmt: skip


class OpcUa:
    """One server with all meters behind it.

    Args:
        url: As `opc.tcp://host:4840`.
        clock: Stamps the reads.
        security: Policy and mode, as `Basic256Sha256,SignAndEncrypt`; None for none.
        cert_file: Our certificate, wanted by ``security``.
        key_file: Its private key.
        username: Where the server wants one.
        password: Likewise.
    """

    def __init__(
        self,
        url: str,
        clock: Clock,
        *,
        security: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        username: str | None = None,
        password: str | None = None,
    ) -> None:
        # What asyncua logs here is said again, with the meter's name, by the errors below.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._url = url
        self._clock = clock
        self._security = None if security is None else ",".join([security, cert_file or "", key_file or ""])
        self._username = username
        self._password = password
        self._client: Client | None = None
        self._nodes: dict[str, Mapping[str, ua.NodeId]] = {}  # by meter, of this connection

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the one request that brings all points of a meter."""
        return (Block(0, 0, 0, len(target.profile.points), target.profile.points),)

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return the values of all nodes of a block. [s]

        Raises:
            Unreachable: no session can be opened.
            ReadError: no answer in time, or a node that does not exist or does not fit the profile.
        """
        answers, sent, at = await self._read(target, block.points, timeout_s)
        registers: dict[str, Raw | None] = {}
        values: dict[str, int | None] = {}
        for point, answer in zip(block.points, answers, strict=True):
            raw, value = decode.combine(point, (_raw(answer, point, target.id),))
            if point.kind == "register":
                registers[point.quantity] = raw
            else:
                values[point.quantity] = value
        return BlockRead(target.id, block.index, sent, at, registers, values)

    async def identity(self, target: Target, timeout_s: float) -> str | None:
        """Return the serial number as text; None where profile or meter has none. [s]

        Raises:
            ReadError: as `read`.
        """
        point = target.profile.serial
        if point is None:
            return None
        answers, _, _ = await self._read(target, (point,), timeout_s)
        value = _good(answers[0])
        return None if value is None or value.Value is None else str(value.Value)

    async def close(self) -> None:
        """Close the session; the next read opens it again."""
        client, self._client = self._client, None
        self._nodes = {}
        if client is not None:
            try:
                async with asyncio.timeout(1):
                    await client.disconnect()
            except _FAILURES:
                client.disconnect_socket()  # it was gone already

    async def _read(
        self, target: Target, points: Sequence[Point], timeout_s: float
    ) -> tuple[list[ua.DataValue], int, int]:
        complete = False
        try:
            async with asyncio.timeout(timeout_s):
                client = await self._session()
                nodes = await self._resolved(client, target)
                sent = self._clock.boot()
                wanted = [nodes[point.quantity] for point in points]
                answers = await client.uaclient.read_attributes(wanted, AttributeIds.Value)
            at, complete = self._clock.boot(), True
        except ReadError:
            complete = True  # the session is well; a node is not
            raise
        except _FAILURES as error:
            raise self._failure(target, timeout_s, error) from error
        finally:
            if not complete:
                await self.close()
        return answers, sent, at

    def _failure(self, target: Target, timeout_s: float, error: Exception) -> ReadError:
        why = str(error) or type(error).__name__
        if self._client is None:
            return Unreachable(f"{self._url}: no session ({why}); check address, security and user name")
        return ReadError(
            f"{self._url}: no usable answer for {target.id} in {timeout_s:.3g} s ({why}); check the server"
        )

    async def _session(self) -> Client:
        if self._client is not None:
            return self._client
        client, complete = Client(self._url), False
        if self._username is not None:
            client.set_user(self._username)
        if self._password is not None:
            client.set_password(self._password)
        try:
            if self._security is not None:
                await client.set_security_string(self._security)
            await client.connect()
            self._client, complete = client, True
        finally:
            if not complete:  # cancelled by the timeout, too
                client.disconnect_socket()
        return client

    async def _resolved(self, client: Client, target: Target) -> Mapping[str, ua.NodeId]:
        if target.id not in self._nodes:
            self._nodes[target.id] = await opcua_nodes.resolve(client, target)
        return self._nodes[target.id]


def _good(answer: ua.DataValue) -> ua.Variant | None:
    """Return the value of a Good answer. Uncertain is None too, until a flag can carry it (issue 2 is thin here)."""
    status = answer.StatusCode
    return None if answer.Value is None or status is None or not status.is_good() else answer.Value


def _raw(answer: ua.DataValue, point: Point, meter: str) -> int | None:
    """Return the raw integer in the point's encoding; None for a Bad, Uncertain or absent value."""
    variant = _good(answer)
    if variant is None or variant.Value is None:
        return None
    kind, value = variant.VariantType, variant.Value
    if point.enc == "int" and kind in _INTEGERS:
        return None if value in point.na else int(value)
    if point.enc == "f64" and kind in _FLOATS:  # a Float is a Double without loss
        return int.from_bytes(struct.pack(">d", value), "big")
    if point.enc == "f32" and kind is ua.VariantType.Float:
        return int.from_bytes(struct.pack(">f", value), "big")
    raise ReadError(
        f"meter {meter}: {point.quantity} is of type {kind.name}, the profile says {point.parts[0].type};"
        " use a profile with that type"
    )
