"""Which agents speak for a meter, and since when.

A `meters` record says so: body {"meters": [{"site", "meter", "agents": [...], "from": UTC s}, ...]}, each entry
in force from its instant on until a later one. Several agents may read one meter: the first of them is preferred at
each boundary, the others stand in. Until somebody has loaded one, the first agent of a site that speaks
for a meter has it; that is written down like everything else, and visible.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from collector.intake import records
from collector.store.schema import meter
from shared.batch import NAME
from shared.errors import Malformed

Place = tuple[str, str]
#: Stands where an agent would for a meter that another's file speaks for: no agent can bear this name.
FILES = "(files)"


@dataclass(frozen=True, slots=True)
class Assignment:
    """From an instant on, a meter belongs to an agent."""

    site: str
    meter: str
    agent: str
    since: int  # [UTC s]
    rank: int  # among the agents of the entry; 0 is preferred
    position: int
    by_record: bool


def body(entries: Iterable[tuple[str, str, tuple[str, ...], int]]) -> dict[str, object]:
    """Return the body of a `meters` record; an entry is (site, meter, agents, from)."""
    names = ("site", "meter", "agents", "from")
    return {"meters": [dict(zip(names, (site, name, list(agents), since), strict=True))
                       for site, name, agents, since in sorted(entries)]}  # fmt: skip


def decode(members: Mapping[str, Any], position: int) -> list[Assignment]:
    """Return the assignments of a record's body.

    Raises:
        Malformed: it is not written so.
    """
    try:
        return [
            _checked(entry, agent, rank, position)
            for entry in members["meters"]
            for rank, agent in enumerate(entry["agents"])
        ]
    except (KeyError, TypeError) as error:
        raise Malformed(f"not the body of a meters record: {error}") from error


def _checked(entry: Mapping[str, Any], agent: str, rank: int, position: int) -> Assignment:
    found = Assignment(entry["site"], entry["meter"], agent, entry["from"], rank, position, by_record=True)
    if not all(NAME.match(name) for name in (found.site, found.meter, agent)) or not isinstance(found.since, int):
        raise Malformed("a meters record holds something that is no name or no instant")
    return found


def in_force(rows: Iterable[Assignment], at: int) -> tuple[str, ...]:
    """Return the agents that speak for one meter at an instant, the preferred first. [UTC s]"""
    past = [one for one in rows if one.since <= at]
    if len(past) == 1:  # as nearly always
        return (past[0].agent,)
    newest = max(((one.since, one.position) for one in past), default=None)
    mine = sorted((one for one in past if (one.since, one.position) == newest), key=lambda one: one.rank)
    return tuple(one.agent for one in mine)


def assigned(connection: Connection) -> list[tuple[str, str, tuple[str, ...], int]]:
    """Return the entries that the series know: site, meter, agents with the preferred first, from. [UTC s]"""
    names = ("site", "meter", "since", "position", "rank", "agent")
    columns = [meter.c[name] for name in names]
    found: dict[tuple[str, str, int, int], list[str]] = {}
    for site, name, since, position, _, agent in connection.execute(select(*columns).order_by(*columns)):
        found.setdefault((site, name, since, position), []).append(agent)
    newest = {(site, name, since): tuple(agents) for (site, name, since, _), agents in sorted(found.items())}
    return [(site, name, agents, since) for (site, name, since), agents in newest.items()]


def recorded(connection: Connection, size: int) -> list[tuple[str, str, tuple[str, ...], int]]:
    """Return the entries of all `meters` records below a log size, the later of the same instant over the earlier."""
    newest: dict[tuple[str, str, int], list[str]] = {}
    for position, told in records.every(connection, "meters", size):
        entries: dict[tuple[str, str, int], list[str]] = {}
        for one in decode(told.body, position):
            entries.setdefault((one.site, one.meter, one.since), []).append(one.agent)
        newest |= entries
    return [(site, name, tuple(agents), since) for (site, name, since), agents in newest.items()]


class Table:
    """The assignments as one transaction sees and changes them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._rows: dict[Place, list[Assignment]] = {}
        names = tuple(Assignment.__dataclass_fields__)
        for row in connection.execute(select(*(meter.c[name] for name in names))).mappings():
            one = Assignment(**row)
            self._rows.setdefault((one.site, one.meter), []).append(one)

    def rank(self, site: str, name: str, agent: str, at: int, position: int) -> int | None:
        """Return the rank of an agent for a meter at an instant, None where it does not speak for it.

        The meter is given to it if nobody has it yet.
        """
        rows = self._rows.get((site, name))
        if rows is None:
            self.load([Assignment(site, name, agent, 0, 0, position, by_record=False)])
            return 0
        agents = in_force(rows, at)
        return agents.index(agent) if agent in agents else None

    def agents(self, site: str, name: str) -> list[str]:
        """Return all that were ever to speak for a meter."""
        return [one.agent for one in self._rows.get((site, name), [])]

    def load(self, assignments: Iterable[Assignment]) -> None:
        """Write assignments down."""
        for one in assignments:
            row = {name: getattr(one, name) for name in Assignment.__dataclass_fields__}
            self.connection.execute(insert(meter).values(**row))
            self._rows.setdefault((one.site, one.meter), []).append(one)
