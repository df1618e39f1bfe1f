import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from sqlalchemy import select

from collector.intake import quarantine, receipts
from collector.intake.authentic import Arrival
from collector.intake.ledger import Taken
from collector.store import schema
from shared import envelope, keys, receipt, strictjson
from shared.batch import Config, Place
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent


def verdicts(taken: Taken) -> list[str]:
    return [one.verdict for one in taken.outcomes]


def rows(centre: Centre) -> list[tuple[int, str | None, int | None, str]]:
    ledger = schema.ledger
    query = select(ledger.c.position, ledger.c.agent, ledger.c.seq, ledger.c.state).where(ledger.c.typ == "batch")
    with centre.store.read() as connection:
        return [
            (row.position, row.agent, row.seq, row.state)
            for row in connection.execute(query.order_by(ledger.c.position))
        ]


def test_what_is_stored_is_the_very_string(centre: Centre) -> None:
    agent = centre.agent()
    agent.heartbeat()
    taken = centre.take(*agent.texts)
    assert verdicts(taken) == ["stored", "stored"]
    with centre.store.read() as connection:
        assert [one.text for one in centre.log.entries(connection, 1, 3)] == agent.texts


def test_the_receipt_proves_the_newest_batch_and_all_before(centre: Centre) -> None:
    agent = centre.agent()
    for _ in range(4):
        agent.heartbeat()
    taken = centre.take(*agent.texts)
    assert len(taken.receipts) == 1
    assert agent.believe(taken.receipts[0][1]).acked_seq == 5


def test_what_agents_saw_is_continued_by_proof(centre: Centre) -> None:
    agent, other = centre.agent(), centre.agent("dc1-gw2")
    agent.believe(centre.take(*agent.texts).receipts[0][1])
    centre.take(*other.texts)
    found = agent.believe(centre.take(agent.heartbeat()).receipts[0][1])
    assert found.consistency is not None
    assert found.consistency.size == 3


def test_a_repeated_batch_changes_nothing_and_is_acknowledged_again(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    taken = centre.take(agent.texts[0], agent.texts[0])
    assert verdicts(taken) == ["repeated", "repeated"]
    assert agent.believe(taken.receipts[0][1]).acked_seq == 1
    assert len(rows(centre)) == 1


def test_the_same_message_with_another_signature_is_the_same_batch(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    message = agent.texts[0].rsplit(".", 1)[0]
    key = agent.signer.key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(key.sign(message.encode(), ec.ECDSA(hashes.SHA256())))  # a random nonce, as a TPM's
    other = f"{message}.{keys.b64url(r.to_bytes(32, 'big') + min(s, keys.P256_ORDER - s).to_bytes(32, 'big'))}"
    assert other != agent.texts[0]
    taken = centre.take(other)
    assert verdicts(taken) == ["repeated"]


def test_what_came_ahead_waits_and_is_asked_for(centre: Centre) -> None:
    agent = centre.agent()
    for _ in range(5):
        agent.heartbeat()
    one, two, three, four, five, six = agent.texts
    taken = centre.take(one, three, six)
    assert verdicts(taken) == ["stored", "parked", "parked"]
    assert agent.believe(taken.receipts[0][1]).missing == ((2, 2), (4, 5))
    taken = centre.take(two)
    assert (verdicts(taken), taken.stored) == (["stored"], 2)
    found = agent.believe(taken.receipts[0][1])
    assert (found.acked_seq, found.missing) == (3, ((4, 5),))
    taken = centre.take(five, four)
    assert (verdicts(taken), taken.stored) == (["parked", "stored"], 3)
    assert agent.believe(taken.receipts[0][1]).acked_seq == 6
    assert [row[2] for row in rows(centre)] == [1, 2, 3, 4, 5, 6]


def test_before_the_first_batch_a_receipt_acknowledges_nothing(centre: Centre) -> None:
    agent = centre.agent()
    agent.heartbeat()
    found = agent.believe(centre.take(agent.texts[1]).receipts[0][1])
    assert (found.acked_seq, found.acked_hash, found.position, found.missing) == (0, None, None, ((1, 1),))


def test_a_fork_is_kept_and_freezes_its_chain(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    twin = LittleAgent(agent.agent, agent.site, agent.enrolment, agent.signer, centre.signer.verifier)
    twin.epoch, twin.texts = agent.epoch, list(agent.texts)
    agent.heartbeat()
    twin.seal("heartbeat", None, created=5)
    taken = centre.take(agent.texts[1], twin.texts[1])
    assert [one.state for one in taken.outcomes] == ["admitted", "fork"]
    told = agent.believe(taken.receipts[0][1])
    assert [(one.hash, one.reason) for one in told.rejected] == [(envelope.digest(twin.texts[1]), "fork")]
    assert centre.take(agent.heartbeat()).outcomes[0].state == "frozen"
    assert centre.take(twin.heartbeat()).outcomes[0].state == "fork"
    assert [row[3] for row in rows(centre)] == ["admitted", "admitted", "fork", "frozen", "fork"]


def test_a_new_epoch_that_continues_the_head_is_admitted(centre: Centre) -> None:
    agent = centre.agent()
    agent.heartbeat()
    centre.take(*agent.texts)
    agent.begin(agent.head)
    taken = centre.take(agent.texts[0], agent.heartbeat())
    assert [one.state for one in taken.outcomes] == ["admitted", "admitted"]
    assert agent.believe(taken.receipts[-1][1]).acked_seq == 2


def test_a_new_epoch_may_continue_a_head_of_the_same_group(centre: Centre) -> None:
    agent = centre.agent()
    first = [*agent.texts, agent.heartbeat()]
    agent.begin(agent.head)
    assert [one.state for one in centre.take(*first, *agent.texts).outcomes] == ["admitted"] * 3


def test_a_new_epoch_that_overtook_the_old_one_waits_for_it(centre: Centre) -> None:
    agent = centre.agent()
    old = [*agent.texts, agent.heartbeat()]
    agent.begin(agent.head)
    new = [*agent.texts, agent.heartbeat()]
    assert verdicts(centre.take(*new)) == ["parked", "parked"]
    assert verdicts(centre.take(old[0])) == ["stored"]
    taken = centre.take(old[1])
    assert (verdicts(taken), taken.stored) == (["stored"], 3)
    assert [row[3] for row in rows(centre)] == ["admitted"] * 4


def test_epochs_that_arrive_in_the_wrong_order_end_in_the_right_one(centre: Centre) -> None:
    agent = centre.agent()
    epochs = [list(agent.texts)]
    for _ in range(3):
        agent.begin(agent.head)
        epochs.append(list(agent.texts))
    assert verdicts(centre.take(*epochs[3], *epochs[2], *epochs[1])) == ["parked"] * 3
    taken = centre.take(*epochs[0])
    assert (verdicts(taken), taken.stored) == (["stored"], 4)
    assert [row[3] for row in rows(centre)] == ["admitted"] * 4


@pytest.mark.parametrize("explains", [False, True])
def test_a_new_epoch_that_does_not_continue_the_head_is_kept_and_held(centre: Centre, *, explains: bool) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    agent.begin(Place(agent.epoch, 1, b"x" * 32) if explains else None)  # the place is known, its hash is another
    taken = centre.take(agent.texts[0], agent.heartbeat())
    assert [one.state for one in taken.outcomes] == ["held", "held"]
    assert agent.believe(taken.receipts[0][1]).acked_seq == 2  # it is durable, though nothing uses it yet


def test_a_batch_that_this_version_cannot_read_is_kept_once(centre: Centre) -> None:
    agent = centre.agent()
    payload = strictjson.dumps({"v": 2, "agent": "dc1-gw1", "something": "newer"})
    text = envelope.seal(payload, envelope.BATCH, agent.signer)
    assert [one.state for one in centre.take(text).outcomes] == ["unreadable"]
    assert verdicts(centre.take(text)) == ["repeated"]
    far = agent.seal("heartbeat", None, seq=2**70)
    assert [one.state for one in centre.take(far).outcomes] == ["unreadable"]


def test_a_kind_that_no_database_takes_is_still_stored(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    payload = envelope.payload(envelope.apart(agent.heartbeat())).decode()
    odd = payload.replace('"heartbeat"', r'"\u0000\ud800"')
    assert odd != payload
    assert verdicts(centre.take(envelope.seal(odd, envelope.BATCH, agent.signer))) == ["stored"]


def hostile(centre: Centre) -> list[bytes]:
    """Return octets that must be refused, whatever they are."""
    stranger, agent = keys.generate(), centre.agent("dc1-gw7")
    genuine = agent.texts[0]
    head, body, sign = genuine.split(".")
    odd = envelope.seal(strictjson.dumps({"x": 1}), envelope.BATCH, stranger)
    return [
        b"", b".", b"..", b"\x00" * 50, b"\xff\xfe..", b"a.b.c", genuine.encode() + b"x", genuine.encode()[:-1],
        f"{head}.{body}.".encode(), f"{head}.{body[:-4]}AAAA.{sign}".encode(), odd.encode(), b"x" * 300_000,
        envelope.seal("{}", envelope.RECORD, agent.signer).encode(),
        f"{keys.b64url(b'[' * 100_000)}.{body}.{sign}".encode(), f"{head}.\x00.{sign}".encode(),
        envelope.seal(strictjson.dumps({"alg": "none"}), envelope.BATCH, stranger).encode(),
    ]  # fmt: skip


def test_hostile_bytes_are_refused_and_disturb_nobody(centre: Centre) -> None:
    agent, bad = centre.agent(), hostile(centre)
    arrivals = [Arrival("dc1-gw1", octets) for octets in bad]
    taken = centre.ledger.take([*arrivals[:8], Arrival("dc1-gw1", agent.texts[0].encode()), *arrivals[8:]])
    assert verdicts(taken) == ["refused"] * 8 + ["stored"] + ["refused"] * (len(bad) - 8)
    assert {one.reason for one in taken.outcomes if one.reason} <= set(receipt.REASONS)
    assert [row[1] for row in rows(centre)] == ["dc1-gw1"]
    told = agent.believe(taken.receipts[-1][1])
    assert told.acked_seq == 1
    assert 0 < len(told.rejected) <= 16


@pytest.mark.parametrize("changes", [{"aud": ("other",)}, {"site": "dc2"}, {"agent": "dc1-gw2"}])
def test_a_batch_whose_names_do_not_agree_is_refused(centre: Centre, changes: dict[str, object]) -> None:
    agent = centre.agent()
    text = agent.seal("config", Config(None, {}), **changes)
    taken = centre.take(text)
    assert [(one.verdict, one.reason) for one in taken.outcomes] == [("refused", "wrong_identity")]
    assert rows(centre) == []


def test_a_key_that_waits_for_approval_is_refused(centre: Centre) -> None:
    agent = centre.agent()
    with centre.store.write() as connection:
        connection.execute(schema.keyring.update().values(state="pending"))
    assert [one.reason for one in centre.take(*agent.texts).outcomes] == ["unknown_key"]


def test_the_quarantine_keeps_each_once_and_not_too_many(centre: Centre) -> None:
    centre.take(*(f"junk {number}" for number in range(1030)))
    centre.take("junk 1029", "junk 1029")
    with centre.store.read() as connection:
        assert quarantine.count(connection) == quarantine.MOST
        newest = connection.execute(select(schema.quarantine.c.jws).order_by(schema.quarantine.c.id.desc()).limit(1))
        assert bytes(newest.scalar_one()) == b"junk 1029"


def test_only_so_much_waits_of_one_agent(centre: Centre) -> None:
    agent = centre.agent()
    centre.take(*agent.texts)
    prev = agent.texts[-1]
    agent.texts = [prev] * 2  # what comes between never arrives
    ahead = [agent.heartbeat() for _ in range(1005)]
    taken = centre.take(*ahead)
    assert verdicts(taken).count("parked") == 1000
    assert {one.reason for one in taken.outcomes if one.verdict == "refused"} == {"quota"}


def test_everyone_is_told_at_a_connect(centre: Centre) -> None:
    agents = [centre.agent("dc1-gw1"), centre.agent("dc1-gw2")]
    centre.take(*(text for agent in agents for text in agent.texts))
    told = dict(centre.ledger.receipts())
    assert [agent.believe(told[agent.agent]).acked_seq for agent in agents] == [1, 1]


def test_missing_spans_are_bounded() -> None:
    assert len(receipts.holes(0, range(2, 1000, 2))) == receipt.MOST_MISSING
