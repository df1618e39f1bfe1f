"""Agents: who they are, when they were heard, and what lacks of their chains."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from sqlalchemy import Connection, func, select, union

from collector.intake import presence, receipts
from collector.office.answers import Answer, Whole, moment, moment_or_none
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import AgentInPath, SiteFilter
from collector.store.schema import agent as heard
from collector.store.schema import chain, keyring, parked, quarantine
from shared.keys import b64url, fingerprint

router = APIRouter(prefix="/agents", tags=["agents"])
State = Literal["pending", "approved", "revoked"]
KeyState = Literal["pending", "approved", "announced", "rotated", "revoked"]


class AgentKey(Answer):
    """A signing key of an agent."""

    kid: str
    fingerprint: str
    state: KeyState
    assurance: str
    requested_at: str
    enrolment_position: Whole | None
    revoked_position: Whole | None


class Chain(Answer):
    """The newest known place of one epoch."""

    epoch: str
    kid: str
    seq: Whole
    hash: str
    state: Literal["open", "held", "frozen"]
    first_position: Whole
    last_position: Whole
    started_at: str


class Presence(Answer):
    """What an agent says of itself at the broker, unsigned: an early sign, and no proof."""

    connected: bool
    changed_at: str
    head: Whole | None
    software: str | None
    clones: Whole
    rolled_back: bool


class Agent(Answer):
    """An agent; `waiting` batches are here whose predecessors (`missing`) are not."""

    agent: str
    site: str
    state: State
    keys: list[AgentKey]
    last_at: str | None
    epoch: str | None
    frozen: bool
    chains: list[Chain]
    waiting: int
    missing: list[tuple[int, int]]
    refused: int
    presence: Presence | None


@router.get("")
def agents(office: Office, cut: Cutting, site: SiteFilter = None) -> Page[Agent]:
    """Return the agents by name."""
    with office.store.read() as connection:
        names = _names(connection, cut.after(""), cut.wanted, site)
        return cut.page(read(connection, names), lambda one: one.agent)


@router.get("/{agent}")
def one_agent(office: Office, agent: AgentInPath) -> Agent:
    """Return one agent."""
    with office.store.read() as connection:
        found = read(connection, [agent])
    if not found:
        raise absent(f"no agent {agent!r}; see /v1/agents")
    return found[0]


def _names(connection: Connection, after: str, most: int, site: str | None) -> list[str]:
    keyed = select(keyring.c.agent.label("agent"), keyring.c.site.label("site")).where(keyring.c.role == "agent")
    known = union(keyed, select(heard.c.agent, heard.c.site)).subquery()
    query = select(known.c.agent).where(known.c.agent > after).distinct().order_by(known.c.agent).limit(most)
    query = query if site is None else query.where(known.c.site == site)
    return list(connection.execute(query).scalars())


def everyone(connection: Connection, most: int) -> list[Agent]:
    """Return the first agents by name."""
    return read(connection, _names(connection, "", most, None))


def read(connection: Connection, names: Sequence[str]) -> list[Agent]:
    """Return what is known of some agents, in the order of their names; those unknown are left out."""
    keys, chains = _keys(connection, names), _chains(connection, names)
    last = {row.agent: row for row in connection.execute(select(heard).where(heard.c.agent.in_(names)))}
    sites = _sites(connection, names)
    waiting, refused, here = _waiting(connection, names), _refused(connection, names), presence.every(connection)
    return [
        Agent(
            agent=name, site=sites[name], state=_state(keys[name]), keys=keys[name],
            last_at=moment_or_none(last[name].last_at) if name in last else None,
            epoch=last[name].epoch if name in last else None,
            frozen=any(one.state == "frozen" for one in chains[name]), chains=chains[name],
            waiting=waiting.get(name, 0), refused=refused.get(name, 0),
            missing=_missing(connection, name, last[name].epoch, chains[name]) if name in waiting else [],
            presence=_presence(here.get(name)),
        )
        for name in sorted(sites)
    ]  # fmt: skip


def _presence(found: presence.Present | None) -> Presence | None:
    if found is None:
        return None
    return Presence(
        connected=found.connected, changed_at=moment(found.changed_at), head=found.head, software=found.software,
        clones=found.clones, rolled_back=found.fell_below is not None,
    )  # fmt: skip


def _sites(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for table in (keyring, heard):
        rows = connection.execute(select(table.c.agent, table.c.site).where(table.c.agent.in_(names)))
        found |= {row.agent: row.site for row in rows}
    return found


def _keys(connection: Connection, names: Sequence[str]) -> dict[str, list[AgentKey]]:
    found: dict[str, list[AgentKey]] = defaultdict(list)
    query = select(keyring).where(keyring.c.agent.in_(names), keyring.c.role == "agent")
    for row in connection.execute(query.order_by(keyring.c.requested_at, keyring.c.kid)):
        key = AgentKey(
            kid=row.kid, fingerprint=fingerprint(row.kid), state=row.state, assurance=row.assurance,
            requested_at=moment(row.requested_at), enrolment_position=row.enrolment_position,
            revoked_position=row.revoked_position,
        )  # fmt: skip
        found[row.agent].append(key)
    return found


def _state(keys: Sequence[AgentKey]) -> State:
    """Return the best state among keys: one that may speak makes the agent approved."""
    states = {str(one.state) for one in keys}
    order: tuple[State, ...] = ("approved", "pending", "revoked")
    return next((one for one in order if one in states), "revoked")


def _chains(connection: Connection, names: Sequence[str]) -> dict[str, list[Chain]]:
    found: dict[str, list[Chain]] = defaultdict(list)
    query = select(chain).where(chain.c.agent.in_(names)).order_by(chain.c.last_position.desc())
    for row in connection.execute(query):
        head = Chain(
            epoch=row.epoch, kid=row.kid, seq=row.seq, hash=b64url(bytes(row.hash)), state=row.state,
            first_position=row.first_position, last_position=row.last_position, started_at=moment(row.started_at),
        )  # fmt: skip
        found[row.agent].append(head)
    return found


def _waiting(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    query = select(parked.c.agent, func.count()).where(parked.c.agent.in_(names)).group_by(parked.c.agent)
    return {agent: int(count) for agent, count in connection.execute(query)}


def _refused(connection: Connection, names: Sequence[str]) -> dict[str, int]:
    topic = quarantine.c.agent_topic
    query = select(topic, func.count()).where(topic.in_(names)).group_by(topic)
    return {agent: int(count) for agent, count in connection.execute(query) if agent is not None}


def _missing(connection: Connection, agent: str, epoch: str, chains: Sequence[Chain]) -> list[tuple[int, int]]:
    """Return the spans of sequences that lack in an epoch; all before what waits where its first is not here."""
    seq = next((one.seq for one in chains if one.epoch == epoch), 0)
    return list(receipts.missing(connection, agent, epoch, seq))
