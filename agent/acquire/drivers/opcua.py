"""OPC UA by asyncua, reading only. Imported only when a site has OPC UA: asyncua costs 40 MB.

Rules:
- A node is named by its namespace's URI, never by an index, which moves when a server restarts. Each new session
  resolves all nodes anew.
- All nodes of a meter are read in one request. A node that does not exist, is Bad or has another type than the profile
  is None and harms no other; each is told once in the log and stands in `troubles`. Only where no node of a meter gives
  a value is that a `ReadError`.
- Good is a value, Uncertain a marked value, Bad is None: never the last value.
- Source stamps are passed on as they came. A value whose stamp lies before that of the value seen last is not fresh,
  and so None (see `opcua_values.Stamps`); a new session begins anew. The read itself is stamped by our boot clock.
- Mode "subscribe": the first read of a block in each interval is always a real one, so that every boundary is; others
  are answered by what the subscription stated last, where that is proven (see `opcua_watch`), and else read. A
  subscription that dies is polled around at once, and opened again in a new session, after a back-off. Where the poll
  period is the interval's length, every read is real and nothing is subscribed.
Neither Write nor Call is used anywhere here.
Sources: OPC 10000-4 section 5.11.2 (Read) and 7.39 (StatusCode); OPC 10000-6 section 5.1.12 (nsu= text); OPC 34100.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, TypeVar

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from agent.acquire import decode
from agent.acquire.drivers import opcua_history, opcua_nodes, opcua_session
from agent.acquire.drivers import opcua_values as worth
from agent.acquire.drivers.base import BlockRead, Identity, MeterClock, Recorded, Refused, Target, Unreachable
from agent.acquire.drivers.opcua_session import FAILURES, Access
from agent.acquire.drivers.opcua_watch import Watch
from agent.acquire.plan import Block
from agent.acquire.points import Point, Raw
from shared.clock import US, Clock
from shared.errors import ReadError
from shared.log import Log

log = Log(__name__)

_T = TypeVar("_T")
_INTERVAL_US = 60 * US  # the shortest outside a lab, and a divisor of all others
_CLOCK = "server's clock"
_CURRENT_TIME = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime), ua.Int16(0))
_BACKWARDS = "its source time stamp went backwards"
_BACK_OFF_US = (1 * US, 300 * US)
#: The server cannot reach the device: it says nothing of the device's own.
_SILENT = frozenset(
    int(code)
    for code in (
        StatusCodes.BadNoCommunication, StatusCodes.BadCommunicationError, StatusCodes.BadNotConnected,
        StatusCodes.BadTimeout, StatusCodes.BadConnectionClosed, StatusCodes.BadOutOfService,
        StatusCodes.BadWaitingForInitialData,
    )
)  # fmt: skip


class OpcUa:
    """One server with all meters behind it.

    Args:
        url: As `opc.tcp://host:4840`.
        clock: Stamps the reads.
        security: Policy and mode, as `Aes256Sha256RsaPss,SignAndEncrypt`; None for none.
        cert_file: Our certificate (PEM or DER), wanted by ``security``.
        key_file: Its private key.
        server_cert_file: The only certificate that the server may show; None takes what it shows.
        username: Where the server wants one.
        password: Likewise.
        user_cert_file: Certificate of the user, where the server knows users by certificates.
        user_key_file: Its private key.
        mode: "read" asks the server at every poll; "subscribe" lets it tell, between the boundaries.
        interval_us: Length of the intervals, or a divisor: the first read in each is a real one. [us]
    """

    def __init__(  # noqa: PLR0913 - each is a key of the site file
        self,
        url: str,
        clock: Clock,
        *,
        security: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        server_cert_file: str | None = None,
        username: str | None = None,
        password: str | None = None,
        user_cert_file: str | None = None,
        user_key_file: str | None = None,
        mode: Literal["read", "subscribe"] = "read",
        interval_us: int = _INTERVAL_US,
    ) -> None:
        # What asyncua logs here is said again, with the meter's name, by the errors below.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
        self.access = Access(
            security, cert_file, key_file, server_cert_file, username, password, user_cert_file, user_key_file
        )
        self.mode = mode
        self.last_status: dict[worth.Node, int] = {}  # raw StatusCode of each node, as answered last
        self.troubles: dict[worth.Node, str] = {}  # of each node that gives no value: why
        self.counts = {"sessions": 0, "subscriptions": 0, "requests": 0, "statements": 0}
        self._url = url
        self._clock = clock
        self._interval_us = interval_us
        self._client: Client | None = None
        self._nodes: dict[str, opcua_nodes.Found] = {}  # by meter, of this session
        self._stamps = worth.Stamps()
        self._intervals: dict[tuple[str, int], int] = {}  # by meter and block: the interval that was really read last
        self._watch: Watch | None = None
        self._watch_due = 0  # [us since boot]
        self._doubted: Client | None = None  # the session in which a subscription died
        self._back_off = _BACK_OFF_US[0]

    @property
    def certificate_ends(self) -> int | None:
        """Return when the first of our own certificates ends [UTC us]; None without one."""
        return opcua_session.certificate_ends(self.access)

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the one request that brings all points of a meter."""
        return (Block(0, 0, 0, len(target.profile.points), target.profile.points),)

    async def resolve(self, target: Target, timeout_s: float) -> Target:  # noqa: ARG002 - as every driver
        """Return the meter as it is: its nodes are found anew in each session."""
        return target

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return the values of all nodes of a block. [s]

        Raises:
            Unreachable: no session can be opened.
            Refused: the server has no value for any node.
            ReadError: no answer in time, no node found, or the device behind the server is silent.
        """
        ends, interval = self._clock.boot() + round(timeout_s * US), self._clock.wall() // self._interval_us
        key = (target.id, block.index)
        first = self._intervals.get(key) != interval
        if self._is_deaf() or first or (stated := self._stated(target, block)) is None:
            answers, sent, at = await self._read(target, [point.quantity for point in block.points], timeout_s)
            answers = self._fresh(target.id, answers)
            if self._watch is not None and self._watch.has(target.id):
                self._watch.read(target.id, answers, sent, at)
            stated = self._told(target, block, answers, (sent, at))
            self._intervals[key] = interval
            if self.mode == "subscribe" and not first:  # at a boundary there is no time to subscribe
                await self._tend(target, ends)
        return stated

    async def identity(self, target: Target, timeout_s: float) -> Identity:
        """Return serial number and settings, where profile and server have them, and the server's clock. [s]

        Raises:
            ReadError: as `read`.
        """
        profile = target.profile
        if target.id in self._nodes and self._nodes[target.id].missing:
            del self._nodes[target.id]  # an hour later they may be there
        settings = {point.quantity: point for point in profile.settings}
        names = [*(["serial"] if profile.serial else []), *settings, _CLOCK]
        answers, sent, at = await self._read(target, names, timeout_s)
        told = {name: worth.setting(answers[name], point) for name, point in settings.items() if name in answers}
        return Identity(
            worth.text(answers["serial"]) if "serial" in answers else None,
            {name: value for name, value in told.items() if value is not None},
            _meter_clock(answers[_CLOCK], sent, at),
        )

    async def history(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        """Return the registers that the server kept with stamps in ``[start_us, stop_us)``. [UTC us; s]

        Raises:
            Refused: it keeps no history of any.
            ReadError: as `read`.
        """

        async def ask(client: Client) -> list[Recorded]:
            found = (await self._found(client, target)).nodes
            registers = [p for p in target.profile.points if p.kind == "register" and p.quantity in found]
            return await opcua_history.recorded(client, registers, found, start_us, stop_us)

        return await self._asked(target, ask, timeout_s)

    async def recorded(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        """Return the registers that the server kept: `history` by the name that every driver has. [UTC us; s]

        Raises:
            ReadError: as `history`.
        """
        return await self.history(target, start_us, stop_us, timeout_s)

    async def close(self) -> None:
        """Close the session; the next read opens it again."""
        client, self._client = self._client, None
        self._nodes, self._stamps, self._watch = {}, worth.Stamps(), None
        if client is not None:
            try:
                async with asyncio.timeout(1):
                    await client.disconnect()
            except FAILURES:
                client.disconnect_socket()  # it was gone already

    # Requests

    async def _read(
        self, target: Target, quantities: Sequence[str], timeout_s: float
    ) -> tuple[dict[str, ua.DataValue], int, int]:
        """Return the answers of those nodes that are found, and between which boot times."""

        async def ask(client: Client) -> tuple[dict[str, ua.DataValue], int, int]:
            found = {**(await self._found(client, target)).nodes, _CLOCK: _CURRENT_TIME}
            wanted = {quantity: found[quantity] for quantity in quantities if quantity in found}
            self.counts["requests"] += 1
            sent = self._clock.boot()
            answers = await client.uaclient.read_attributes(list(wanted.values()), AttributeIds.Value)
            return dict(zip(wanted, answers, strict=True)), sent, self._clock.boot()

        return await self._asked(target, ask, timeout_s)

    async def _asked(self, target: Target, ask: Callable[[Client], Awaitable[_T]], timeout_s: float) -> _T:
        """Return the answer to a question in time; a session that does not give it is closed."""
        well = False
        try:
            async with asyncio.timeout(timeout_s):
                answer = await ask(await self._session())
            well = True
        except ReadError:
            well = True  # the session is well; a node is not
            raise
        except FAILURES as error:
            raise self._failure(target, timeout_s, error) from error
        finally:
            if not well:
                await self.close()
        return answer

    def _failure(self, target: Target, timeout_s: float, error: Exception) -> ReadError:
        why = str(error) or type(error).__name__
        if self._client is None:
            return Unreachable(
                f"{self._url}: no session in {timeout_s:.3g} s ({why}); check the address and the server"
            )
        return ReadError(
            f"{self._url}: no usable answer for {target.id} in {timeout_s:.3g} s ({why}); check the server"
        )

    async def _session(self) -> Client:
        if self._client is None:
            self._client = await opcua_session.connect(self._url, self.access)
            self.counts["sessions"] += 1
        return self._client

    async def _found(self, client: Client, target: Target) -> opcua_nodes.Found:
        if target.id not in self._nodes:
            found = await opcua_nodes.resolve(client, target)
            self._nodes[target.id] = found
            for quantity, why in found.missing.items():
                self._trouble((target.id, quantity), why)
        return self._nodes[target.id]

    # Answers

    def _fresh(self, meter: str, answers: Mapping[str, ua.DataValue]) -> dict[str, ua.DataValue]:
        """Return the answers without those whose source went backwards in time."""
        fresh = {}
        for quantity, answer in answers.items():
            if self._stamps.fresh((meter, quantity), worth.stamp(answer)):
                fresh[quantity] = answer
            else:
                self.last_status[meter, quantity] = worth.code(answer)
                self._trouble((meter, quantity), _BACKWARDS)
        return fresh

    def _told(
        self, target: Target, block: Block, answers: Mapping[str, ua.DataValue], span: tuple[int, int]
    ) -> BlockRead:
        """Return what the answers are worth.

        Raises:
            Refused: the server has no value for any node.
            ReadError: the device behind the server is silent.
        """
        registers: dict[str, Raw | None] = {}
        values: dict[str, int | None] = {}
        used: dict[str, ua.DataValue] = {}
        for point in block.points:
            answer = answers.get(point.quantity)
            raw, value = decode.combine(point, (None if answer is None else worth.raw(answer, point),))
            if point.kind == "register":
                registers[point.quantity] = raw
            else:
                values[point.quantity] = value
            if answer is not None and self._note(target.id, point, answer):
                used[point.quantity] = answer
        if not used and not self._is_backwards(target, block):
            raise self._nothing(target, block)
        uncertain = frozenset(q for q, answer in used.items() if worth.is_uncertain(worth.code(answer)))
        return BlockRead(
            target.id, block.index, *span, registers, values, uncertain=uncertain, stamps=worth.stamps(used)
        )

    def _is_backwards(self, target: Target, block: Block) -> bool:
        return any(self.troubles.get((target.id, point.quantity)) == _BACKWARDS for point in block.points)

    def _note(self, meter: str, point: Point, answer: ua.DataValue) -> bool:
        """Keep the status of a node, tell what changed, and return whether its answer is of use."""
        node, status = (meter, point.quantity), worth.code(answer)
        self.last_status[node] = status
        why = worth.name(status) if worth.is_bad(status) else worth.misfit(answer, point)
        if why is not None:
            self._trouble(node, why)
        elif self.troubles.pop(node, None) is not None:
            log.info("opcua_node_well", meter=meter, quantity=point.quantity)
        return why is None

    def _trouble(self, node: worth.Node, why: str) -> None:
        if self.troubles.get(node) != why:
            log.warning("opcua_node_bad", meter=node[0], quantity=node[1], why=why)
        self.troubles[node] = why

    def _nothing(self, target: Target, block: Block) -> ReadError:
        """Return the error of a meter that gives no value at all."""
        whys = {self.troubles.get((target.id, point.quantity)) for point in block.points} - {None}
        text = f"{self._url}: no node of {target.id} gives a value: {'; '.join(sorted(map(str, whys)))}"
        codes = {self.last_status.get((target.id, point.quantity), 0) for point in block.points} - {0}
        if int(StatusCodes.BadNodeIdUnknown) in codes:
            self._nodes.pop(target.id, None)  # the server's address space changed: look again
        if not codes or codes <= _SILENT:
            return ReadError(f"{text}; check the device behind the server")
        return Refused(f"{text}; check nodes and access rights", min(codes))

    # Subscriptions

    def _is_deaf(self) -> bool:
        """Return whether the subscription is dead; then the next one waits for its turn, in a new session."""
        if self._watch is None or not self._watch.is_dead():
            return False
        log.warning("opcua_subscription_dead", url=self._url, advice="it is polled, and subscribed again later")
        self._abandon()
        return True

    def _abandon(self) -> None:
        self._watch, self._doubted = None, self._client
        self._watch_due = self._clock.boot() + self._back_off
        self._back_off = min(2 * self._back_off, _BACK_OFF_US[1])

    def _stated(self, target: Target, block: Block) -> BlockRead | None:
        """Return what the subscription stated last, where that is proven and new."""
        if self._watch is None or target.id not in self._nodes:
            return None
        nodes = self._nodes[target.id].nodes
        stated = self._watch.statement(target.id, [p.quantity for p in block.points if p.quantity in nodes])
        if stated is None:
            return None
        self.counts["statements"] += 1
        return self._told(target, block, self._fresh(target.id, stated.answers), (stated.sent, stated.at))

    async def _tend(self, target: Target, ends: int) -> None:
        """Subscribe to a meter that is not watched, in what is left of a read's time."""
        if self._watch is not None and self._watch.proven:
            self._back_off = _BACK_OFF_US[0]
        now = self._clock.boot()
        is_watched = self._watch is not None and self._watch.has(target.id)
        if is_watched or now >= ends or now < self._watch_due:
            return
        try:
            async with asyncio.timeout((ends - now) / US):
                await self._subscribe(target)
        except (ReadError, *FAILURES) as error:
            log.warning("opcua_no_subscription", url=self._url, meter=target.id, why=str(error) or type(error).__name__)
            await self.close()
            self._abandon()

    async def _subscribe(self, target: Target) -> None:
        if self._watch is None:
            if self._client is not None and self._client is self._doubted:
                await self.close()  # after a dead subscription, nothing of its session is believed
            self._doubted = None
            self._watch = Watch(await self._session(), self._clock)
            self.counts["subscriptions"] += 1
        nodes = (await self._found(await self._session(), target)).nodes
        points = {point.quantity for point in target.profile.points}
        await self._watch.add(target.id, target.poll_us, {q: node for q, node in nodes.items() if q in points})


def _meter_clock(answer: ua.DataValue, sent: int, at: int) -> MeterClock | None:
    told = worth.held(answer)
    if told is None or told.VariantType is not ua.VariantType.DateTime:
        return None
    return MeterClock(worth.microseconds(told.Value), sent, at)
