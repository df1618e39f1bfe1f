"""A gateway becomes known: asked, pending, approved or refused; what fails says why and can be tried again."""

import hashlib
import json
from pathlib import Path

import pytest

from tests.commands import Ran, running, until, write
from tests.fakes_office import Office, office

__all__ = ["office"]


def _enroll(file: str, office: Office, *more: str) -> Ran:
    return Ran("enroll", file, "--token", "t", "--collector-url", office.url + "/", *more)


def test_enrolment_waits_for_a_person_and_run_waits_with_it(tmp_path: Path, office: Office) -> None:
    file = write(tmp_path)
    ran = _enroll(file, office, "--json")
    assert (ran.code, ran.json["state"]) == (0, "pending")
    with running(file) as agent:
        until(lambda: "enrolment_pending" in agent.said(), agent)
        office.approved = True
        until(lambda: "agent_started" in agent.said(), agent)
    assert agent.returncode == 0
    assert Ran("status", file, "--json").json["enrolled"] is True
    ran = _enroll(file, office)
    assert (ran.code, "is enrolled already" in ran.err) == (78, True)


def test_the_request_holds_the_hash_of_a_password_that_stays_here(tmp_path: Path, office: Office) -> None:
    file = write(tmp_path)
    _enroll(file, office)
    target = tmp_path / "agent" / "keys" / "broker.password"
    assert target.stat().st_mode & 0o777 == 0o600
    password = target.read_text(encoding="ascii")
    assert office.asked[0]["broker_password_sha256"] == hashlib.sha256(password.encode()).hexdigest()
    assert password not in json.dumps(office.asked)
    _enroll(file, office)
    assert office.asked[1]["broker_password_sha256"] == office.asked[0]["broker_password_sha256"]
    assert office.asked[1]["key"] == office.asked[0]["key"]


REFUSALS = {
    "refused": (403, b'{"detail": "this enrolment token is not known"}', 78, "this enrolment token is not known"),
    "revoked": (200, b'{"claim": "c", "state": "revoked", "record": null}', 78, "is revoked"),
    "busy": (503, b'{"detail": "later"}', 1, "cannot answer now"),
    "a web page": (200, b"<html>hello</html>", 1, "no collector"),
    "a page that is not there": (404, b"<html>", 1, "no collector"),
    "a list": (200, b"[1, 2]", 1, "no collector"),
    "no text": (200, b"\xff\xfe", 1, "no collector"),
    "a record that is none": (200, b'{"claim": "c", "state": "approved", "record": "x.y.z"}', 78, "cannot be believed"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_enrolment_that_fails_says_why_and_can_be_tried_again(tmp_path: Path, office: Office, kind: str) -> None:
    status, body, code, sentence = REFUSALS[kind]
    office.answer = status, body
    file = write(tmp_path)
    ran = _enroll(file, office)
    assert (ran.code, sentence in ran.err) == (code, True), ran.err
    office.answer, office.approved = None, True
    assert _enroll(file, office).code == 0


def test_a_refusal_ends_the_waiting_agent(tmp_path: Path, office: Office) -> None:
    file = write(tmp_path)
    _enroll(file, office)
    office.answer = 200, b'{"claim": "c", "state": "revoked", "record": null}'
    ran = Ran("run", file)
    assert (ran.code, "is revoked" in ran.err) == (78, True)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "nonsense", "http://[::1", "https://127.0.0.1:99999"])
def test_a_collector_that_is_not_there_is_told(tmp_path: Path, url: str) -> None:
    ran = Ran("enroll", write(tmp_path), "--token", "t", "--collector-url", url)
    assert ran.code in (1, 78)
    assert url in ran.err
