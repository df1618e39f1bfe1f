"""What is pushed arrives once in its order, whoever dies when; what cannot arrive waits for a person by name."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.config import Target
from collector.deliver import outbox
from collector.deliver.deliver import Deliveries
from collector.deliver.parcel import Parcel
from collector.deliver.webhook import Webhook, signature
from collector.store.schema import finding
from shared.errors import ConfigError
from tests.collector.deliver.conftest import Desk
from tests.receiver import Receiver, receiving


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with receiving(tmp_path) as made:
        yield made


@pytest.fixture
def target(receiver: Receiver, secret_file: Path) -> Target:
    return Target(id="settlement", kind="https", url=receiver.url, secret_file=str(secret_file))


@pytest.fixture
def carrying(desk: Desk, target: Target) -> Deliveries:
    return desk.deliveries(target, by={"https": Webhook()})


def keys(receiver: Receiver) -> list[object]:
    return [(one["data"]["release_id"], one["type"]) for one in receiver.taken()]  # type: ignore[index]


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of the Standard Webhooks libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_release_arrives_whole_and_once(desk: Desk, receiver: Receiver, carrying: Deliveries) -> None:
    made = desk.released()
    assert (carrying.round(), carrying.round()) == (1, 0)
    (event,) = receiver.taken()
    assert event["type"] == "release.released"
    files = {file["name"]: file for file in event["data"]["files"]}  # type: ignore[index]
    assert files["manifest.jws"]["content"] == f"{made.jws}\n"
    assert files[f"{made.id}.jsonl"]["content"].encode() == made.rows
    assert receiver.attempts == [f"{made.id}.released"]


def test_a_refused_parcel_is_sent_again_the_same_and_before_the_next(
    desk: Desk, receiver: Receiver, carrying: Deliveries
) -> None:
    first, second = desk.released(), desk.released()
    receiver.says = [503, 500]
    assert carrying.round() == 0
    assert carrying.round() == 0  # it is not yet time
    assert len(receiver.attempts) == 1
    desk.centre.clock.advance(6)
    assert carrying.round() == 0
    desk.centre.clock.advance(331)
    assert carrying.round() == 2
    assert keys(receiver) == [(first.id, "release.released"), (second.id, "release.released")]
    assert all(len(bodies) == 1 for bodies in receiver.bodies.values())


def test_a_receiver_that_dies_after_it_took_it_counts_it_once(
    desk: Desk, receiver: Receiver, carrying: Deliveries
) -> None:
    made = desk.released()
    receiver.says = [0]
    assert carrying.round() == 0
    desk.centre.clock.advance(6)
    assert carrying.round() == 1
    assert receiver.attempts == [f"{made.id}.released"] * 2
    assert len(receiver.taken()) == 1


class DiesAfter(Webhook):
    """Our own program dies when the other side has taken the parcel, before that is noted."""

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:
        super().carry(target, parcel, now)
        raise KeyboardInterrupt


def test_a_sender_that_dies_after_it_was_taken_sends_the_same_again(
    desk: Desk, target: Target, receiver: Receiver, carrying: Deliveries
) -> None:
    made = desk.released()
    with pytest.raises(KeyboardInterrupt):
        desk.deliveries(target, by={"https": DiesAfter()}).round()
    assert desk.states() == [(made.id, "waiting")]
    assert carrying.round() == 0  # it might still be on its way
    desk.centre.clock.advance(61)
    assert carrying.round() == 1
    assert len(receiver.taken()) == 1
    assert len(receiver.bodies[f"{made.id}.released"]) == 1


def test_a_receiver_that_asks_for_patience_is_left_alone(
    desk: Desk, receiver: Receiver, carrying: Deliveries
) -> None:  # fmt: skip
    desk.released()
    receiver.says, receiver.retry_after = [429], "3600"
    assert carrying.round() == 0
    desk.centre.clock.advance(3599)
    assert carrying.round() == 0
    assert len(receiver.attempts) == 1
    desk.centre.clock.advance(1)
    assert carrying.round() == 1


def open_findings(desk: Desk) -> list[str]:
    with desk.centre.store.read() as connection:
        rows = connection.execute(
            finding.select().where(finding.c.rule == "delivery", finding.c.resolved_position.is_(None))
        )
        return [row.text for row in rows]


def test_what_is_gone_for_good_waits_for_a_person_and_the_next_goes_on(
    desk: Desk, receiver: Receiver, carrying: Deliveries
) -> None:
    first, second = desk.released(), desk.released()
    receiver.says = [410]
    carrying.round()
    assert desk.states() == [(first.id, "dead"), (second.id, "waiting")]
    (said,) = open_findings(desk)
    assert first.id in said
    assert "wattseal collector deliver retry settlement" in said
    assert carrying.round() == 1
    with desk.centre.store.write() as connection:
        assert outbox.retry(connection, desk.centre.log, "settlement", None, desk.centre.clock.wall()) == 1
    assert open_findings(desk) == []
    assert carrying.round() == 1
    assert keys(receiver) == [(second.id, "release.released"), (first.id, "release.released")]


def test_after_three_days_it_is_given_up(desk: Desk, receiver: Receiver, carrying: Deliveries) -> None:
    made = desk.released()
    receiver.says = [500] * 40
    for _ in range(30):
        carrying.round()
        desk.centre.clock.advance(4 * 3600)
    assert desk.states() == [(made.id, "dead")]
    assert len(open_findings(desk)) == 1
    assert 6 <= len(receiver.attempts) <= 12
    with desk.centre.store.write() as connection, pytest.raises(ConfigError, match="nothing of x was given up"):
        outbox.retry(connection, desk.centre.log, "settlement", "x", 0)


def test_a_release_that_the_format_cannot_say_is_told_with_the_list(desk: Desk, target: Target) -> None:
    made = desk.released()
    nem12 = target.model_copy(update={"formats": ["nem12"]})
    assert desk.deliveries(nem12, by={"https": Webhook()}).round() == 0
    assert desk.states() == [(made.id, "dead")]
    (said,) = open_findings(desk)
    assert "nem12 cannot say this release" in said


def test_a_withdrawal_follows_its_release(desk: Desk, receiver: Receiver, carrying: Deliveries) -> None:
    made = desk.released()
    carrying.round()
    desk.withdraw(made)
    assert carrying.round() == 1
    assert keys(receiver) == [(made.id, "release.released"), (made.id, "release.withdrawn")]
    (file,) = receiver.taken()[1]["data"]["files"]  # type: ignore[index]
    assert file["name"] == "withdrawn.jws"
    assert file["content"].count(".") == 2


def test_a_party_gets_only_its_own_and_of_the_kinds_it_wants(
    desk: Desk, target: Target, receiver: Receiver
) -> None:  # fmt: skip
    bank = target.model_copy(update={"party": "bank", "kinds": ["final"]})
    desk.released("final")
    desk.released("preliminary", "bank")
    own = desk.released("final", "bank")
    assert desk.deliveries(bank, by={"https": Webhook()}).round() == 1
    assert keys(receiver) == [(own.id, "release.released")]


def test_large_files_are_named_not_put_in(desk: Desk, target: Target, receiver: Receiver) -> None:
    made = desk.released()
    large = target.model_copy(update={"inline_bytes": 10, "fetch_url": "https://here.example/v1/feed/"})
    assert desk.deliveries(large, by={"https": Webhook()}).round() == 1
    for file in receiver.taken()[0]["data"]["files"]:  # type: ignore[index]
        assert file["url"] == f"https://here.example/v1/feed/{made.id}/{file['name']}"
        assert "content" not in file


def test_a_wrong_secret_is_told_and_tried_again(
    desk: Desk, target: Target, receiver: Receiver, secret_file: Path
) -> None:  # fmt: skip
    desk.released()
    right = secret_file.read_text()
    secret_file.write_text("whsec_short")
    carrying = desk.deliveries(target, by={"https": Webhook()})
    assert carrying.round() == 0
    secret_file.write_text(right)
    desk.centre.clock.advance(6)
    assert carrying.round() == 1
    assert len(receiver.taken()) == 1
