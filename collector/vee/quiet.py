"""Points and gateways that have fallen quiet, as findings: only the clock can say that something is overdue.

Rules of this file: a quiet gateway is one finding, not one for each of its channels; what is back settles its finding;
nothing is written where nothing has changed.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from sqlalchemy import Connection, bindparam, func, insert, select, update

from collector.intake.log import Log
from collector.series import channels, meters
from collector.series.channels import Channel
from collector.series.codec import RAW, unpack
from collector.store.engine import Store
from collector.store.schema import agent, finding, keyring, raw_segment
from collector.vee import parameters_log
from collector.vee.marks import stamp
from collector.vee.parameters import Parameters
from collector.vee.policy import Policy, policies
from collector.vee.rules.c4_silence import Silence
from collector.vee.series import Severity
from shared.clock import Clock

NAME = "quiet"
_US = 1_000_000
_LAST = (
    select(raw_segment.c.start, raw_segment.c.length, raw_segment.c.blob)
    .where(raw_segment.c.channel_id == bindparam("channel"))
    .order_by(raw_segment.c.start.desc(), raw_segment.c.id.desc())
    .limit(1)
)
Key = tuple[int | None, str | None, str]  # channel, agent, severity


@dataclass(frozen=True, slots=True)
class Overdue:
    """One that is quiet."""

    channel: Channel | None
    agent: str | None
    severity: Severity
    since: int  # [UTC s]
    limit: int  # [s]

    @property
    def key(self) -> Key:
        """Return what makes it the same finding at the next look."""
        return (None if self.channel is None else self.channel.id), self.agent, self.severity

    def text(self, now: int) -> str:
        """Return it as a person reads it. [UTC s]"""
        hours = f"{(now - self.since) / 3600:.1f} h"
        if self.channel is None:
            return (
                f"Gateway {self.agent} has been quiet for {hours}, since {stamp(self.since)}; look at its power and "
                "network; what it sealed comes once it is back."
            )
        return (
            f"Nothing has come of {self.channel.name} for {hours}, since {stamp(self.since)}, though its gateway "
            "speaks; look at the meter and its line, or say with [[use]] in rules.toml that it is out of use."
        )


@dataclass(frozen=True, slots=True)
class Quiet:
    """Looks who is quiet."""

    store: Store
    log: Log
    clock: Clock

    def look(self) -> int:
        """Return how many are quiet, having written down what has changed.

        Raises:
            StoreError: the database refuses; nothing has changed.
        """
        now = self.clock.wall() // _US
        with self.store.read() as connection:
            found = list(self._overdue(connection, now))
            standing = _open(connection)
        if {one.key for one in found} != standing.keys():
            with self.store.write() as connection:
                self._write(connection, found, now)
        return len(found)

    def _overdue(self, connection: Connection, now: int) -> Iterator[Overdue]:
        size = self.log.size(connection)
        if not size:
            return
        set_ = parameters_log.read(connection, size)
        gateways = {one.agent: one for one in _gateways(connection, now) if one.agent is not None}
        yield from gateways.values()
        assigned = [meters.Assignment(site, meter, name, since, rank, 0, by_record=True)
                    for site, meter, names, since in meters.assigned(connection)
                    for rank, name in enumerate(names)]  # fmt: skip
        speaking = _speaking(assigned, now)
        known = policies(connection, size)
        for channel in channels.every(connection):
            agents = speaking.get((channel.site, channel.meter), ())
            if agents and not all(name in gateways for name in agents):
                yield from _channel(connection, channel, known.get((channel.site, channel.meter), Policy()), set_, now)

    def _write(self, connection: Connection, found: Iterable[Overdue], now: int) -> None:
        """Settle what is over, and add what is new."""
        position, wanted, standing = self.log.size(connection) - 1, {one.key: one for one in found}, _open(connection)
        gone = [number for key, number in standing.items() if key not in wanted]
        if gone:
            settled = update(finding).where(finding.c.id.in_(gone)).values(resolved_position=position)
            connection.execute(settled)
        fresh = [_row(one, now, position) for key, one in wanted.items() if key not in standing]
        if fresh:
            connection.execute(insert(finding), fresh)


def _row(one: Overdue, now: int, position: int) -> dict[str, Any]:
    return {
        "channel_id": one.key[0], "agent": one.agent, "meter": None if one.channel is None else one.channel.meter,
        "rule": "C4", "severity": one.severity, "start": one.since, "stop": None, "observed": now - one.since,
        "limit_": one.limit, "text": one.text(now), "made_by": NAME, "position": position, "rule_version": 1,
    }  # fmt: skip


def _open(connection: Connection) -> dict[Key, int]:
    query = select(finding.c.id, finding.c.channel_id, finding.c.agent, finding.c.severity)
    rows = connection.execute(query.where(finding.c.made_by == NAME, finding.c.resolved_position.is_(None)))
    return {(row.channel_id, row.agent, row.severity): row.id for row in rows}


def _gateways(connection: Connection, now: int) -> Iterator[Overdue]:
    """Give the approved gateways that have been heard once and are quiet; heartbeats come every five minutes."""
    limits = Silence()
    approved = select(keyring.c.agent).where(keyring.c.role == "agent", keyring.c.state == "approved")
    query = select(agent.c.agent, func.max(agent.c.last_at).label("last_at")).where(agent.c.agent.in_(approved))
    for row in connection.execute(query.group_by(agent.c.agent).order_by(agent.c.agent)):
        if row.last_at is not None:
            yield from _judged(None, row.agent, int(row.last_at) // _US, limits, 300, now)


def _speaking(assigned: Iterable[meters.Assignment], now: int) -> dict[tuple[str, str], tuple[str, ...]]:
    rows: dict[tuple[str, str], list[meters.Assignment]] = {}
    for one in assigned:
        rows.setdefault((one.site, one.meter), []).append(one)
    return {place: meters.in_force(own, now) for place, own in rows.items()}


def _channel(
    connection: Connection, channel: Channel, policy: Policy, set_: Parameters, now: int
) -> Iterator[Overdue]:  # fmt: skip
    """Give a channel if it is quiet; what the site has set for C4 holds."""
    row = connection.execute(_LAST, {"channel": channel.id}).one_or_none()
    if row is None:
        return
    known = np.flatnonzero(unpack(row.blob, RAW)["known"])
    since = int(row.start) + row.length * (int(known[-1]) if len(known) else 0)
    settings = set_.settings(channel.site, policy.role, channel.meter, channel.quantity).get("C4", [])
    setting = next((one for one in reversed(settings) if one.since <= now), None)
    limits = setting.limits if setting is not None and isinstance(setting.limits, Silence) else Silence()
    if (setting is None or setting.on) and set_.in_use(channel.site, channel.meter, now):
        yield from _judged(channel, None, since, limits, row.length, now)


def _judged(
    channel: Channel | None, name: str | None, since: int, limits: Silence, length: int, now: int
) -> Iterator[Overdue]:  # fmt: skip
    soft = limits.warns(length)
    if now - since > limits.fail_s:
        yield Overdue(channel, name, "E", since, limits.fail_s)
    elif now - since > soft:
        yield Overdue(channel, name, "W", since, soft)
