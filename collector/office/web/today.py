"""The first screen: the next thing to do, agents, meters."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from collector.intake.intake import Counters
from collector.intake.silence import OVERDUE
from collector.office.api import agents, releases
from collector.office.api.agents import Agent
from collector.office.web import fleet
from collector.office.web.fleet import Heard
from collector.office.web.words import age, clock, local, spans
from collector.store.schema import agent as heard
from collector.store.schema import finding

MOST = 500
MOST_TODO = 12
SILENT_AFTER = OVERDUE // 1_000_000  # [s]


@dataclass(frozen=True, slots=True)
class Todo:
    """One thing that waits for a person, and the command that does it."""

    text: str
    command: str = ""


def view(connection: Connection, now: int, passed: Counters | None) -> dict[str, object]:
    """Return what the screen shows. now: [UTC us]"""
    seconds = now // 1_000_000
    everyone, meters = agents.everyone(connection, MOST), fleet.meters(connection, MOST)
    last = _last(connection)
    silent = [one for one in everyone if _silent(one, last, seconds)]
    quiet = [one for one in meters if one.silent(seconds)]
    mute = {one.agent for one in silent}  # whose meters are silent with them
    found = _findings(connection)
    zones = fleet.zones(connection, [one.agent for one in everyone])
    return {
        "todo": _todo(everyone, silent, [one for one in quiet if one.agent not in mute], found),
        "tiles": _tiles(connection, everyone, silent, meters, quiet, found, passed),
        "agents": [_agent(one, last, seconds, zones) for one in everyone],
        "meters": [_meter(one, seconds) for one in sorted(meters, key=lambda one: (not one.silent(seconds), one.name))],
    }  # fmt: skip


def _last(connection: Connection) -> dict[str, int]:
    """Return when each agent was heard last. [UTC s]"""
    rows = connection.execute(select(heard.c.agent, heard.c.last_at).where(heard.c.last_at.is_not(None)))
    return {agent: int(at) // 1_000_000 for agent, at in rows if at is not None}


def _silent(one: Agent, last: dict[str, int], now: int) -> bool:
    return one.state == "approved" and now - last.get(one.agent, 0) > SILENT_AFTER


def _findings(connection: Connection) -> dict[str, int]:
    query = select(finding.c.severity, func.count()).where(finding.c.resolved_position.is_(None))
    return {severity: int(count) for severity, count in connection.execute(query.group_by(finding.c.severity))}


def _todo(
    everyone: Sequence[Agent], silent: Sequence[Agent], quiet: Sequence[Heard], found: dict[str, int]
) -> list[Todo]:
    asking = [(one, key) for one in everyone for key in one.keys if key.state == "pending"]
    frozen = [one for one in everyone if one.frozen]
    todo = [
        Todo(
            f"{one.agent} of site {one.site} asks to be enrolled; compare the fingerprint {key.fingerprint}, approve",
            f"wattseal collector agents approve {one.agent}",
        )
        for one, key in asking
    ]
    todo += [
        Todo(f"{one.agent} has sealed two batches in one place; its chain is frozen until a person decides")
        for one in frozen
    ]
    todo += [Todo(f"{one.agent} of site {one.site} is silent; look at its gateway and its link") for one in silent]
    todo += [Todo(f"meter {one.name} gives no registers; look at its bus and its supply") for one in quiet]
    blocking = found.get("E", 0)
    if blocking:
        many = f"{blocking} open findings block" if blocking > 1 else "1 open finding blocks"
        todo.append(Todo(f"{many} a final release; see Findings"))
    rest = len(todo) - MOST_TODO
    return todo if rest <= 0 else [*todo[:MOST_TODO], Todo(f"and {rest} more")]


def _tiles(
    connection: Connection, everyone: Sequence[Agent], silent: Sequence[Agent], meters: Sequence[Heard],
    quiet: Sequence[Heard], found: dict[str, int], passed: Counters | None,
) -> list[dict[str, object]]:  # fmt: skip
    newest = releases.read(connection, 1)
    tiles: list[tuple[str, object, str]] = [
        ("Agents", len(everyone), f"{len(silent)} silent"),
        ("Meters", len(meters), f"{len(quiet)} silent"),
        ("Open findings", sum(found.values()), f"{found.get('E', 0)} block, {found.get('W', 0)} ask"),
        ("Batches waiting", sum(one.waiting for one in everyone), "for their predecessors"),
        ("Latest release", newest[0].number if newest else "none", newest[0].kind if newest else "yet"),
    ]
    if passed is not None:
        tiles.append(("Received", passed.received, f"{passed.stored} stored, {passed.refused} refused since start"))
    return [{"name": name, "figure": figure, "word": word} for name, figure, word in tiles]


def _agent(one: Agent, last: dict[str, int], now: int, zones: dict[str, str]) -> dict[str, object]:
    at, zone = last.get(one.agent), zones.get(one.agent)
    word, tone = _state(one, last, now)
    return {
        "agent": one.agent, "site": one.site, "zone": local(now, zone) if zone else "", "word": word, "tone": tone,
        "heard": "never" if at is None else age(now - at), "heard_at": "" if at is None else clock(at),
        "seq": next((head.seq for head in one.chains if head.epoch == one.epoch), 0), "waiting": one.waiting,
        "missing": spans(one.missing), "refused": one.refused,
        "mark": " ".join(one.keys[-1].fingerprint.split()[:3]) + " …" if one.keys else "",
    }  # fmt: skip


def _state(one: Agent, last: dict[str, int], now: int) -> tuple[str, str]:
    if one.frozen:
        return "frozen", "bad"
    if one.state != "approved":
        return one.state, "warn" if one.state == "pending" else ""
    if one.presence is not None and one.presence.rolled_back:
        return "old image", "bad"
    if one.agent not in last:
        return "not heard yet", "warn"
    return ("silent", "bad") if _silent(one, last, now) else ("sending", "good")


def _meter(one: Heard, now: int) -> dict[str, object]:
    silent = one.silent(now)
    return {
        "site": one.site, "meter": one.meter, "agent": one.agent, "word": "silent" if silent else "reading",
        "tone": "bad" if silent else "good", "ended": "never" if one.ended is None else age(now - one.ended),
        "ended_at": "" if one.ended is None else clock(one.ended),
    }  # fmt: skip
