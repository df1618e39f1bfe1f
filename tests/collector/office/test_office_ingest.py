"""A batch over HTTPS: the same admission, the same receipts."""

import pytest
from sqlalchemy import func, select

from collector.store.schema import ledger
from shared import keys
from shared.batch import Event
from tests.collector.office.conftest import Bureau
from tests.fakes import LittleAgent


def leaves(bureau: Bureau) -> int:
    with bureau.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(ledger)).scalar_one())


def test_a_batch_is_answered_with_a_receipt_that_proves_it(bureau: Bureau) -> None:
    agent = bureau.agent()
    for text in (agent.texts[0], agent.heartbeat(), agent.heartbeat()):
        found = bureau.browser.send(text)
        assert found.status_code == 200
        assert found.headers["content-type"] == "application/jose"
        agent.believe(found.text)
    assert agent.acked == 3
    assert leaves(bureau) == 4


def test_a_batch_sent_again_is_kept_once_and_acknowledged_again(bureau: Bureau) -> None:
    agent = bureau.agent()
    for _ in range(3):
        assert agent.believe(bureau.browser.send(agent.texts[0]).text).acked_seq == 1
    assert leaves(bureau) == 2


def test_a_batch_ahead_is_told_what_is_missing(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.browser.send(agent.texts[0])
    agent.heartbeat()
    later = agent.heartbeat()
    assert agent.believe(bureau.browser.send(later).text).missing == ((2, 2),)
    shown = bureau.browser.json("/v1/agents/dc1-gw1")
    assert (shown["waiting"], shown["missing"], shown["frozen"]) == (1, [[2, 2]], False)
    assert shown["chains"][0]["seq"] == 1
    assert agent.believe(bureau.browser.send(agent.texts[1]).text).acked_seq == 3


@pytest.mark.parametrize(
    ("spoil", "status", "reason"),
    [
        (lambda _: "nonsense", 400, "malformed"),
        (lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "AQ"), 403, "bad_signature"),  # both are base64url
        (lambda _: "x" * 262_145, 413, "oversize"),
        (lambda _: b"\xff\x00\xfe", 400, "malformed"),
        (lambda _: "", 400, "malformed"),
    ],
)  # fmt: skip
def test_what_can_not_be_believed_changes_nothing(bureau: Bureau, spoil: object, status: int, reason: str) -> None:
    agent = bureau.agent()
    assert callable(spoil)
    found = bureau.browser.send(spoil(agent.texts[0]))
    assert found.status_code == status, found.text
    assert found.json()["reason"] == reason
    assert leaves(bureau) == 1


def test_an_unknown_key_is_refused_by_name(bureau: Bureau) -> None:
    agent = bureau.agent()
    stranger = LittleAgent("dc1-gw1", "dc1", agent.enrolment, keys.generate(), bureau.centre.signer.verifier)
    found = bureau.browser.send(stranger.texts[0])
    assert (found.status_code, found.json()["reason"]) == (403, "unknown_key")


def test_an_event_goes_in_over_https_too(bureau: Bureau) -> None:
    agent = bureau.agent()
    bureau.browser.send(agent.texts[0])
    text = agent.seal("event", (Event(None, "agent_start", 1, 1, 1, {}),))
    assert agent.believe(bureau.browser.send(text).text).acked_seq == 2


def test_a_web_page_of_another_origin_can_not_send_a_batch(bureau: Bureau) -> None:
    found = bureau.browser.send(bureau.agent().texts[0], media="text/plain")
    assert found.status_code == 415
    assert leaves(bureau) == 1
