"""Meters that another's file speaks for: no gateway does beside it, and nothing that the rules make goes over it."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, func, select

from collector.series.findings import Found
from collector.series.meters import FILES, Assignment, Table
from collector.store.schema import meter, version_segment
from shared import outside

_VERSIONS = version_segment.c
_OWN = (_VERSIONS.channel_id == bindparam("channel")) & (_VERSIONS.made_by == outside.MADE_BY)
# Built once: to build a statement costs more than to run it.
_LENGTHS = select(_VERSIONS.length).where(_OWN).distinct()
_AGENTS = select(meter.c.agent).where(meter.c.site == bindparam("site"), meter.c.meter == bindparam("meter")).distinct()


def claim(table: Table, body: Mapping[str, Any], position: int, made_by: str) -> list[Found]:
    """Note that a file speaks for a meter from a position on; a finding where a gateway does already.

    Raises:
        Malformed: the body is not that of an `outside` record.
    """
    loaded = outside.decode(body)
    agents = table.agents(loaded.site, loaded.meter)
    if not agents:
        table.load([Assignment(loaded.site, loaded.meter, FILES, 0, 0, position, by_record=True)])
        return []
    if set(agents) == {FILES}:
        return []
    speaks = ", ".join(sorted(set(agents) - {FILES}))
    text = f"file {loaded.file} was loaded for a meter that agent {speaks} speaks for; load it under another name"
    return [Found("A3", "E", text, position, made_by, meter=loaded.meter)]


def spoken_for(connection: Connection, site: str, name: str) -> str | None:
    """Return which agents were ever to speak for a meter, None where none was."""
    agents = set(connection.execute(_AGENTS, {"site": site, "meter": name}).scalars()) - {FILES}
    return ", ".join(sorted(agents)) or None


def lengths(connection: Connection, channel_id: int) -> list[int]:
    """Return the interval lengths in which files have told of a channel; none of one that gateways read. [s]"""
    return sorted(connection.execute(_LENGTHS, {"channel": channel_id}).scalars())


def span(connection: Connection, channel_id: int, length: int) -> tuple[int, int] | None:
    """Return the first and the last second of what files have told of a channel, None where nothing. [UTC s]"""
    last = func.max(_VERSIONS.start + _VERSIONS.n * _VERSIONS.length)
    query = select(func.min(_VERSIONS.start), last).where(_OWN, _VERSIONS.length == length)
    first, stop = connection.execute(query, {"channel": channel_id}).one()
    return None if first is None else (int(first), int(stop))


def touched(connection: Connection, first: int) -> dict[tuple[int, int], int]:
    """Return channel, length and second from which on files loaded at or after a position tell something. [s, UTC s]"""
    query = (
        select(_VERSIONS.channel_id, _VERSIONS.length, func.min(_VERSIONS.start))
        .where(_VERSIONS.position >= first, _VERSIONS.made_by == outside.MADE_BY)
        .group_by(_VERSIONS.channel_id, _VERSIONS.length)
    )
    return {(row[0], row[1]): int(row[2]) for row in connection.execute(query)}
