"""What waits for its turn when a key hands over: the rightful batch is taken, the other one refused, in any order."""

import json
from itertools import permutations

import pytest
from sqlalchemy import func, select

from collector.intake import enrol, keyring
from collector.store.engine import Store
from collector.store.schema import ledger, parked, quarantine
from shared import envelope
from tests.chain.test_agent_rotation import rotated
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent


def forged(agent: LittleAgent, seq: int, prev: str, old: object) -> str:
    """Return a batch by the old key in a place that is not its own."""
    new, agent.signer = agent.signer, old  # type: ignore[assignment] # a signer of the test
    text = agent.seal("heartbeat", None, seq=seq, prev=envelope.digest(prev), created=7)
    agent.texts.pop()
    agent.signer = new
    return text


def counted(store: Store) -> tuple[list[tuple[int, str]], int, list[str]]:
    """Return the admitted places, how many batches wait, and why others were refused."""
    with store.read() as connection:
        rows = connection.execute(select(ledger.c.seq, ledger.c.state).where(ledger.c.typ == "batch"))
        waiting = connection.execute(select(func.count()).select_from(parked)).scalar_one()
        return [(row.seq, row.state) for row in rows], waiting, list(
            connection.execute(select(quarantine.c.reason)).scalars()
        )  # fmt: skip


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_batch_of_the_old_key_that_waits_beyond_the_hand_over_is_refused_when_its_time_comes(
    store: Store, order: tuple[int, ...]
) -> None:
    centre = Centre(store)
    agent = centre.agent()
    old = rotated(agent)  # batch 2
    for _ in range(3):
        agent.heartbeat()  # 3, 4, 5
    bad = forged(agent, 5, agent.texts[3], old)
    first, rest = agent.texts[0], [agent.texts[4], bad, "\n".join(agent.texts[1:4])]
    centre.take(first)
    for at in order:
        centre.take(*rest[at].split("\n"))
    centre.take(agent.texts[4])  # an agent without a receipt sends it again
    places, waiting, reasons = counted(store)
    assert (places, waiting) == ([(seq, "admitted") for seq in range(1, 6)], 0)
    assert [one for one in reasons if one != "unknown_key"] == ["wrong_identity"]


def test_a_key_is_judged_as_the_database_has_it_and_not_as_this_program_knew_it(store: Store) -> None:
    centre = Centre(store)
    other = Centre(store, centre.signer)  # a second program on the same database, which takes the hand-over
    agent = centre.agent()
    centre.take(agent.texts[0])
    old = rotated(agent)  # batch 2
    agent.heartbeat()
    bad = forged(agent, 3, agent.texts[1], old)
    assert [one.verdict for one in other.take(agent.texts[1]).outcomes] == ["stored"]
    taken = centre.take(bad, agent.texts[2])
    assert [(one.verdict, one.reason) for one in taken.outcomes] == [("refused", "wrong_identity"), ("stored", None)]
    enrol.revoke(store, other.log, agent="dc1-gw1", by="anna", now=other.clock.wall())
    assert [one.reason for one in centre.take(agent.heartbeat()).outcomes] == ["revoked"]
    assert counted(store)[0] == [(1, "admitted"), (2, "admitted"), (3, "admitted")]


def test_what_waits_when_its_key_is_revoked_is_never_taken(store: Store) -> None:
    centre = Centre(store)
    agent = centre.agent()
    agent.heartbeat()
    rotated(agent)
    agent.heartbeat()
    centre.take(agent.texts[0], *agent.texts[2:])  # one lacks before the hand-over: it waits, and names its successor
    assert counted(store)[1] == 2
    enrol.revoke(store, centre.log, agent="dc1-gw1", by="anna", now=centre.clock.wall())
    with store.read() as connection:
        assert [one.state for one in keyring.listed(connection)] == ["revoked", "revoked"]
    assert [one.reason for one in centre.take(*agent.texts[1:]).outcomes] == ["revoked"] * 3
    assert [seq for seq, _ in counted(store)[0]] == [1]


def test_two_hand_overs_in_flight_at_once_follow_each_other(store: Store) -> None:
    centre = Centre(store)
    agent = centre.agent()
    for _ in range(2):
        rotated(agent)
    agent.heartbeat()
    for text in reversed(agent.texts):
        centre.take(text)
    for text in reversed(agent.texts):  # what was signed by a key of which nobody had heard comes again
        centre.take(text)
    for text in agent.texts:
        centre.take(text)
    assert [seq for seq, _ in counted(store)[0]] == [1, 2, 3, 4]
    with store.read() as connection:
        turns = [(one.state, one.agent) for one in keyring.listed(connection)]
    assert json.dumps(sorted(turns)).count("rotated") == 2
