import pytest
from sqlalchemy import select

from collector.intake import enrol, keyring
from collector.store.schema import token as tokens
from shared import keys, record
from shared.errors import BadSignature, ConfigError, WrongIdentity
from shared.keys import FileSigner
from tests.collector.conftest import Centre

NOW = 1_772_460_000_000_000
DAY = 24 * 3600 * 1_000_000


def ask(centre: Centre, token: str, signer: FileSigner, now: int = NOW, site: str = "dc1") -> keyring.Listed:
    proof = enrol.proof(token, "dc1-gw1", site, signer)
    return enrol.request(centre.store, token=token, key=keys.jwk(signer.verifier), proof=proof, now=now)


def approve(centre: Centre) -> str:
    return enrol.approve(
        centre.store, centre.log, agent="dc1-gw1", collector_key=centre.signer.verifier, by="anna", now=NOW
    )


def listed(centre: Centre) -> list[str]:
    with centre.store.read() as connection:
        return [one.state for one in keyring.listed(connection)]


def test_an_approved_request_is_a_record_that_vouches_for_itself(centre: Centre) -> None:
    signer, token = keys.generate(), enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW)
    assert ask(centre, token, signer).state == "pending"
    text = approve(centre)
    told = record.introduce(text)
    assert (told.agent, told.site, told.key.kid, told.assurance) == ("dc1-gw1", "dc1", signer.kid, "software")
    assert told.collector_key.kid == centre.signer.kid
    with centre.store.read() as connection:
        assert keyring.enrolment(connection, signer.kid) == text
        assert centre.log.entry(connection, 0).text == text  # type: ignore[union-attr] # it was just written


def test_a_token_is_kept_only_as_its_hash(centre: Centre) -> None:
    token = enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW)
    with centre.store.read() as connection:
        row = connection.execute(select(tokens)).one()
    assert token.encode() not in b"".join(part for part in row if isinstance(part, bytes))
    assert len(token) >= 43  # 256 bits


def test_a_token_serves_one_key_once_and_the_same_request_again(centre: Centre) -> None:
    token, signer = enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW), keys.generate()
    first = ask(centre, token, signer)
    assert ask(centre, token, signer, now=NOW + 2 * DAY) == first
    with pytest.raises(WrongIdentity, match="was used for another key; ask for a new one"):
        ask(centre, token, keys.generate())
    assert listed(centre) == ["pending"]


def test_an_expired_unknown_or_misused_token_is_refused_and_nothing_changes(centre: Centre) -> None:
    token = enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW)
    with pytest.raises(WrongIdentity, match="has expired"):
        ask(centre, token, keys.generate(), now=NOW + DAY + 1)
    with pytest.raises(WrongIdentity, match="not known"):
        ask(centre, "guess", keys.generate())
    with pytest.raises(WrongIdentity, match="not for agent 'dc1-gw1' of site 'dc1'"):
        ask(centre, token, keys.generate(), site="dc2")
    assert listed(centre) == []
    assert ask(centre, token, keys.generate(), now=NOW + DAY).state == "pending"  # still good in its last moment


def test_a_request_needs_the_private_key(centre: Centre) -> None:
    token, owner = enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW), keys.generate()
    thief = keys.generate()
    proof = enrol.proof(token, "dc1-gw1", "dc1", owner)
    forged = proof.replace(proof.split(".")[2], enrol.proof(token, "dc1-gw1", "dc1", thief).split(".")[2])
    with pytest.raises(BadSignature):
        enrol.request(centre.store, token=token, key=keys.jwk(owner.verifier), proof=forged, now=NOW)
    assert listed(centre) == []


def test_nobody_is_approved_without_a_request_and_nobody_twice(centre: Centre) -> None:
    with pytest.raises(ConfigError, match="no request that waits for approval"):
        approve(centre)
    centre.agent()
    with pytest.raises(ConfigError, match="no request that waits for approval"):
        approve(centre)


def test_two_requests_must_be_told_apart(centre: Centre) -> None:
    for _ in range(2):
        ask(centre, enrol.issue(centre.store, agent="dc1-gw1", site="dc1", now=NOW), keys.generate())
    with pytest.raises(ConfigError, match="has 2 pending keys; name one"):
        approve(centre)


@pytest.mark.parametrize("name", ["", "DC1", "a b", "x" * 64, "../x", "+"])
def test_a_token_is_made_only_for_a_proper_name(centre: Centre, name: str) -> None:
    with pytest.raises(ConfigError, match="a name is lower-case"):
        enrol.issue(centre.store, agent=name, site="dc1", now=NOW)


def test_after_a_revocation_nothing_more_is_taken_and_what_was_stays(centre: Centre) -> None:
    agent = centre.agent()
    assert centre.take(*agent.texts).outcomes[0].verdict == "stored"
    position = enrol.revoke(centre.store, centre.log, agent="dc1-gw1", by="anna", now=NOW)
    taken = centre.take(agent.heartbeat())
    assert (taken.outcomes[0].verdict, taken.outcomes[0].reason) == ("refused", "revoked")
    told = agent.believe(taken.receipts[0][1])
    assert (told.acked_seq, [one.reason for one in told.rejected]) == (1, ["revoked"])
    with centre.store.read() as connection:
        assert centre.log.size(connection) == position + 1
    with pytest.raises(ConfigError, match="no approved key"):
        enrol.revoke(centre.store, centre.log, agent="dc1-gw1", by="anna", now=NOW)
