"""What is fetched by cursor: no gap and no duplicate whenever the consumer dies; answers stand in the log."""

import json
import random
from collections.abc import Callable

import pytest

from collector.config import Collector
from collector.deliver import answers, feed, tokens
from collector.deliver.answers import Answer
from collector.intake import generation, refill
from collector.office.app import create, door
from collector.parts import Parts
from collector.settle.release import Made
from collector.store.engine import Store
from shared.errors import ConfigError
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.deliver.conftest import Desk
from tests.collector.office.conftest import Browser
from tests.collector.vee.test_vee_run import T0

TARGETS = [
    {"id": "settlement", "kind": "pull", "formats": ["jsonl", "csv"]},
    {"id": "bank", "kind": "pull", "party": "bank"},
]


class Counter:
    """The collector's office, and the tokens of two parties."""

    def __init__(self, desk: Desk) -> None:
        centre = desk.centre
        config = Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}, "target": TARGETS})
        self.parts = Parts(config, centre.clock, centre.signer, centre.store, centre.log, centre.ledger, None)
        self.browser = Browser(create(self.parts))
        with centre.store.write() as connection:
            self.tokens = {
                name: tokens.make(connection, name, by="anna", now=centre.clock.wall())
                for name in ("settlement", "bank")
            }

    def get(self, path: str, who: str = "settlement") -> dict[str, object]:
        found = self.browser.get(path, Authorization=f"Bearer {self.tokens[who]}")
        assert found.status_code == 200, found.text
        body: dict[str, object] = found.json()
        return body

    def says(self, made: Made, who: str = "settlement", **said: object) -> tuple[int, dict[str, object]]:
        found = self.browser.ask(
            "POST", f"/v1/feed/{made.id}/answers", json=said, headers={"Authorization": f"Bearer {self.tokens[who]}"}
        )
        return found.status_code, found.json()


@pytest.fixture
def counter(desk: Desk) -> Counter:
    return Counter(desk)


def items(page: dict[str, object]) -> list[tuple[str, str]]:
    return [(one["release_id"], one["what"]) for one in page["items"]]  # type: ignore[attr-defined]


class Consumer:
    """Keeps what it took and its cursor in one step; forgets all else when it dies."""

    def __init__(self, ask: Callable[[str], dict[str, object]], chance: random.Random) -> None:
        self._ask, self._chance = ask, chance
        self.kept: tuple[str | None, list[tuple[str, str]]] = (None, [])

    def goes_on(self) -> bool:
        """Fetch a page, and keep it unless it dies before; return whether more is to come."""
        cursor, taken = self.kept
        path = f"/v1/feed?limit={self._chance.randint(1, 3)}" + (f"&cursor={cursor}" if cursor else "")
        page = self._ask(path)
        if self._chance.random() < 0.3:
            return True
        self.kept = str(page["cursor"]), taken + items(page)
        return bool(page["more"])


def test_a_consumer_that_dies_anywhere_misses_nothing_and_sees_nothing_twice(desk: Desk, counter: Counter) -> None:
    chance = random.Random(6)
    consumer = Consumer(counter.get, chance)
    happened: list[tuple[str, str]] = []
    for turn in range(6):
        made = desk.released()
        happened.append((made.id, "released"))
        desk.released(party="bank")
        if turn % 2:
            desk.withdraw(made)
            happened.append((made.id, "withdrawn"))
        for _ in range(chance.randrange(3)):
            consumer.goes_on()
    while consumer.goes_on():
        pass
    while len(consumer.kept[1]) < len(happened):
        consumer.goes_on()
    consumer.goes_on()
    assert consumer.kept[1] == happened


def test_files_are_given_as_they_were_signed(desk: Desk, counter: Counter) -> None:
    made = desk.released()
    who = {"Authorization": f"Bearer {counter.tokens['settlement']}"}
    assert counter.browser.get(f"/v1/feed/{made.id}/manifest.jws", **who).text == f"{made.jws}\n"
    for name in ("jsonl", f"{made.id}.jsonl"):
        assert counter.browser.get(f"/v1/feed/{made.id}/{name}", **who).content == made.rows
    assert counter.browser.get(f"/v1/feed/{made.id}/csv", **who).text.startswith("point,quantity")
    assert counter.browser.get(f"/v1/feed/{made.id}/espi", **who).status_code == 404


def test_without_a_token_nothing_is_given_and_of_others_nothing_is_said(desk: Desk, counter: Counter) -> None:
    made = desk.released()
    bare = counter.browser.get("/v1/feed")
    assert (bare.status_code, bare.headers["www-authenticate"]) == (401, "Bearer")
    assert "wattseal collector deliver token" in bare.json()["detail"]
    assert counter.browser.get("/v1/feed", Authorization="Bearer settlement.x").status_code == 401
    assert items(counter.get("/v1/feed", "bank")) == []
    foreign = counter.browser.get(f"/v1/feed/{made.id}/jsonl", Authorization=f"Bearer {counter.tokens['bank']}")
    unknown = counter.browser.get("/v1/feed/central-1-999999/jsonl", Authorization=f"Bearer {counter.tokens['bank']}")
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.json()["detail"].replace(made.id, "x") == unknown.json()["detail"].replace("central-1-999999", "x")


def test_a_token_that_was_taken_back_opens_nothing(desk: Desk, counter: Counter) -> None:
    with desk.centre.store.write() as connection:
        assert tokens.revoke(connection, "settlement") == 1
    found = counter.browser.get("/v1/feed", Authorization=f"Bearer {counter.tokens['settlement']}")
    assert found.status_code == 401


def test_the_door_to_the_network_asks_for_the_token_too(counter: Counter) -> None:
    outside = Browser(door(counter.parts))
    assert outside.get("/v1/feed").status_code == 401
    assert outside.get("/v1/feed", Authorization=f"Bearer {counter.tokens['bank']}").status_code == 200
    assert outside.get("/v1/releases").status_code == 404


def test_only_what_was_made_since_is_given(desk: Desk, counter: Counter) -> None:
    desk.released()
    desk.centre.clock.advance(3600)
    later = desk.released()
    since = instant(desk.centre.clock.wall() // 1_000_000)
    assert items(counter.get(f"/v1/feed?updated_since={since}")) == [(later.id, "released")]
    wrong = counter.browser.get("/v1/feed?cursor=x", Authorization=f"Bearer {counter.tokens['bank']}")
    assert wrong.status_code == 422


def test_answers_stand_in_the_log_once_and_nothing_is_deemed_accepted(desk: Desk, counter: Counter) -> None:
    made = desk.released("final")
    status, first = counter.says(made, answer="acknowledged", by="sap")
    assert status == 200
    assert counter.says(made, answer="acknowledged", by="sap") == (200, first)
    row = [["gt1", instant(T0)]]
    status, disputed = counter.says(made, answer="disputed", by="jo", rows=row, reason="CT ratio")
    assert (status, disputed["answer"]) == (200, "disputed")
    with desk.centre.store.read() as connection:
        told = answers.read(connection, [made.id])
        entry = desk.centre.log.entry(connection, int(str(disputed["position"])))
    assert [one["answer"] for one in told] == ["acknowledged", "disputed"]
    assert told[1]["rows"] == row
    assert entry is not None
    assert entry.kind == "release"


def test_an_answer_that_does_not_fit_changes_nothing(desk: Desk, counter: Counter) -> None:
    made = desk.released("final")
    size = desk.size()
    for said in (
        {"answer": "disputed", "by": "jo", "rows": [["gt1", "2020-01-01T00:00:00Z"]], "reason": "x"},
        {"answer": "disputed", "by": "jo", "rows": [], "reason": "x"},
        {"answer": "accepted", "by": "jo", "rows": [["gt1", instant(T0)]]},
        {"answer": "deemed", "by": "jo"},
    ):
        assert counter.says(made, **said)[0] == 422
    assert counter.says(made, "bank", answer="accepted", by="jo")[0] == 404
    assert desk.size() == size


@pytest.mark.parametrize(
    "said",
    [
        {"by": "jo\x1b[2J"},
        {"by": "jo\x00"},
        {"by": " "},
        {"by": "\ud800"},
        {"by": "jo", "proof": "\x00"},
        {"by": "jo", "proof": "\udfff"},
    ],
)
def test_an_answer_that_is_no_text_changes_nothing(desk: Desk, counter: Counter, said: dict[str, str]) -> None:
    made, size = desk.released("final"), desk.size()
    found = counter.browser.ask(
        "POST", f"/v1/feed/{made.id}/answers", content=json.dumps({"answer": "accepted", **said}).encode("ascii"),
        headers={"Authorization": f"Bearer {counter.tokens['settlement']}", "Content-Type": "application/json"},
    )  # fmt: skip
    assert found.status_code == 422, found.text
    assert desk.size() == size


def test_a_dispute_that_no_record_holds_is_told_and_changes_nothing(desk: Desk, counter: Counter) -> None:
    made, size = desk.released("final"), desk.size()
    row = ["gt1", instant(T0)]
    status, told = counter.says(made, answer="disputed", by="jo", rows=[row] * 7000, reason="CT ratio")
    assert (status, "say it in several" in str(told["detail"])) == (422, True)
    assert desk.size() == size


def test_a_party_cannot_fill_the_log_with_answers(desk: Desk, counter: Counter) -> None:
    made = desk.released("final")
    statuses = [counter.says(made, answer="acknowledged", by=f"sap {at}")[0] for at in range(answers.MOST + 1)]
    assert statuses == [200] * answers.MOST + [422]
    assert counter.says(made, answer="acknowledged", by="sap 0")[0] == 200  # said before


@pytest.mark.parametrize("cursor", ["1.99999999999999999999999", "1.5000", "7.0", "1.-2", "1.--1", "-1.0", "x.1", "."])
def test_a_cursor_of_leaves_that_are_not_there_is_refused(desk: Desk, counter: Counter, cursor: str) -> None:
    desk.released()
    found = counter.browser.get(f"/v1/feed?cursor={cursor}", Authorization=f"Bearer {counter.tokens['settlement']}")
    assert found.status_code == 422, found.text


def test_a_reader_of_a_log_that_was_restored_twice_is_told_again_from_the_first(store: Store) -> None:
    desk = Desk(Centre(store))
    clock = desk.centre.clock
    with store.read() as connection:
        first = desk.centre.log.size(connection)
        before = feed.cursor(desk.centre.log, first + 1)
    for _ in range(2):
        generation.restore(store, desk.centre.log, number=None, reason="disk", by="anna", now=clock.wall())
    with store.read() as connection:
        assert feed.position(connection, desk.centre.log, before) == first - 1


def test_a_row_is_named_by_point_and_start() -> None:
    assert answers.row("gt1@2026-03-01T00:00:00Z") == ("gt1", "2026-03-01T00:00:00Z")
    with pytest.raises(ConfigError, match="write POINT@START"):
        answers.row("gt1")
    assert Answer("r", "accepted", "jo").content("a") != Answer("r", "accepted", "jo").content("b")


def test_a_reader_of_a_restored_log_is_told_again_from_there(store: Store) -> None:
    desk = Desk(Centre(store))
    made = desk.released()
    with store.read() as connection:
        before = feed.cursor(desk.centre.log, desk.centre.log.size(connection) + 500)
    generation.restore(store, desk.centre.log, number=None, reason="disk", by="anna", now=desk.centre.clock.wall())
    with store.write() as connection:
        refill.go_on_without(connection, desk.centre.log, reason="lab", by="anna", now=desk.centre.clock.wall())
    again = desk.released()
    with store.read() as connection:
        known = feed.position(connection, desk.centre.log, before)
        found = [one.release_id for one in feed.read(connection, None, known, 10)]
    assert found == [again.id]
    assert made.id != again.id
