"""Releases made and withdrawn by API, and deliveries seen and tried again: by who has a key for it."""

import hashlib
import json
from collections.abc import Callable

import pytest

from collector.deliver import outbox
from collector.intake import records
from collector.store.engine import Store
from shared.keys import b64url
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.office.conftest import Bureau
from tests.collector.office.test_office_releases import START, loaded, point
from tests.fakes import reads

TARGETS = [
    {"id": "bank", "kind": "folder", "dir": "/nowhere"},
    {"id": "acme", "kind": "folder", "dir": "/nowhere"},
]
WANTED = {"kind": "final", "from": instant(START), "to": instant(START + 1800)}
BEFORE = WANTED | {"kind": "preliminary"}


@pytest.fixture
def bureau(store: Store, make_centre: Callable[[Store], Centre]) -> Bureau:
    """Return an office with two targets over a store with half an hour of one meter."""
    made = Bureau(make_centre(store), target=TARGETS)
    agent = made.agent()
    agent.seal("intervals", reads(START, [1000, 1010, 1025, 1030, 1047, 1060, 1060]))
    made.centre.take(*agent.texts)
    loaded(made, point())
    made.clock.advance(3600)
    return made


def post(bureau: Bureau, path: str, body: object, who: dict[str, str]) -> tuple[int, dict[str, object]]:
    found = bureau.browser.ask("POST", path, json=body, headers=who)
    return found.status_code, found.json()


def test_a_release_is_made_and_is_the_same_when_asked_again(bureau: Bureau) -> None:
    who = bureau.key("anna", "releases:make")
    status, made = post(bureau, "/v1/releases", WANTED, who)
    assert (status, made["kind"]) == (201, "final")
    size = bureau.size()
    assert post(bureau, "/v1/releases", WANTED, who) == (201, made)
    assert bureau.size() == size
    rows = bureau.browser.get(f"/v1/releases/{made['release_id']}/rows").text.splitlines()
    assert len(rows) == 2


def test_a_release_says_which_it_supersedes(bureau: Bureau) -> None:
    who = bureau.key("anna", "releases:make")
    _, first = post(bureau, "/v1/releases", BEFORE, who)
    _, second = post(bureau, "/v1/releases", WANTED, who)
    assert [one["supersedes"] for one in (first, second)] == [None, first["release_id"]]


def test_a_release_is_withdrawn_once_with_its_reason(bureau: Bureau) -> None:
    who = bureau.key("anna", "releases:make")
    _, made = post(bureau, "/v1/releases", WANTED, who)
    path, why = f"/v1/releases/{made['release_id']}/withdrawal", {"reason": "made for the wrong month"}
    assert post(bureau, path, why, who)[0] == 200
    size = bureau.size()
    with bureau.store.read() as connection:
        found = records.newest(connection, "release", size)
    assert found is not None
    assert (found[1].by, found[1].body["withdrawn"]) == ("anna", "made for the wrong month")
    assert post(bureau, path, why, who)[0] == 422
    assert post(bureau, path, {"reason": "a\x07"}, who)[0] == 422
    assert post(bureau, "/v1/releases/central-1-000009/withdrawal", why, who)[0] == 404
    assert bureau.size() == size


def test_what_cannot_be_made_is_refused_and_nothing_changes(bureau: Bureau) -> None:
    who, other = bureau.key("anna", "releases:make"), bureau.key("bert", "points:write")
    size = bureau.size()
    for body, shown, status in (
        (WANTED | {"to": instant(START + 86_400)}, who, 422),  # not over
        (WANTED | {"to": instant(START - 900)}, who, 422),
        (WANTED | {"points": ["nobody"]}, who, 422),
        (BEFORE | {"from": "0001-01-01T00:00:00Z", "to": "0001-01-02T00:00:00Z"}, who, 422),
        (BEFORE | {"from": "9999-12-31T00:00:00Z", "to": "9999-12-31T23:00:00Z"}, who, 422),
        (BEFORE | {"from": "2020-01-01T00:00:00Z", "to": "2021-02-05T00:00:00Z"}, who, 422),  # 401 days
        (WANTED | {"kind": "correction"}, who, 422),
        (WANTED | {"more": 1}, who, 422),
        (WANTED, other, 403),
        (WANTED, {}, 401),
    ):
        assert post(bureau, "/v1/releases", body, shown)[0] == status, body
    assert bureau.browser.json("/v1/releases")["items"] == []
    with bureau.store.read() as connection:
        assert records.newest(connection, "release", bureau.size()) is None
    assert bureau.size() >= size


def test_a_year_and_a_month_is_one_release(bureau: Bureau) -> None:
    who, body = bureau.key("anna", "releases:make"), BEFORE | {"from": "2025-01-01T00:00:00Z"}
    assert post(bureau, "/v1/releases", body | {"to": "2026-02-05T00:00:00Z"}, who)[0] == 201  # 400 days


def planned(bureau: Bureau) -> str:
    """Return a release that is on its way to both targets, and was given up at one."""
    _, made = post(bureau, "/v1/releases", WANTED, bureau.key("anna", "releases:make"))
    now = bureau.clock.wall()
    with bureau.store.write() as connection:
        for target in bureau.parts.config.target:
            outbox.plan(connection, target, now)
        bank = bureau.parts.config.target[0]
        first = outbox.first(connection, bank)
        assert first is not None
        outbox.give_up(connection, bank, first, "the folder is gone", now)
    return str(made["release_id"])


def test_deliveries_are_listed_in_pages_by_target_and_state(bureau: Bureau) -> None:
    release = planned(bureau)
    found = bureau.browser.json("/v1/deliveries")["items"]
    assert [(one["target"], one["release_id"], one["state"]) for one in found] == [
        ("acme", release, "waiting"), ("bank", release, "dead"),
    ]  # fmt: skip
    assert (found[1]["said"], found[1]["next_at"], found[1]["answers"]) == ("the folder is gone", None, [])
    page = bureau.browser.json("/v1/deliveries?limit=1")
    rest = bureau.browser.json(f"/v1/deliveries?limit=1&cursor={page['next']}")
    assert page["items"] + rest["items"] == found
    assert rest["next"] is None
    assert bureau.browser.json("/v1/deliveries?state=dead")["items"] == found[1:]
    assert bureau.browser.json("/v1/deliveries?target=acme")["items"] == found[:1]


@pytest.mark.parametrize("key", ["--5 bank", "9" * 200 + " bank", "5", "0 \u0663", "\u0663 bank"])
def test_a_cursor_that_somebody_made_up_is_refused(bureau: Bureau, key: str) -> None:
    path = "/v1/deliveries"
    whose = hashlib.sha256(json.dumps([path, []]).encode()).hexdigest()[:16]
    found = bureau.browser.get(f"{path}?cursor={b64url(json.dumps([whose, key]).encode())}")
    assert (found.status_code, found.json()["detail"].startswith("cursor: not one of ours")) == (422, True)


def test_what_was_given_up_is_tried_again_by_who_has_a_key(bureau: Bureau) -> None:
    release, who = planned(bureau), bureau.key("anna", "deliveries:write")
    path = "/v1/deliveries/bank/retry"
    assert post(bureau, path, {}, {})[0] == 401
    assert post(bureau, path, {}, bureau.key("anna", "releases:make"))[0] == 403
    assert post(bureau, "/v1/deliveries/nobody/retry", {}, who)[0] == 404
    assert [one["state"] for one in bureau.browser.json("/v1/deliveries?target=bank")["items"]] == ["dead"]
    assert post(bureau, path, {"release_id": release}, who) == (200, {"target": "bank", "retried": 1})
    assert [one["state"] for one in bureau.browser.json("/v1/deliveries?target=bank")["items"]] == ["waiting"]


def test_an_answer_is_noted_in_the_partys_name_and_by_who_noted_it(bureau: Bureau) -> None:
    release, who = planned(bureau), bureau.key("anna", "deliveries:write")
    said = {"release_id": release, "answer": "accepted", "by": "Ms Bank"}
    status, kept = post(bureau, "/v1/deliveries/bank/answers", said, who)
    assert status == 200
    size = bureau.size()
    with bureau.store.read() as connection:
        found = records.newest(connection, "release", size)
    assert found is not None
    assert (found[0], found[1].by, found[1].body["accepted"]) == (kept["position"], "anna", "Ms Bank")
    (shown,) = bureau.browser.json("/v1/deliveries?target=bank")["items"]
    assert [(one["answer"], one["by"]) for one in shown["answers"]] == [("accepted", "Ms Bank")]
    assert post(bureau, "/v1/deliveries/bank/answers", said, who) == (200, kept)
    for body, shown_key, wrong in (
        (said | {"answer": "disputed"}, who, 422),
        (said | {"answer": "deemed"}, who, 422),
        (said | {"release_id": "central-1-000009"}, who, 404),
        (said, bureau.key("anna", "edits:write"), 403),
    ):
        assert post(bureau, "/v1/deliveries/bank/answers", body, shown_key)[0] == wrong
    assert bureau.size() == size + 1  # the key
