"""Finds the OPC UA nodes of a meter: by node id with namespace URI, or by browse names under the meter's object.

Rules: a node that is not found is missing, with the reason, and harms no other; a node whose unit differs from the
profile's is refused with its whole meter, because its numbers would be wrong and not merely absent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError

from agent.acquire.drivers.base import Target
from agent.acquire.nodes_file import NAME, NODE_ID
from agent.acquire.points import Point
from shared.errors import ReadError

_TAG = "ApplicationTag"  # OPC 34100 section 7.1: written by the integrator; holds our meter id
_DEPTH = 8
_MOST_NODES = 5000
#: OPC UA UnitId of a UNECE Recommendation 20 code (OPC 10000-8 section 5.6.3.3) -> unit as profiles write it.
_UNITS = {
    int.from_bytes(code.encode(), "big"): unit
    for code, unit in (
        ("WTT", "W"), ("KWT", "kW"), ("MAW", "MW"), ("WHR", "Wh"), ("KWH", "kWh"), ("MWH", "MWh"), ("D44", "var"),
        ("KVR", "kvar"), ("K3", "kvarh"),
    )
}  # fmt: skip

Reference = tuple[ua.NodeId, ua.QualifiedName, ua.NodeId]  # parent, name, child


@dataclass(frozen=True, slots=True)
class Found:
    """The nodes of a meter in one session."""

    nodes: Mapping[str, ua.NodeId]  # by quantity, "serial" or name of a setting
    missing: Mapping[str, str]  # likewise: why there is none


async def resolve(client: Client, target: Target) -> Found:
    """Return the node of each point of a meter, of its serial and of its settings, as far as the server has them.

    Raises:
        ReadError: no point of the meter is found, or EngineeringUnits differ from the profile.
    """
    spaces = await client.get_namespace_array()
    profile = target.profile
    points = [*profile.points, *([profile.serial] if profile.serial else []), *profile.settings]
    texts = {point.quantity: target.nodes.get(point.quantity, point.node or "") for point in points}
    nodes: dict[str, ua.NodeId] = {}
    missing: dict[str, str] = {}
    below = _Below(client, target, spaces)
    for name, text in texts.items():
        try:
            nodes[name] = _node_id(text, spaces) if NODE_ID.fullmatch(text) else await below.find(text)
        except ReadError as error:
            missing[name] = str(error)
    if profile.points and not any(point.quantity in nodes for point in profile.points):
        raise ReadError("; ".join(dict.fromkeys(missing.values())))
    await _check_units(client, profile.points, nodes)
    return Found(nodes, missing)


class _Below:
    """What stands below a meter's object; browsed when the first name is looked up."""

    def __init__(self, client: Client, target: Target, spaces: Sequence[str]) -> None:
        self._client = client
        self._target = target
        self._spaces = spaces
        self._names: dict[tuple[int, str], ua.NodeId] | None = None
        self._none: ReadError | None = None

    async def find(self, text: str) -> ua.NodeId:
        """Return the node with a browse name.

        Raises:
            ReadError: there is none, or the meter's object is not found.
        """
        match = NAME.fullmatch(text)
        if match is None:
            raise ReadError(f'{text!r} names no node; write "nsu=URI;s=..." with the namespace\'s URI')
        node = (await self._browsed()).get((_index(match["uri"], self._spaces), match["name"]))
        if node is None:
            raise ReadError(
                f"meter {self._target.id}: its object has no {match['name']};"
                " leave the quantity out or name it in `nodes`"
            )
        return node

    async def _browsed(self) -> Mapping[tuple[int, str], ua.NodeId]:
        if self._none is not None:
            raise self._none
        if self._names is None:
            try:
                found = await _below_object(self._client, self._target, self._spaces)
            except ReadError as error:
                self._none = error
                raise
            self._names = {(int(n.NamespaceIndex), str(n.Name)): child for _, n, child in reversed(found)}
        return self._names


def _index(uri: str, spaces: Sequence[str]) -> int:
    if uri not in spaces:
        raise ReadError(f"the server has no namespace {uri}; it has {', '.join(spaces)}")
    return spaces.index(uri)


def _node_id(text: str, spaces: Sequence[str]) -> ua.NodeId:
    match = NODE_ID.fullmatch(text)
    if match is None:
        raise ReadError(f'{text!r} names no node; write "nsu=URI;s=..." with the namespace\'s URI')
    try:
        return ua.NodeId.from_string(f"ns={_index(match['uri'], spaces)};{match['id']}")
    except UaError as error:
        raise ReadError(f"{text!r} names no node: {error}") from error


async def _below_object(client: Client, target: Target, spaces: Sequence[str]) -> list[Reference]:
    if "object" in target.nodes:
        return await _browse(client, _node_id(target.nodes["object"], spaces))
    everything = await _browse(client, _standard(ObjectIds.ObjectsFolder))
    tags = [(parent, child) for parent, name, child in everything if name.Name == _TAG]
    values = await client.uaclient.read_attributes([child for _, child in tags], AttributeIds.Value) if tags else []
    mine = [
        parent
        for (parent, _), value in zip(tags, values, strict=True)
        if value.Value is not None and value.Value.Value == target.id
    ]
    if len(mine) != 1:
        raise ReadError(
            f"meter {target.id}: {len(mine)} objects of the server have the {_TAG} {target.id!r};"
            ' set it on one, or name the object: nodes = { object = "nsu=URI;s=..." }'
        )
    return await _browse(client, mine[0])


async def _browse(client: Client, start: ua.NodeId) -> list[Reference]:
    """Return what stands below a node, nearest first."""
    found: list[Reference] = []
    level, seen = [start], {start, _standard(ObjectIds.Server)}
    for _ in range(_DEPTH):
        references = await _children(client, level)
        found += references
        level = list(dict.fromkeys(child for _, _, child in references if child not in seen))
        seen.update(level)
        if not level or len(seen) > _MOST_NODES:
            break
    return found


def _standard(number: int) -> ua.NodeId:
    return ua.NodeId(ua.Int32(number), ua.Int16(0))


async def _children(client: Client, nodes: Iterable[ua.NodeId]) -> list[Reference]:
    parents = list(nodes)
    request = ua.BrowseParameters()
    request.NodesToBrowse = [_description(node) for node in parents]
    results = await client.uaclient.browse(request)
    found: list[Reference] = []
    for parent, result in zip(parents, results, strict=True):
        references = [*(result.References or []), *await _rest(client, result.ContinuationPoint)]
        found += [(parent, one.BrowseName, one.NodeId) for one in references if one.BrowseName is not None]
    return found


async def _rest(client: Client, point: bytes | None) -> list[ua.ReferenceDescription]:
    """Return what a server that tells few references at once has still to tell."""
    found: list[ua.ReferenceDescription] = []
    while point and len(found) < _MOST_NODES:
        request = ua.BrowseNextParameters(ContinuationPoints=[ua.ByteString(point)])
        request.ReleaseContinuationPoints = False
        result = (await client.uaclient.browse_next(request))[0]
        found += result.References or []
        point = result.ContinuationPoint
    return found


def _description(node: ua.NodeId) -> ua.BrowseDescription:
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Forward
    wanted.ReferenceTypeId = _standard(ObjectIds.HierarchicalReferences)
    wanted.IncludeSubtypes = True
    wanted.NodeClassMask = 0
    wanted.ResultMask = ua.BrowseResultMask.All
    return wanted


async def _check_units(client: Client, points: Iterable[Point], nodes: Mapping[str, ua.NodeId]) -> None:
    """Refuse a node whose EngineeringUnits are known and differ from what the profile says."""
    by_node = {nodes[point.quantity]: point for point in points if point.quantity in nodes}
    properties = [r for r in await _children(client, by_node) if r[1].Name == "EngineeringUnits"]
    if not properties:
        return
    values = await client.uaclient.read_attributes([child for _, _, child in properties], AttributeIds.Value)
    for (parent, _, _), answer in zip(properties, values, strict=True):
        value = None if answer.Value is None else answer.Value.Value
        unit, point = _UNITS.get(getattr(value, "UnitId", 0)), by_node[parent]
        if unit is not None and unit != point.unit:
            raise ReadError(
                f"{point.quantity}: the server's EngineeringUnits say {unit}, the profile {point.unit};"
                " use a profile with the server's unit"
            )
