"""Meters and when each gave a register last; the zones in which sites live."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection, func, select

from collector.series.codec import RAW, unpack
from collector.store.schema import channel, ledger, ledger_bytes, raw_segment
from collector.store.schema import meter as assignment
from shared import envelope, strictjson
from shared.errors import TrustError

#: Three intervals, and the time in which a batch may be sealed and sent. [s]
PATIENCE = 3
SEALING = 900
#: How far back a meter is looked for that gives nothing. [segments]
LOOK_BACK = 1000


@dataclass(frozen=True, slots=True)
class Heard:
    """A meter, and the newest boundary at which one of its registers is known."""

    site: str
    meter: str
    agent: str
    ended: int | None  # [UTC s]
    length: int  # [s]

    @property
    def name(self) -> str:
        """Return `site/meter`."""
        return f"{self.site}/{self.meter}"

    def silent(self, now: int) -> bool:
        """Return whether a register is overdue. now: [UTC s]"""
        return self.ended is None or now - self.ended > PATIENCE * self.length + SEALING


def meters(connection: Connection, most: int) -> list[Heard]:
    """Return the meters by site and name."""
    ends = _ends(connection)
    query = select(assignment.c.site, assignment.c.meter, assignment.c.agent).order_by(assignment.c.id)
    owners = {(row.site, row.meter): row.agent for row in connection.execute(query)}  # the newest assignment stays
    return [Heard(*key, owners[key], *ends.get(key, (None, 0))) for key in sorted(owners)[:most]]


def _ends(connection: Connection) -> dict[tuple[str, str], tuple[int | None, int]]:
    newest = (
        select(raw_segment.c.channel_id, func.max(raw_segment.c.start).label("start"))
        .group_by(raw_segment.c.channel_id)
        .subquery()
    )
    same = (newest.c.channel_id == raw_segment.c.channel_id) & (newest.c.start == raw_segment.c.start)
    segment = raw_segment.c
    columns = (channel.c.id, channel.c.site, channel.c.meter, segment.start, segment.length, segment.blob)
    query = select(*columns).join(newest, same).join(channel, channel.c.id == segment.channel_id)
    found: dict[tuple[str, str], tuple[int | None, int]] = {}
    for row in connection.execute(query).all():
        before, length = found.get((row.site, row.meter), (None, row.length))
        end = _end(row.start, row.length, row.blob) or _earlier(connection, row.id, row.start)
        ends = [one for one in (before, end) if one is not None]
        found[row.site, row.meter] = (max(ends, default=None), max(length, row.length))
    return found


def _end(start: int, length: int, blob: bytes) -> int | None:
    records = unpack(blob, RAW)
    known = np.flatnonzero((records["known"] != 0) & (records["until"] == 0))
    return None if len(known) == 0 else start + int(known[-1]) * length


def _earlier(connection: Connection, channel_id: int, before: int) -> int | None:
    """Return the newest known boundary of a channel that has given nothing for long. [UTC s]"""
    query = (
        select(raw_segment.c.start, raw_segment.c.length, raw_segment.c.blob)
        .where(raw_segment.c.channel_id == channel_id, raw_segment.c.start < before)
        .order_by(raw_segment.c.start.desc())
        .limit(LOOK_BACK)
    )
    ends = (_end(row.start, row.length, row.blob) for row in connection.execute(query))
    return next((one for one in ends if one is not None), None)


def zones(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Return the time zone of each agent's site, as its newest signed configuration says."""
    newest = (
        select(func.max(ledger.c.position))
        .where(ledger.c.agent.in_(names), ledger.c.kind == "config", ledger.c.state == "admitted")
        .group_by(ledger.c.agent)
    )
    query = (
        select(ledger.c.agent, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.position.in_(newest))
    )
    read = {agent: _zone(text) for agent, text in connection.execute(query) if agent is not None}
    return {agent: zone for agent, zone in read.items() if zone is not None}


def _zone(text: str) -> str | None:
    try:
        members = strictjson.loads(envelope.payload(envelope.apart(text)))
    except TrustError:  # admitted by other rules than this version knows: there is just no zone to show
        return None
    body = members.get("body") if isinstance(members, dict) else None
    settings = body.get("settings") if isinstance(body, dict) else None
    zone = settings.get("timezone") if isinstance(settings, dict) else None
    return zone if isinstance(zone, str) and len(zone) < 64 else None
