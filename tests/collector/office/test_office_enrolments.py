"""Enrolment as a gateway does it, over HTTP."""

import hashlib
from typing import Any

import pytest

from collector.intake import enrol
from shared import envelope, keys, record, rotation, strictjson
from shared.keys import FileSigner
from tests.collector.office.conftest import Bureau


def asking(token: str, key: FileSigner, agent: str = "dc1-gw1", site: str = "dc1") -> dict[str, Any]:
    proof = enrol.proof(token, agent, site, key)
    return {"agent": agent, "site": site, "token": token, "key": keys.jwk(key.verifier), "proof": proof}


def issue(bureau: Bureau) -> str:
    return enrol.issue(bureau.store, agent="dc1-gw1", site="dc1", now=bureau.clock.wall())


def approve(bureau: Bureau) -> str:
    verifier = bureau.centre.signer.verifier
    return enrol.approve(
        bureau.store, bureau.centre.log, agent="dc1-gw1", collector_key=verifier, by="anna", now=bureau.clock.wall()
    )


def test_a_gateway_asks_a_person_approves_and_the_record_comes(bureau: Bureau) -> None:
    key, token = keys.generate(), issue(bureau)
    found = bureau.browser.ask("POST", "/v1/enrolments", json=asking(token, key))
    assert found.status_code == 201
    assert found.json() == {
        "claim": key.kid, "state": "pending", "fingerprint": keys.fingerprint(key.kid), "record": None,
        "certificate": None, "authority": None,
    }  # fmt: skip
    text = approve(bureau)
    looked = bureau.browser.json(found.headers["location"])
    assert (looked["state"], looked["record"]) == ("approved", text)
    assert record.introduce(looked["record"]).key.kid == key.kid


def test_the_same_request_again_changes_nothing(bureau: Bureau) -> None:
    key, token = keys.generate(), issue(bureau)
    body = asking(token, key)
    first = bureau.browser.ask("POST", "/v1/enrolments", json=body)
    again = bureau.browser.ask("POST", "/v1/enrolments", json=body)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert len(bureau.browser.json("/v1/agents/dc1-gw1")["keys"]) == 1


def test_a_token_is_good_for_one_key(bureau: Bureau) -> None:
    token = issue(bureau)
    bureau.browser.ask("POST", "/v1/enrolments", json=asking(token, keys.generate()))
    found = bureau.browser.ask("POST", "/v1/enrolments", json=asking(token, keys.generate()))
    assert found.status_code == 403
    assert "agents token dc1-gw1" in found.json()["detail"]


def test_an_unknown_token_is_refused_and_nobody_is_listed(bureau: Bureau) -> None:
    found = bureau.browser.ask("POST", "/v1/enrolments", json=asking("guessed", keys.generate()))
    assert found.status_code == 403
    assert bureau.browser.json("/v1/agents")["items"] == []


def test_a_proof_by_another_key_is_refused(bureau: Bureau) -> None:
    body = asking(issue(bureau), keys.generate()) | {"key": keys.jwk(keys.generate().verifier)}
    assert bureau.browser.ask("POST", "/v1/enrolments", json=body).status_code == 400
    assert bureau.browser.json("/v1/agents")["items"] == []


@pytest.mark.parametrize(
    "spoil", [{"token": ""}, {"key": {"kty": "RSA"}}, {"proof": "a.b.c"}, {"role": "collector"}, {"token": 1}]
)
def test_a_request_in_another_form_is_refused(bureau: Bureau, spoil: dict[str, object]) -> None:
    found = bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau), keys.generate()) | spoil)
    assert found.status_code in (400, 422)
    assert found.headers["content-type"] == "application/problem+json"
    assert bureau.browser.json("/v1/agents")["items"] == []


def test_a_revoked_key_is_told_so(bureau: Bureau) -> None:
    key, token = keys.generate(), issue(bureau)
    bureau.browser.ask("POST", "/v1/enrolments", json=asking(token, key))
    approve(bureau)
    enrol.revoke(bureau.store, bureau.centre.log, agent="dc1-gw1", by="anna", now=bureau.clock.wall())
    assert bureau.browser.json(f"/v1/enrolments/{key.kid}")["state"] == "revoked"
    assert bureau.browser.json(f"/v1/enrolments/{key.kid}")["record"] is None


def test_the_gateways_own_claim_is_the_one_that_is_checked(bureau: Bureau) -> None:
    """The claim holds agent, site and the SHA-256 of the token, as `collector.intake.enrol` documents it."""
    key, token = keys.generate(), issue(bureau)
    hashed = hashlib.sha256(token.encode()).hexdigest()
    claim = strictjson.dumps({"agent": "dc1-gw1", "site": "dc1", "token": hashed})
    body = asking(token, key) | {"proof": envelope.seal(claim, enrol.PROOF, key)}
    assert bureau.browser.ask("POST", "/v1/enrolments", json=body).status_code == 201


def test_a_key_that_has_handed_over_is_shown_with_its_successor(bureau: Bureau) -> None:
    agent = bureau.agent()
    old, new = agent.signer, keys.generate()
    agent.seal("key_rotate", rotation.handing_over(agent.agent, agent.epoch, 2, new))
    assert [one.verdict for one in bureau.centre.take(*agent.texts).outcomes] == ["stored", "stored"]
    shown = bureau.browser.json("/v1/agents/dc1-gw1")
    assert {one["kid"]: one["state"] for one in shown["keys"]} == {old.kid: "rotated", new.kid: "approved"}
    assert shown["state"] == "approved"
    assert bureau.browser.json(f"/v1/enrolments/{old.kid}")["state"] == "approved"
    assert bureau.browser.get("/").status_code == 200
