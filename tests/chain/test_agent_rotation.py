"""A gateway changes its signing key: nothing is lost in any order, and each place believes only its key in force."""

import random
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import select

from agent.ship.courier import Courier
from agent.ship.window import Window
from collector.intake import adopt, enrol, keyring
from collector.intake.ledger import Taken
from collector.series import project
from collector.store.engine import Store, open_store
from collector.store.schema import finding, ledger
from shared import batch, envelope, keys, rotation
from shared.batch import Config, KeyRotate
from shared.keys import FileSigner
from shared.verify import Ring, export
from tests.chain.line import call
from tests.chain.pair import Pair
from tests.chain.test_restored_collector import copied, envelopes, restored
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent

SEED = 29


@pytest.fixture
def centre(store: Store) -> Centre:
    return Centre(store)


def rotated(agent: LittleAgent, following: FileSigner | None = None) -> FileSigner:
    """Hand over to a new key; return the old one."""
    old, new = agent.signer, following or keys.generate()
    agent.seal("key_rotate", rotation.handing_over(agent.agent, agent.epoch, len(agent.texts) + 1, new))
    agent.signer = new
    return old


def verdicts(taken: Taken) -> list[str]:
    return [f"{one.verdict} {one.reason or ''}".strip() for one in taken.outcomes]


def size(centre: Centre) -> int:
    with centre.store.read() as connection:
        return centre.log.size(connection)


def states(centre: Centre) -> dict[str, str]:
    with centre.store.read() as connection:
        return {one.kid: one.state for one in keyring.listed(connection)}


def test_the_next_batch_is_believed_by_the_next_key_and_nothing_is_approved(centre: Centre) -> None:
    agent = centre.agent()
    old = rotated(agent)
    agent.heartbeat()
    for text in agent.texts:
        assert verdicts(centre.take(text)) == ["stored"]
    assert states(centre) == {old.kid: "rotated", agent.signer.kid: "approved"}
    told = agent.believe(centre.take(agent.heartbeat()).receipts[0][1])
    assert told.acked_seq == 4


@pytest.mark.parametrize("order", ["in order", "reversed", "shuffled"])
def test_one_group_holds_both_keys_in_any_order(centre: Centre, order: str) -> None:
    agent = centre.agent()
    for _ in range(3):
        for _ in range(4):
            agent.heartbeat()
        rotated(agent)
    agent.heartbeat()
    texts = list(agent.texts)
    if order == "reversed":
        texts.reverse()
    elif order == "shuffled":
        random.Random(SEED).shuffle(texts)
    taken = centre.take(*texts)
    assert taken.stored == len(texts)
    assert agent.believe(taken.receipts[-1][1]).acked_seq == len(texts)


@pytest.mark.parametrize("seed", range(4))
def test_any_order_over_several_groups_ends_in_the_same_ledger(store: Store, seed: int) -> None:
    centre = Centre(store)
    agent, chance = centre.agent(), random.Random(seed)
    for _ in range(3):
        for _ in range(chance.randint(0, 6)):
            agent.heartbeat()
        rotated(agent)
    agent.heartbeat()
    texts = agent.texts + chance.choices(agent.texts, k=5)
    for _ in range(6):  # as an agent does that has no receipt
        chance.shuffle(texts)
        for first in range(0, len(texts), 4):
            taken = centre.take(*texts[first : first + 4])
            if chance.random() < 0.5:
                centre = Centre(store, centre.signer)  # a restart: nothing is remembered but the database
    assert agent.believe(taken.receipts[-1][1]).acked_seq == len(agent.texts)
    with store.read() as connection:
        rows = connection.execute(select(ledger.c.seq, ledger.c.state).where(ledger.c.typ == "batch")).all()
    assert [(row.seq, row.state) for row in rows] == [(seq, "admitted") for seq in range(1, len(agent.texts) + 1)]


def test_the_old_key_signs_nothing_after_its_turn(centre: Centre) -> None:
    agent = centre.agent()
    old = rotated(agent)
    centre.take(*agent.texts)
    before, new = size(centre), agent.signer
    agent.signer = old
    late = agent.heartbeat()
    taken = centre.take(late)
    assert (verdicts(taken), size(centre)) == (["refused wrong_identity"], before)
    agent.texts.pop()
    agent.signer = new
    told = agent.believe(centre.take(agent.heartbeat()).receipts[-1][1])
    assert told.acked_seq == 3
    assert [(one.hash, one.reason) for one in told.rejected] == [(envelope.digest(late), "wrong_identity")]


def test_the_old_key_opens_no_epoch_after_its_turn_and_the_new_one_does(centre: Centre) -> None:
    agent = centre.agent()
    old, head = rotated(agent), None
    agent.heartbeat()
    centre.take(*agent.texts)
    before, new, head = size(centre), agent.signer, agent.head
    agent.signer = old
    agent.begin(head)
    assert (verdicts(centre.take(*agent.texts)), size(centre)) == (["refused wrong_identity"], before)
    agent.signer = new
    agent.begin(head)
    agent.heartbeat()
    assert verdicts(centre.take(*agent.texts)) == ["stored", "stored"]
    with centre.store.read() as connection:
        assert set(connection.execute(select(ledger.c.state)).scalars()) == {"admitted"}


def test_an_epoch_by_the_new_key_that_names_no_predecessor_is_held(centre: Centre) -> None:
    agent = centre.agent()
    rotated(agent)
    centre.take(*agent.texts)
    agent.begin(None)
    (outcome,) = centre.take(*agent.texts).outcomes
    assert (outcome.verdict, outcome.state) == ("stored", "held")


def test_the_new_key_is_refused_at_places_before_the_hand_over(centre: Centre) -> None:
    agent = centre.agent()
    agent.heartbeat()
    prev = envelope.digest(agent.texts[0])
    rotated(agent)
    centre.take(*agent.texts)
    before = size(centre)
    forged = agent.seal("heartbeat", None, seq=2, prev=prev, created=1)
    assert (verdicts(centre.take(forged)), size(centre)) == (["refused wrong_identity"], before)
    agent.texts.pop()
    assert verdicts(centre.take(agent.heartbeat())) == ["stored"]


def test_a_key_that_is_only_announced_may_wait_but_not_speak(centre: Centre) -> None:
    agent = centre.agent()
    agent.heartbeat()
    rotated(agent)
    agent.heartbeat()
    first, second, handover, after = agent.texts
    assert verdicts(centre.take(first)) == ["stored"]
    assert verdicts(centre.take(handover)) == ["parked"]
    assert states(centre)[agent.signer.kid] == "announced"
    assert verdicts(centre.take(after)) == ["parked"]
    forged = agent.seal("heartbeat", None, seq=2, prev=envelope.digest(first), created=1)
    before = size(centre)
    assert (verdicts(centre.take(forged)), size(centre)) == (["refused wrong_identity"], before)
    assert centre.take(second).stored == 3
    assert states(centre)[agent.signer.kid] == "approved"


SPOILT = {
    "a proof by another key": lambda agent, new: KeyRotate(
        keys.jwk(new.verifier),
        rotation.handing_over(agent.agent, agent.epoch, len(agent.texts) + 1, keys.generate()).proof,
    ),
    "a proof for another place": lambda agent, new: rotation.handing_over(agent.agent, agent.epoch, 99, new),
    "a proof of another agent": lambda agent, new: rotation.handing_over(
        "dc1-gw9", agent.epoch, len(agent.texts) + 1, new
    ),
    "a key that is none": lambda agent, new: KeyRotate({"kty": "RSA"}, "x.y.z"),  # noqa: ARG005 - as the others
}


@pytest.mark.parametrize("kind", SPOILT)
def test_a_hand_over_without_proof_changes_no_key_and_is_a_finding(centre: Centre, kind: str) -> None:
    agent, new = centre.agent(), keys.generate()
    old = agent.signer
    agent.seal("key_rotate", SPOILT[kind](agent, new))
    (first, second) = centre.take(*agent.texts).outcomes
    assert (first.verdict, second.verdict, second.state) == ("stored", "stored", "admitted")
    assert "not proved itself" in (second.reason or "")
    assert states(centre) == {old.kid: "approved"}
    assert verdicts(centre.take(agent.heartbeat())) == ["stored"]
    agent.signer = new
    assert verdicts(centre.take(agent.heartbeat())) == ["refused unknown_key"]
    project.catch_up(centre.store)
    with centre.store.read() as connection:
        assert connection.execute(select(finding.c.rule, finding.c.severity)).all() == [("A1", "E")]


def test_nobody_takes_over_the_key_of_another_agent(centre: Centre) -> None:
    agent, other = centre.agent(), centre.agent("dc1-gw2")
    rotated(agent, other.signer)
    taken = centre.take(*agent.texts)
    assert "which is known already" in (taken.outcomes[1].reason or "")
    assert verdicts(centre.take(*other.texts)) == ["stored"]
    assert set(states(centre).values()) == {"approved"}
    assert len(states(centre)) == 2


def test_a_second_batch_in_the_place_of_the_hand_over_is_a_fork_that_is_kept(centre: Centre) -> None:
    agent = centre.agent()
    old = rotated(agent)
    centre.take(*agent.texts)
    agent.signer = old
    thief = agent.seal("heartbeat", None, seq=2, prev=envelope.digest(agent.texts[0]))
    (outcome,) = centre.take(thief).outcomes
    assert (outcome.verdict, outcome.state) == ("stored", "fork")


def test_a_hand_over_in_a_held_epoch_counts_once_a_person_lets_it_in(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    agent.begin(None)  # a restored image: it does not say what it continues
    old = rotated(agent)
    assert [one.state for one in centre.take(*agent.texts).outcomes] == ["held", "held"]
    assert verdicts(centre.take(agent.heartbeat())) == ["refused unknown_key"]
    adopt.adopt(centre.store, centre.log, agent="dc1-gw1", epoch=agent.epoch, by="anna", now=centre.clock.wall())
    assert states(centre) == {old.kid: "rotated", agent.signer.kid: "approved"}
    assert verdicts(centre.take(agent.texts[-1])) == ["stored"]


def test_a_revoked_agent_has_no_key_left(centre: Centre) -> None:
    agent = centre.agent()
    old = rotated(agent)
    centre.take(*agent.texts)
    enrol.revoke(centre.store, centre.log, agent="dc1-gw1", by="anna", now=centre.clock.wall())
    assert verdicts(centre.take(agent.heartbeat())) == ["refused revoked"]
    agent.texts.pop()
    agent.signer = old
    assert verdicts(centre.take(agent.heartbeat())) == ["refused revoked"]


def test_a_key_whose_turn_is_over_names_no_successor(centre: Centre) -> None:
    agent, rogue = centre.agent(), keys.generate()
    old = rotated(agent)
    centre.take(*agent.texts)
    before, honest = size(centre), list(agent.texts)
    agent.signer = old
    agent.heartbeat()
    rotated(agent, rogue)
    agent.heartbeat()
    assert verdicts(centre.take(*agent.texts[-2:])) == ["refused wrong_identity", "refused unknown_key"]
    assert (size(centre), rogue.kid in states(centre)) == (before, False)
    assert agent.texts[: len(honest)] == honest


# -- the agent's end -------------------------------------------------------------------------------------------------


def hand_over(pair: Pair) -> FileSigner:
    following = keys.generate()
    pair.sealer.rotate(following, {"signing": {"name": "signing-2", "kid": following.kid}})
    return following


def test_the_agent_sends_nothing_by_the_new_key_before_the_receipt_of_the_hand_over(
    tmp_path: Path, store: Store
) -> None:
    pair = Pair(tmp_path, Centre(store))
    courier = Courier(pair.outbox, pair.desk, pair.clock, Window(16, 30_000_000))
    pair.meters(5)
    hand_over(pair)
    pair.meters(40)
    first = list(courier.due())
    assert [batch.head(envelope.payload(envelope.apart(text))).kind for text in first][-1] == "key_rotate"
    assert len(first) == 7
    assert list(courier.due()) == []
    taken = pair.centre.take(*first)
    assert courier.take(taken.receipts[-1][1].encode())
    assert len(list(courier.due())) >= 16
    new = hand_over(pair)  # and while a backlog waits, nothing goes ahead of it either
    pair.meters(40)
    for _ in range(3):
        pair.clock.advance(60)
        assert all(envelope.apart(text).kid != new.kid for text in courier.due())
    pair.outbox.close()


def test_under_load_nothing_is_lost_and_an_auditor_believes_it_all(tmp_path: Path, store: Store) -> None:
    pair, chance = Pair(tmp_path, Centre(store)), random.Random(SEED)
    signers = [pair.signer]
    for _ in range(8):
        pair.meters(chance.randint(1, 30))
        signers.append(hand_over(pair))
        if chance.random() < 0.5:
            pair.ship()
    pair.meters(20)
    pair.ship()
    assert pair.outbox.count()["waiting"] == 0
    with store.read() as connection:
        rows = connection.execute(select(ledger.c.seq).where(ledger.c.typ == "batch", ledger.c.state == "admitted"))
        assert list(rows.scalars()) == list(range(1, len(pair.texts()) + 1))
    lines = [pair.outbox.enrolment() or "", *pair.texts()]
    collectors = {pair.centre.signer.kid: pair.centre.signer.verifier}
    report = export("x", lines, Ring({one.kid: one.verifier for one in signers}, collectors))
    assert (report.good, report.failures) == (True, [])
    assert any("8 changes of a signing key" in sentence for sentence in report.proved)
    less = export("x", lines, Ring({one.kid: one.verifier for one in signers[:-1]}, collectors))
    assert "no key is known" in less.failures[0]
    pair.outbox.close()


def test_an_auditor_refuses_a_key_out_of_turn(centre: Centre) -> None:
    agent = centre.agent()
    old = rotated(agent)
    new = agent.signer
    agent.signer = old
    agent.heartbeat()
    ring = Ring({one.kid: one.verifier for one in (old, new)}, {centre.signer.kid: centre.signer.verifier})
    report = export("x", [agent.enrolment, *agent.texts], ring)
    assert len(report.failures) == 1
    assert "batch 3 is not signed by the key in force there" in report.failures[0]


def test_an_auditor_follows_the_keys_over_epochs(centre: Centre) -> None:
    agent = centre.agent()
    first = list(agent.texts)
    old = rotated(agent)
    first = list(agent.texts)
    agent.begin(agent.head)
    second = list(agent.texts)
    ring = Ring({one.kid: one.verifier for one in (old, agent.signer)}, {centre.signer.kid: centre.signer.verifier})
    assert export("x", [agent.enrolment, *first, *second], ring).good
    alone = export("x", [agent.enrolment, *second], ring)
    assert alone.good
    assert any("follows the enrolled one; what says so is not here" in one for one in alone.unproved)
    untold = export("x", [agent.enrolment, *first[:1], *second], ring)
    assert "is not signed by the key of its enrolment" in untold.failures[0]
    assert isinstance(batch.decode(envelope.payload(envelope.apart(second[0]))).body, Config)
    assert all(a != b for a, b in pairwise(first))


def test_a_collector_from_an_old_backup_learns_the_keys_again(tmp_path: Path, migrated_sqlite: Path) -> None:
    folder = tmp_path / "collector"
    folder.mkdir()
    shutil.copy(migrated_sqlite, folder / "collector.db")
    centre = Centre(open_store("sqlite", folder))
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    again = copied(centre, tmp_path / "backup")
    for _ in range(3):
        hand_over(pair)
        pair.meters(5)
        pair.ship()
    assert pair.waiting == []
    late = again()
    restored(late)
    pair.connect(late)
    assert len(pair.waiting) == 18
    pair.meters(1)
    pair.ship(late)
    assert (pair.refused, pair.waiting) == ([], [])
    assert not set(pair.texts()) - envelopes(late)
    assert sorted(states(late).values()) == ["approved", "rotated", "rotated", "rotated"]
    pair.outbox.close()


def test_a_file_carried_by_hand_brings_the_hand_over_with_it(tmp_path: Path) -> None:
    file = tmp_path / "collector.toml"
    file.write_text(
        f'schema = 1\nid = "central"\ndata_dir = "{tmp_path / "collector"}"\n[mqtt]\nembedded = true\n',
        encoding="utf-8",
    )
    call("collector", "init", file)
    call("collector", "agents", "list", file)  # makes the database
    store = open_store("sqlite", tmp_path / "collector")
    pair = Pair(tmp_path, Centre(store, keys.load(tmp_path / "collector" / "keys")))
    for _ in range(3):
        pair.meters(100)
        hand_over(pair)
    pair.meters(10)
    export_file = tmp_path / "carried.jws"
    export_file.write_text("\n".join([pair.outbox.enrolment() or "", *pair.texts()]) + "\n", encoding="ascii")
    found = call("collector", "import", file, export_file)
    assert found["outcomes"] == {"stored": len(pair.texts())} == {"stored": 314}
    assert call("collector", "import", file, export_file)["outcomes"] == {"repeated": 314}
    pair.outbox.close()
    store.close()
