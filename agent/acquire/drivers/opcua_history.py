"""Reads what an OPC UA server has kept of registers, to fill a gap with the meter's own values.

Rules: raw values only, never interpolated or modified ones (OPC 10000-11 section 6.5.3); Bad is left out; the source's
stamps are passed on as they came.
"""

from collections.abc import Mapping, Sequence

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.uaerrors import (
    BadHistoryOperationInvalid,
    BadHistoryOperationUnsupported,
    BadNotImplemented,
    BadNotSupported,
    BadServiceUnsupported,
    BadUserAccessDenied,
)

from agent.acquire.drivers import opcua_values as worth
from agent.acquire.drivers.base import Recorded, Refused
from agent.acquire.points import Point

_NOT_OFFERED = (
    BadServiceUnsupported, BadHistoryOperationUnsupported, BadHistoryOperationInvalid, BadNotImplemented,
    BadNotSupported, BadUserAccessDenied,
)  # fmt: skip
_AT_ONCE = 10_000  # values of a node in one answer; the server may give fewer


async def recorded(
    client: Client, points: Sequence[Point], nodes: Mapping[str, ua.NodeId], start_us: int, stop_us: int
) -> list[Recorded]:
    """Return the registers with stamps in ``[start_us, stop_us)``, oldest first. [UTC us]

    Raises:
        Refused: the server keeps no history of any of them.
    """
    found: set[Recorded] = set()
    refused: dict[str, int] = {}
    for point in points:
        try:
            status, answers = await _raw(client, nodes[point.quantity], start_us, stop_us)
        except _NOT_OFFERED as error:
            status, answers = int(error.code), []
        if worth.is_bad(status):
            refused[point.quantity] = status
        found.update(
            Recorded(point.quantity, told, raw)
            for answer in answers
            if (told := worth.stamp(answer)) is not None
            and start_us <= told < stop_us
            and (raw := worth.raw(answer, point)) is not None
        )
    if points and len(refused) == len(points):
        said = ", ".join(f"{quantity} {worth.name(status)}" for quantity, status in refused.items())
        raise Refused(f"the server tells no history: {said}; historize these nodes", next(iter(refused.values())))
    return sorted(found, key=lambda one: (one.stamp, one.quantity))


async def _raw(client: Client, node: ua.NodeId, start_us: int, stop_us: int) -> tuple[int, list[ua.DataValue]]:
    """Return status and values of one node; continuation points are followed to the end."""
    found: list[ua.DataValue] = []
    point: bytes | None = None
    while True:
        result = (await client.uaclient.history_read(_request(node, start_us, stop_us, point)))[0]
        found += getattr(result.HistoryData, "DataValues", None) or []
        if worth.is_bad(int(result.StatusCode.value)) or not result.ContinuationPoint:
            return int(result.StatusCode.value), found
        point = result.ContinuationPoint


def _request(node: ua.NodeId, start_us: int, stop_us: int, point: bytes | None) -> ua.HistoryReadParameters:
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = False
    details.ReturnBounds = False
    details.StartTime = worth.instant(start_us)
    details.EndTime = worth.instant(stop_us)
    details.NumValuesPerNode = ua.UInt32(_AT_ONCE)
    wanted = ua.HistoryReadValueId()
    wanted.NodeId = node
    wanted.ContinuationPoint = point
    request = ua.HistoryReadParameters()
    request.HistoryReadDetails = details
    request.ReleaseContinuationPoints = False
    request.NodesToRead = [wanted]
    return request
