"""Finds the OPC UA nodes of a meter: by node id with namespace URI, or by browse names under the meter's object."""

import re
from collections.abc import Iterable, Mapping

from asyncua import ua
from asyncua.client.client import Client
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds

from agent.acquire.drivers.base import Target
from agent.acquire.points import Point
from shared.errors import ReadError

_NODE_ID = re.compile(r"nsu=(?P<uri>[^;]+);(?P<id>[isgb]=.+)")
_NAME = re.compile(r"nsu=(?P<uri>[^;]+);(?P<name>[^=]+)")
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


async def resolve(client: Client, target: Target) -> Mapping[str, ua.NodeId]:
    """Return the node of each point of a meter, and of "serial" where the profile has one.

    Raises:
        ReadError: a node is not found, or its EngineeringUnits differ from the profile.
    """
    spaces = await client.get_namespace_array()
    serial = target.profile.serial
    points = [*target.profile.points, *([serial] if serial else [])]
    texts = {point.quantity: target.nodes.get(point.quantity, point.node or "") for point in points}
    nodes = {name: _node_id(text, spaces) for name, text in texts.items() if _NODE_ID.fullmatch(text)}
    named = {name: text for name, text in texts.items() if name not in nodes}
    if named:
        found = await _below_object(client, target, spaces)
        below = {(int(n.NamespaceIndex), str(n.Name)): child for _, n, child in reversed(found)}
        for name, text in named.items():
            nodes[name] = _by_name(below, text, spaces, target.id)
    await _check_units(client, target.profile.points, nodes)
    return nodes


def _index(uri: str, spaces: list[str]) -> int:
    if uri not in spaces:
        raise ReadError(f"the server has no namespace {uri}; it has {', '.join(spaces)}")
    return spaces.index(uri)


def _node_id(text: str, spaces: list[str]) -> ua.NodeId:
    match = _NODE_ID.fullmatch(text)
    if match is None:
        raise ReadError(f'{text!r} names no node; write "nsu=URI;s=..." with the namespace\'s URI')
    return ua.NodeId.from_string(f"ns={_index(match['uri'], spaces)};{match['id']}")


def _by_name(below: Mapping[tuple[int, str], ua.NodeId], text: str, spaces: list[str], meter: str) -> ua.NodeId:
    match = _NAME.fullmatch(text)
    if match is None:
        raise ReadError(f'{text!r} names no node; write "nsu=URI;s=..." with the namespace\'s URI')
    node = below.get((_index(match["uri"], spaces), match["name"]))
    if node is None:
        raise ReadError(
            f"meter {meter}: its object has no {match['name']}; leave the quantity out or name it in `nodes`"
        )
    return node


async def _below_object(client: Client, target: Target, spaces: list[str]) -> list[Reference]:
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
    return [
        (parent, reference.BrowseName, reference.NodeId)
        for parent, result in zip(parents, results, strict=True)
        for reference in result.References
        if reference.BrowseName is not None
    ]


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
    by_node = {nodes[point.quantity]: point for point in points}
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
