"""A storm: every gateway of a fleet comes back at once with what waited (facts/trust.md, test 36)."""

import os
import random
import time
from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import func, select

from collector.intake.fair import FairQueue
from collector.intake.intake import GROUP, SHARE, SHARE_BYTES, Intake, Message
from collector.store.engine import Store
from collector.store.schema import ledger
from shared import topics
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, reads

AGENTS = int(os.environ.get("WATTSEAL_AGENTS", "5000"))
START = 1_772_460_000
EACH = 4  # batches of one gateway, its configuration included


class Fleet:
    """Gateways with what waited at each."""

    def __init__(self, centre: Centre, count: int) -> None:
        self.centre = centre
        self.agents = {name: centre.agent(name) for name in (f"gw{number}" for number in range(count))}
        for number, agent in enumerate(self.agents.values()):
            for at in range(EACH - 1):
                start = START + at * 300
                agent.seal("intervals", reads(start, [number + at, number + at + 1], meter=f"m{number}"))

    def messages(self, chance: random.Random, done: Callable[[str], None]) -> list[Message]:
        """Return everything that waits, each gateway's in its order and the gateways in any."""
        turns = [agent for agent in self.agents.values() for _ in agent.texts]
        chance.shuffle(turns)
        rest = {agent.agent: iter(agent.texts) for agent in self.agents.values()}
        return [
            Message(topics.batch(one.agent), next(rest[one.agent]).encode(), partial(done, one.agent)) for one in turns
        ]


def storm(fleet: Fleet, chance: random.Random) -> tuple[float, list[float]]:
    """Return how long it took until all was durable and acknowledged, and when each gateway's last receipt came. [s]"""
    queue: FairQueue[Message] = FairQueue(SHARE, SHARE_BYTES)
    told: dict[str, float] = {}
    begin = time.perf_counter()

    def publish(topic: str, text: str) -> bool:
        agent = fleet.agents[topics.agent_of(topic)]
        if len(receipts.setdefault(agent.agent, [])) < EACH:
            receipts[agent.agent].append(text)
        told[agent.agent] = time.perf_counter() - begin
        return True

    receipts: dict[str, list[str]] = {}
    intake = Intake(fleet.centre.ledger, publish, lambda: True)
    for one in fleet.messages(chance, lambda _: None):
        assert queue.put(one.agent, one, len(one.octets))
    while queue:
        intake.turn(queue.take(GROUP))
    seconds = time.perf_counter() - begin
    for name, texts in receipts.items():
        assert fleet.agents[name].believe(texts[-1]).acked_seq == EACH
    return seconds, sorted(told.values())


def hold(store: Store, count: int, seed: int) -> None:
    """Let a fleet come back, hold that nothing is lost, and tell how long it took."""
    fleet = Fleet(Centre(store), count)
    seconds, told = storm(fleet, random.Random(seed))
    query = select(ledger.c.state, func.count()).where(ledger.c.typ == "batch").group_by(ledger.c.state)
    with store.read() as connection:
        assert [tuple(row) for row in connection.execute(query)] == [("admitted", count * EACH)]
    late = told[len(told) * 99 // 100]
    print(
        f"\n{count} agents, {count * EACH} batches: {seconds:.1f} s, {count * EACH / seconds:.0f}/s, p99 {late:.1f} s"
    )


def test_a_fleet_comes_back_at_once(store: Store) -> None:
    hold(store, 40, 1)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_large_fleet_comes_back_at_once(store: Store) -> None:
    hold(store, AGENTS, 2)


def test_a_mad_agent_gets_its_share_and_no_more(store: Store) -> None:
    centre = Centre(store)
    fleet, mad = Fleet(centre, 10), centre.agent("mad")
    for _ in range(3 * SHARE):
        mad.heartbeat()
    queue: FairQueue[Message] = FairQueue(SHARE, SHARE_BYTES)
    order: list[str] = []

    def publish(topic: str, _text: str) -> bool:
        order.append(topics.agent_of(topic))
        return True

    intake = Intake(centre.ledger, publish, lambda: True)
    flood = [Message(topics.batch("mad"), text.encode(), lambda: None) for text in mad.texts]
    assert sum(queue.put("mad", one, len(one.octets)) for one in flood) == SHARE
    for one in fleet.messages(random.Random(3), lambda _: None):
        assert queue.put(one.agent, one, len(one.octets))
    intake.turn(queue.take(GROUP))  # in the first group already, everyone else is served
    assert {name for name in order if name != "mad"} == set(fleet.agents)
    while queue:
        intake.turn(queue.take(GROUP))
    again = _texts_not_there(store, mad)
    assert len(again) == len(mad.texts) - SHARE  # neither parked nor lost: they come again
    for at in range(0, len(again), SHARE):
        centre.take(*again[at : at + SHARE])
    assert _texts_not_there(store, mad) == []


def _texts_not_there(store: Store, agent: LittleAgent) -> list[str]:
    query = select(func.max(ledger.c.seq)).where(ledger.c.agent == agent.agent)
    with store.read() as connection:
        return agent.texts[int(connection.execute(query).scalar_one()) :]
