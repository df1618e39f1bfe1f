"""Simulated meters on a real OPC UA server: OPC 34100 names, node ids by meter and quantity. Clients cannot write.

Each meter is an object with its id as ApplicationTag; where the site file names nodes for a meter, those exist too.
asyncua notifies of what is written, never of what is computed: so a value is computed for each read and also written
ten times a second.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Sequence
from datetime import UTC
from functools import partial

from asyncua import ua
from asyncua.common.node import Node
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from agent.acquire.points import Point
from agent.field.simulate_meter import Simulated
from shared.clock import US, Clock
from shared.errors import ConfigError

ECM = "http://opcfoundation.org/UA/ECM/"
OWN = "urn:wattseal:simulator"
_NODE_ID = re.compile(r"nsu=(?P<uri>[^;]+);s=(?P<id>.+)")
_NAME = re.compile(r"nsu=(?P<uri>[^;]+);(?P<name>[^=]+)")
_KINDS = {"f32": ua.VariantType.Float, "f64": ua.VariantType.Double, "int": ua.VariantType.Int64}
_NOTIFIED_S = 0.1
_UNSUPPORTED = ("slow", "jitter")

Answer = partial[ua.DataValue]


class OpcUaPort:
    """One server with its meters."""

    def __init__(self, url: str, meters: Sequence[Simulated], clock: Clock) -> None:
        # What asyncua logs of clients that come and go is no finding.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL)
        self._url = url
        self._meters = meters
        self._clock = clock
        self._server = Server()
        self._spaces: dict[str, int] = {}
        self._answers: list[tuple[ua.NodeId, Answer]] = []
        self._notifying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address is in use or not ours, a node's text is wrong, or a fault does not exist here.
        """
        for meter in self._meters:
            if meter.wrong_kinds.intersection(_UNSUPPORTED):
                raise ConfigError(f"meter {meter.meter.id}: OPC UA meters have no faults {', '.join(_UNSUPPORTED)}")
        await self._server.init()
        self._server.set_endpoint(self._url)
        self._server.set_server_name("wattseal agent simulate")
        for meter in self._meters:
            await self._add(meter)
        try:
            await self._server.start()
        except OSError as error:
            raise ConfigError(f"{self._url}: cannot listen: {error}") from error
        self._notifying = asyncio.create_task(self._notify())

    async def stop(self) -> None:
        """Close every session."""
        if self._notifying is not None:
            self._notifying.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._notifying
        await self._server.stop()

    async def _notify(self) -> None:
        """Write each value now and then; what is read in between is computed all the same."""
        while True:
            for node, answer in self._answers:
                await self._server.iserver.aspace.write_attribute_value(node, AttributeIds.Value, answer())
                self._compute(node, answer)
            await self._clock.sleep(_NOTIFIED_S)

    async def _space(self, uri: str) -> int:
        if uri not in self._spaces:
            self._spaces[uri] = await self._server.register_namespace(uri)
        return self._spaces[uri]

    async def _add(self, meter: Simulated) -> None:
        own, ecm = await self._space(OWN), await self._space(ECM)
        name = meter.meter.id
        place = await self._object_id(meter, own)
        parent = await self._server.nodes.objects.add_object(place, _qualified(name, own))
        await parent.add_variable(_node_id(f"{name}.tag", own), _qualified("ApplicationTag", ecm), name)
        for point in meter.meter.profile.points:
            await self._add_point(parent, meter, point)
        serial = meter.meter.profile.serial
        if serial is not None:
            node_id, browse_name = await self._place(meter, serial)
            node = await parent.add_variable(node_id, browse_name, meter.serial(0))
            self._answer_with(node, partial(self._serial, meter))

    async def _object_id(self, meter: Simulated, own: int) -> ua.NodeId:
        named = _NODE_ID.fullmatch(meter.meter.nodes.get("object", ""))
        return (
            _node_id(meter.meter.id, own) if named is None else _node_id(named["id"], await self._space(named["uri"]))
        )

    async def _add_point(self, parent: Node, meter: Simulated, point: Point) -> None:
        node_id, browse_name = await self._place(meter, point)
        kind = _KINDS[point.enc]
        value = 0 if point.enc == "int" else 0.0
        self._answer_with(
            await parent.add_variable(node_id, browse_name, value, kind), partial(self._value, meter, point)
        )

    async def _place(self, meter: Simulated, point: Point) -> tuple[ua.NodeId, ua.QualifiedName]:
        """Return node id and browse name of a point: as the site file names it, else as the profile does."""
        own = await self._space(OWN)
        text = meter.meter.nodes.get(point.quantity, point.node or "")
        by_id, by_name = _NODE_ID.fullmatch(text), _NAME.fullmatch(text)
        if by_id is not None:
            space = await self._space(by_id["uri"])
            return _node_id(by_id["id"], space), _qualified(point.quantity, space)
        if by_name is None:
            raise ConfigError(f'meter {meter.meter.id}: {text!r} names no node; write "nsu=URI;s=..."')
        return _node_id(f"{meter.meter.id}.{point.quantity}", own), _qualified(
            by_name["name"], await self._space(by_name["uri"])
        )

    def _answer_with(self, node: Node, answer: Answer) -> None:
        self._answers.append((node.nodeid, answer))
        self._compute(node.nodeid, answer)

    def _compute(self, node: ua.NodeId, answer: Answer) -> None:
        self._server.iserver.aspace.set_attribute_value_callback(
            node, AttributeIds.Value, lambda _node, _attribute: answer()
        )

    def _value(self, meter: Simulated, point: Point) -> ua.DataValue:
        now, kind = self._clock.wall(), _KINDS[point.enc]
        if (failed := _failure(meter, now)) is not None:
            return _answer(ua.Variant(), now, failed)
        if meter.unavailable(now):
            value = 0 if point.enc == "int" else float("nan")
            return _answer(ua.Variant(value, kind), now, StatusCodes.BadNoData if point.enc == "int" else 0)
        exact = meter.shown(point, now) / point.mults[0]
        return _answer(ua.Variant(int(exact // 1) if point.enc == "int" else float(exact), kind), now)

    def _serial(self, meter: Simulated) -> ua.DataValue:
        now = self._clock.wall()
        if (failed := _failure(meter, now)) is not None:
            return _answer(ua.Variant(), now, failed)
        return _answer(ua.Variant(meter.serial(now), ua.VariantType.String), now)


def _answer(value: ua.Variant, now: int, status: int = 0) -> ua.DataValue:
    """Return a value as the device has it at a time. [us since the epoch]"""
    stamp = ua.DateTime.fromtimestamp(now / US, UTC).replace(tzinfo=None)
    return ua.DataValue(value, ua.StatusCode(ua.UInt32(status)), SourceTimestamp=stamp)


def _failure(meter: Simulated, now: int) -> int | None:
    if meter.silent(now):
        return int(StatusCodes.BadNoCommunication)
    return None if meter.refusal(now) is None else int(StatusCodes.BadDeviceFailure)


def _node_id(text: str, space: int) -> ua.NodeId:
    return ua.NodeId(ua.String(text), ua.Int16(space))


def _qualified(text: str, space: int) -> ua.QualifiedName:
    return ua.QualifiedName(ua.String(text), ua.Int16(space))
