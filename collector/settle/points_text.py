"""Points written as `points.toml` has them, so that the file can be had back from what is in force. Pure.

Rule of this file: loaded again, the text gives exactly the points that it was written from.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import tomlkit

from collector.settle.points import quantity_of
from shared import master, share
from shared.errors import ConfigError
from shared.formula import parse
from shared.master import PointVersion

_TIMES = ("from", "until")


def text(points: Sequence[PointVersion]) -> str:
    """Return points as a file that `points load` takes; a text of its own comes back without its comments."""
    document = tomlkit.document()
    document.add("schema", tomlkit.item(1))
    plain = [_point(one) for one in points if one.share is None]
    shared = [_allocation(of) for of in _allocations(points)]
    for name, tables in (("point", plain), ("allocation", shared)):
        if tables:
            document.add(tomlkit.nl())
            document.append(name, _tables(tables))
    return tomlkit.dumps(document)


def _tables(tables: Iterable[Mapping[str, Any]]) -> tomlkit.items.AoT:
    listed = tomlkit.aot()
    for members in tables:
        table = tomlkit.table()
        for name, value in members.items():
            table.append(name, _dated(value) if name in _TIMES else value)
        listed.append(table)
    return listed


def _dated(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _point(one: PointVersion) -> dict[str, Any]:
    members = {name: value for name, value in master.entry(one).items() if value not in ([], {})}
    if _told(one):
        del members["quantity"]
    return {name: members[name] for name in ("id", "from", *(_TIMES[1:] if "until" in members else ()))} | members


def _told(one: PointVersion) -> bool:
    """Return whether the formula says by itself what the point is."""
    try:
        return quantity_of(parse(one.formula)) == one.quantity
    except ConfigError:
        return False


def _allocations(points: Iterable[PointVersion]) -> list[list[PointVersion]]:
    """Return the points of each allocation together, one list for each entry of the file."""
    found: dict[tuple[str, int], list[PointVersion]] = {}
    for one in points:
        if one.share is not None:
            found.setdefault((one.id.removesuffix(f"-{one.share.whose}"), one.since), []).append(one)
    return [found[key] for key in sorted(found)]


def _allocation(points: Sequence[PointVersion]) -> dict[str, Any]:
    """Return the entry of an allocation; what nobody gets lasts as long as the entry says, whoever has left since."""
    rest = next(one for one in points if one.share is not None and one.share.whose == share.REST)
    own = rest.share.body() if rest.share is not None else {}
    members = {
        name: value for name, value in master.entry(rest).items() if name not in ("id", "role", "formula", "share")
    }
    given = {"id": rest.id.removesuffix(f"-{share.REST}"), "from": members.pop("from")}
    if "until" in members:
        given["until"] = members.pop("until")
    told = {"energy": rest.formula, **{name: own[name] for name in ("method", "loads", "keys", "priority")}, **members}
    return given | {name: value for name, value in told.items() if value not in ([], {})}
