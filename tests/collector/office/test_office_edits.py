"""Edits by API: nothing is changed that was not looked at, nobody approves their own, a key is of its sites."""

from typing import Any

import httpx
import pytest

from shared.release import instant
from tests.collector.office.conftest import Bureau
from tests.collector.vee.test_vee_edit import WHOLE, states
from tests.collector.vee.test_vee_run import NAME, T0, Line, line

__all__ = ["line"]


class Desk:
    """An office over a line, with people who have keys."""

    def __init__(self, line: Line) -> None:
        line.send(0, WHOLE)
        line.run()
        self.line, self.bureau = line, Bureau(line.centre)
        self.key = self.bureau.key

    def post(self, path: str, who: dict[str, str], body: object = None, **headers: str) -> httpx.Response:
        named = who | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.bureau.browser.ask("POST", f"/v1/edits{path}", json=body, headers=named)

    def made(self, who: dict[str, str], body: object, path: str = "") -> httpx.Response:
        """Do what a look at it showed."""
        seen = self.post(f"{path}?dry_run=true", who, body)
        assert seen.status_code == 200, seen.text
        return self.post(path, who, body, If_Match=seen.headers["etag"])


@pytest.fixture
def desk(line: Line) -> Desk:
    return Desk(line)


def change(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - any member
    """Return an edit of two intervals by 0.1 Wh each."""
    fields = {"action": "edit", "values": [15_100, 10_100], "from": instant(T0 + 300), "to": instant(T0 + 900)}
    return {"channel": NAME, "reason": "site_visit", "text": "Read at the meter.", **fields, **more}


def test_a_change_is_shown_then_made_in_the_name_of_the_key(desk: Desk) -> None:
    anna, size = desk.key("anna", "edits:write"), desk.line.size()
    seen = desk.post("?dry_run=true", anna, change())
    assert (seen.json()["before"], seen.json()["after"], seen.json()["position"]) == (25_000, 25_200, None)
    assert seen.json()["unit"] == "mWh"
    assert [one["after_status"] for one in seen.json()["intervals"]] == ["EDITED", "EDITED"]
    assert desk.line.size() == size
    done = desk.post("", anna, change(), If_Match=seen.headers["etag"])
    assert (done.status_code, done.json()["position"], done.json()["needs_second"]) == (200, size, False)
    (told,) = desk.bureau.browser.json("/v1/edits")["items"]
    assert (told["by"], told["state"], told["channel"], told["moved"]) == ("anna", "in force", NAME, 200)


def test_what_was_not_shown_is_not_made(desk: Desk) -> None:
    anna = desk.key("anna", "edits:write")
    seen = desk.post("?dry_run=true", anna, change()).headers["etag"]
    size = desk.line.size()
    assert desk.post("", anna, change()).status_code == 428
    other = desk.post("", anna, change(values=[15_100, 10_000]), If_Match=seen)
    assert (other.status_code, other.json()["type"]) == (412, "urn:wattseal:problem:changed")
    assert desk.line.size() == size
    desk.made(anna, change(values=[15_200, 10_000]))
    size = desk.line.size()
    assert desk.post("", anna, change(), If_Match=seen).status_code == 412
    assert desk.line.size() == size


def test_a_large_change_waits_for_another_person_with_a_key_for_it(desk: Desk) -> None:
    anna, bert = desk.key("anna", "edits:write", "edits:approve"), desk.key("bert", "edits:approve")
    done = desk.made(anna, change(values=[160_000_000, 110_000_000])).json()
    assert done["needs_second"]
    assert states(desk.line) == ["proposed"]
    size = desk.line.size()
    own = desk.post(f"/{done['position']}/approval", anna)
    assert (own.status_code, "another person must approve" in own.json()["detail"]) == (422, True)
    assert desk.post(f"/{done['position']}/approval", desk.key("carl", "edits:write")).status_code == 403
    assert states(desk.line) == ["proposed"]
    assert desk.line.size() == size + 1  # carl's key
    signed = desk.post(f"/{done['position']}/approval", bert)
    assert signed.json() == {"position": size + 1, "edit": done["position"]}
    found = desk.bureau.browser.json("/v1/edits?state=approved")["items"]
    assert [(one["by"], one["position"]) for one in found] == [("anna", done["position"])]


def test_a_change_is_taken_back_and_a_proposal_withdrawn(desk: Desk) -> None:
    anna = desk.key("anna", "edits:write")
    first = desk.made(anna, change()).json()["position"]
    why = {"reason": "mistaken_edit", "text": "It was the other meter."}
    back = desk.made(anna, why, f"/{first}/undo").json()
    assert (back["before"], back["after"]) == (25_200, 25_000)
    proposed = desk.made(anna, change(values=[160_000_000, 110_000_000])).json()["position"]
    desk.post(f"/{proposed}/withdrawal", anna, why)
    assert states(desk.line) == ["undone", "in force", "withdrawn", "in force"]


def test_a_key_is_of_its_sites(desk: Desk) -> None:
    away, here = desk.key("anna", "edits:write", sites=("dc2",)), desk.key("anna", "edits:write", sites=("dc1", "dc2"))
    size = desk.line.size()
    refused = desk.post("?dry_run=true", away, change())
    assert (refused.status_code, refused.json()["detail"].endswith("is for dc2; not for site dc1")) == (403, True)
    at = desk.made(here, change()).json()["position"]
    why = {"reason": "mistaken_edit", "text": "It was the other meter."}
    for path in ("undo", "undo?dry_run=true", "withdrawal"):
        assert desk.post(f"/{at}/{path}", away, why).status_code == 403
    assert desk.line.size() == size + 1


WRONG = [
    (change(action="forget"), 422),
    (change(reason="because"), 422),
    (change(text=""), 422),
    (change(channel="dc1"), 422),
    (change(values=[1.5, 2]), 422),
    (change(values=["1", "x"]), 422),
    (change(values=["\u0663", "1"]), 422),
    (change(values=["--1", "1"]), 422),
    (change(values=[True, False]), 422),
    (change(values=[1]), 422),
    (change(values=[2**63, 0]), 422),
    (change(more=1), 422),
    (change(to=instant(T0 + 301)), 422),
    (change(**{"from": "yesterday"}), 422),
    (change(author="root"), 422),
    (change(channel="dc1/nobody.energy_active_export"), 422),
]


def test_what_cannot_be_is_refused_and_nothing_changes(desk: Desk) -> None:
    anna = desk.key("anna", "edits:write", "edits:approve")
    size = desk.line.size()
    for body, status in WRONG:
        found = desk.post("?dry_run=true", anna, body)
        assert found.status_code == status, (body, found.text)
        assert found.headers["content-type"] == "application/problem+json"
    why = {"reason": "mistaken_edit", "text": "It was the other meter."}
    for path in ("undo", "withdrawal", "approval"):
        assert desk.post(f"/{size + 5}/{path}", anna, why).status_code == 404
    assert desk.post("", {}, change(), If_Match="*").status_code == 401
    assert desk.line.size() == size


def test_integers_beyond_what_json_holds_are_text(desk: Desk) -> None:
    anna, large = desk.key("anna", "edits:write"), 2**53 + 1
    seen = desk.post("?dry_run=true", anna, change(values=[str(large), 1]))
    assert seen.status_code == 200, seen.text
    assert seen.json()["intervals"][0]["after"] == str(large)


def test_the_tag_stands_for_the_reason_and_the_words_too(desk: Desk) -> None:
    anna = desk.key("anna", "edits:write")
    seen = desk.post("?dry_run=true", anna, change()).headers["etag"]
    size = desk.line.size()
    for other in ({"reason": "test"}, {"text": "Read at another meter."}):
        assert desk.post("", anna, change(**other), If_Match=seen).status_code == 412
    at = desk.post("", anna, change(), If_Match=seen).json()["position"]
    why = {"reason": "mistaken_edit", "text": "It was the other meter."}
    back = desk.post(f"/{at}/undo?dry_run=true", anna, why).headers["etag"]
    assert desk.post(f"/{at}/undo", anna, why | {"text": "Wrong day."}, If_Match=back).status_code == 412
    assert desk.line.size() == size + 1


@pytest.mark.parametrize("text", ["a\x00b", "\x1b[2Jgone", "paid \u202e001\u202c kWh", " \u200b"])
def test_words_that_a_terminal_would_take_as_orders_are_refused(desk: Desk, text: str) -> None:
    anna, size = desk.key("anna", "edits:write"), desk.line.size()
    assert desk.post("?dry_run=true", anna, change(text=text)).status_code == 422
    assert desk.post("?dry_run=true", anna, change(text="Read at the meter;\nby Anna.")).status_code == 200
    assert desk.line.size() == size


@pytest.mark.parametrize("again", ["ANNA", " anna ", "\uff41nna"])
def test_a_name_written_otherwise_is_no_second_person(desk: Desk, again: str) -> None:
    anna = desk.key("anna", "edits:write")
    at = desk.made(anna, change(values=[160_000_000, 110_000_000])).json()["position"]
    refused = desk.post(f"/{at}/approval", desk.key(again, "edits:approve"))
    assert (refused.status_code, "another person must approve" in refused.json()["detail"]) == (422, True)
    assert states(desk.line) == ["proposed"]
