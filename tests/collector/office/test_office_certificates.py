"""Certificates over HTTP: asked for with the enrolment, given with the approval, renewed by the signing key alone."""

import dataclasses
from typing import Any

import pytest
from cryptography import x509
from sqlalchemy import func, select

from collector.intake import authority, certificates, enrol
from collector.intake.authority import Authority
from collector.office.app import create
from collector.store.trust import certificate as table
from shared import envelope, keys, strictjson
from shared.errors import ConfigError
from shared.keys import FileSigner
from tests.collector.intake.test_authority import request
from tests.collector.office.conftest import Browser, Bureau

DAY = 24 * 3600
SIGNED = {"Content-Type": "application/jose"}


def asking(
    token: str, key: FileSigner, csr: str | None, *, assurance: str | None = None, agent: str = "dc1-gw1"
) -> dict[str, Any]:
    proof = enrol.proof(token, agent, "dc1", key, csr=csr, assurance=assurance)
    return {
        "agent": agent, "site": "dc1", "token": token, "key": keys.jwk(key.verifier), "proof": proof, "csr": csr
    }  # fmt: skip


def issue(bureau: Bureau, agent: str = "dc1-gw1") -> str:
    pin = bureau.authority.pin
    return enrol.issue(bureau.store, agent=agent, site="dc1", now=bureau.clock.wall(), pin=pin)


def approve(bureau: Bureau, assurance: str | None = None, agent: str = "dc1-gw1") -> str:
    return enrol.approve(
        bureau.store, bureau.centre.log, agent=agent, collector_key=bureau.centre.signer.verifier, by="anna",
        now=bureau.clock.wall(), grant=enrol.Grant(assurance, bureau.authority),
    )  # fmt: skip


def enrolled(bureau: Bureau, csr: str, agent: str = "dc1-gw1") -> FileSigner:
    key = keys.generate()
    asked = bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau, agent), key, csr, agent=agent))
    assert asked.status_code == 201, asked.text
    approve(bureau, agent=agent)
    return key


def count(bureau: Bureau) -> int:
    with bureau.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def test_a_token_carries_the_pin_of_the_authority_that_the_office_shows(bureau: Bureau) -> None:
    shown = bureau.browser.json("/v1/authority")
    assert issue(bureau).split(".")[2] == shown["pin"] == bureau.authority.pin
    assert authority.pin(x509.load_pem_x509_certificate(shown["certificate"].encode())) == shown["pin"]


def test_the_certificate_comes_with_the_approval_and_not_before(bureau: Bureau) -> None:
    key, csr = keys.generate(), request()
    asked = bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau), key, csr))
    assert (asked.status_code, asked.json()["certificate"], count(bureau)) == (201, None, 0)
    approve(bureau)
    found = bureau.browser.json(f"/v1/enrolments/{key.kid}")
    given = x509.load_pem_x509_certificate(found["certificate"].encode())
    given.verify_directly_issued_by(x509.load_pem_x509_certificate(found["authority"].encode()))
    assert given.public_key() == x509.load_pem_x509_csr(csr.encode()).public_key()


SPOILT = {
    "another agent in the request": lambda token, key: asking(token, key, request("dc1-gw2")),
    "a request that the proof does not name": lambda token, key: asking(token, key, request()) | {"csr": request()},
    "a request that the proof names, left out": lambda token, key: asking(token, key, request()) | {"csr": None},
    "a proof for another token": lambda token, key: asking(token + "x", key, request()) | {"token": token},
    "a proof for another agent": lambda token, key: asking(token, key, request("dc1-gw2"), agent="dc1-gw2"),
    "an assurance that nobody knows": lambda token, key: asking(token, key, request(), assurance="blockchain"),
    "no request but rubbish": lambda token, key: asking(token, key, "rubbish"),
}


@pytest.mark.parametrize("kind", SPOILT)
def test_what_does_not_agree_is_refused_and_spends_no_token(bureau: Bureau, kind: str) -> None:
    token, key = issue(bureau), keys.generate()
    found = bureau.browser.ask("POST", "/v1/enrolments", json=SPOILT[kind](token, key))
    assert found.status_code in (400, 403), found.text
    assert bureau.browser.json("/v1/agents")["items"] == []
    good = bureau.browser.ask("POST", "/v1/enrolments", json=asking(token, keys.generate(), request()))
    assert good.status_code == 201


def test_a_replayed_request_is_the_same_request(bureau: Bureau) -> None:
    key, csr = keys.generate(), request()
    body = asking(issue(bureau), key, csr)
    for _ in range(2):
        bureau.browser.ask("POST", "/v1/enrolments", json=body)
    approve(bureau)
    before = bureau.browser.json(f"/v1/enrolments/{key.kid}")
    assert bureau.browser.ask("POST", "/v1/enrolments", json=body).json() == before
    assert count(bureau) == 1
    with bureau.store.read() as connection:
        assert bureau.centre.log.size(connection) == 1


def test_a_claim_is_confirmed_by_a_person_and_stands_in_the_record(bureau: Bureau) -> None:
    key = keys.generate()
    bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau), key, request(), assurance="tpm"))
    assert bureau.browser.json("/v1/agents/dc1-gw1")["keys"][0]["assurance"] == "tpm"
    with pytest.raises(ConfigError, match="a claim is no proof: approve with --assurance tpm"):
        approve(bureau)
    with pytest.raises(ConfigError, match="claims 'tpm', not 'secure_element'"):
        approve(bureau, "secure_element")
    assert bureau.browser.json("/v1/agents/dc1-gw1")["state"] == "pending"
    text = approve(bureau, "tpm")
    body = strictjson.loads(envelope.payload(envelope.apart(text)))["body"]
    assert body["assurance"] == "tpm"


def test_what_was_not_seen_is_approved_as_software(bureau: Bureau) -> None:
    bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau), keys.generate(), None, assurance="tpm"))
    body = strictjson.loads(envelope.payload(envelope.apart(approve(bureau, "software"))))["body"]
    assert body["assurance"] == "software"
    assert bureau.browser.json("/v1/agents/dc1-gw1")["keys"][0]["assurance"] == "software"


def test_without_the_authoritys_key_a_request_says_what_to_do_and_spends_no_token(bureau: Bureau) -> None:
    bare = dataclasses.replace(bureau.parts, authority=Authority(bureau.authority.certificate, None))
    browser, token, key = Browser(create(bare)), issue(bureau), keys.generate()
    refused = browser.ask("POST", "/v1/enrolments", json=asking(token, key, request()))
    assert (refused.status_code, "name cert_file, key_file and" in refused.json()["detail"]) == (422, True)
    assert bureau.browser.json("/v1/agents")["items"] == []
    assert browser.ask("POST", "/v1/enrolments", json=asking(token, key, None)).status_code == 201
    approve(bureau)
    text = renewal(key, request())
    assert browser.ask("POST", "/v1/certificates", content=text, headers=SIGNED).status_code == 422
    assert count(bureau) == 0


# -- renewal ---------------------------------------------------------------------------------------------------------


def renewal(key: FileSigner, csr: str, agent: str = "dc1-gw1", typ: str = certificates.RENEWAL) -> str:
    return envelope.seal(strictjson.dumps({"agent": agent, "csr": csr}), typ, key)


def renew(bureau: Bureau, text: str) -> Any:  # noqa: ANN401 - a response
    return bureau.browser.ask("POST", "/v1/certificates", content=text, headers=SIGNED)


def test_the_signing_key_renews_the_certificate(bureau: Bureau) -> None:
    key = enrolled(bureau, request())
    bureau.clock.advance(60 * DAY)
    found = renew(bureau, renewal(key, request()))
    assert found.status_code == 200
    given = x509.load_pem_x509_certificate(found.json()["certificate"].encode())
    assert authority.until(given) == bureau.clock.wall() + 90 * DAY * 1_000_000


def test_a_replayed_renewal_gives_the_old_certificate_and_changes_nothing(bureau: Bureau) -> None:
    text = renewal(enrolled(bureau, request()), request())
    first = renew(bureau, text).json()
    bureau.clock.advance(80 * DAY)
    assert renew(bureau, text).json() == first
    assert count(bureau) == 2


def test_nobody_else_renews(bureau: Bureau) -> None:
    key, other = enrolled(bureau, request()), enrolled(bureau, request("dc1-gw2"), "dc1-gw2")
    stranger, waiting = keys.generate(), keys.generate()
    bureau.browser.ask("POST", "/v1/enrolments", json=asking(issue(bureau), waiting, request()))
    before = count(bureau)
    header, payload, signature = renewal(key, request()).split(".")
    refused = {
        "a stranger": renewal(stranger, request()),
        "a key that waits": renewal(waiting, request()),
        "another agent's key": renewal(other, request()),
        "another agent's name": renewal(other, request("dc1-gw2"), "dc1-gw1"),
        "another name in the request": renewal(key, request("dc1-gw2")),
        "another type": renewal(key, request(), typ=envelope.BATCH),
        "a spoilt signature": f"{header}.{payload}.{'A' * len(signature)}",
        "rubbish": "rubbish",
    }
    assert {name: renew(bureau, text).status_code in (400, 403) for name, text in refused.items()} == dict.fromkeys(
        refused, True
    )
    assert count(bureau) == before
    enrol.revoke(bureau.store, bureau.centre.log, agent="dc1-gw1", by="anna", now=bureau.clock.wall())
    assert renew(bureau, renewal(key, request())).status_code == 400
    assert count(bureau) == before


def test_a_revocation_takes_the_agents_certificates_with_it_and_nobody_elses(bureau: Bureau) -> None:
    key = enrolled(bureau, request())
    enrolled(bureau, request("dc1-gw2"), "dc1-gw2")
    renew(bureau, renewal(key, request()))
    now = bureau.clock.wall()
    enrol.revoke(bureau.store, bureau.centre.log, agent="dc1-gw1", by="anna", now=now)
    with bureau.store.read() as connection:
        found = certificates.revoked(connection, now)
        serials = connection.execute(select(table.c.serial).where(table.c.agent == "dc1-gw1")).scalars().all()
    assert sorted(f"{one.serial:x}" for one in found) == sorted(serials)
    assert len(serials) == 2
    bureau.clock.advance(91 * DAY)
    with bureau.store.read() as connection:
        assert certificates.revoked(connection, bureau.clock.wall()) == []  # what has ended needs no list
    listed = x509.load_pem_x509_crl(bureau.authority.revocations(found, now))
    assert [one.serial_number for one in listed] == [one.serial for one in found]
