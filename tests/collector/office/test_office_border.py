"""What every answer has in common: problems, limits, headers, and who may listen."""

import asyncio
import dataclasses
from collections.abc import Callable

import pytest
from sqlalchemy import insert

from collector.office.app import create
from collector.office.border import LIMIT
from collector.store.engine import Store
from collector.store.schema import channel
from shared.errors import ConfigError, StoreError
from tests.collector.office.conftest import Browser, Bureau, config

ENERGY = "dc1/m1.energy_active_import"


REFUSED = [
    ("/v1/nothing", 404),
    ("/nothing", 404),
    ("/v1/agents/gw9", 404),
    ("/v1/ledger/0", 404),
    ("/v1/releases/central-1-000001", 404),
    ("/v1/releases/central-1-000001/rows", 404),
    ("/v1/enrolments/" + "A" * 43, 404),
    (f"/v1/intervals?channel={ENERGY}&from=2026-03-02T14:00:00Z&to=2026-03-02T15:00:00Z", 404),
    ("/v1/agents/Not%20A%20Name", 422),
    ("/v1/agents?limit=0", 422),
    ("/v1/agents?limit=1001", 422),
    ("/v1/agents?limit=ten", 422),
    ("/v1/agents?cursor=!", 422),
    ("/v1/agents?cursor=e30", 422),
    ("/v1/agents?site=%00", 422),
    ("/v1/findings?severity=X", 422),
    ("/v1/findings?channel=dc1", 422),
    ("/v1/findings?channel=dc1/m.nothing", 422),
    ("/v1/ledger/9223372036854775808", 422),
    ("/v1/ledger/-1", 422),
    ("/v1/ledger?size=1", 422),
    ("/v1/ledger?from=1", 422),
    ("/v1/points?at=yesterday", 422),
    ("/v1/points?as_of=99", 422),
    ("/v1/intervals", 422),
    ("/v1/intervals?channel=dc1/m1.energy&from=2026-03-02T14:00:00Z&to=2026-03-02T15:00:00Z", 422),
    (f"/v1/intervals?channel={ENERGY}&from=yesterday&to=2026-03-02T15:00:00Z", 422),
    ("/completeness?by=year", 422),
    ("/completeness?site=%27%3B--", 422),
]
KIND = {404: "urn:wattseal:problem:not-found", 422: "urn:wattseal:problem:invalid"}


def test_every_refusal_is_a_problem_that_says_what_to_do(bureau: Bureau) -> None:
    for path, status in REFUSED:
        found = bureau.browser.get(path)
        assert found.status_code == status, (path, found.text)
        assert found.headers["content-type"] == "application/problem+json"
        body = found.json()
        assert (body["type"], body["status"]) == (KIND[status], status)
        assert body["title"]
        assert len(body["detail"]) > 10
        assert all(one["pointer"].startswith(("/query/", "/path/")) for one in body["errors"])


def test_an_unknown_method_is_a_problem_too(bureau: Bureau) -> None:
    found = bureau.browser.ask("DELETE", "/v1/agents")
    assert found.status_code == 405
    assert found.headers["content-type"] == "application/problem+json"


def test_what_is_not_offered_in_a_format_is_refused_by_name(bureau: Bureau) -> None:
    bureau.agent()
    found = bureau.browser.get("/v1/ledger/0", accept="application/xml")
    assert found.status_code == 406
    assert "application/jose" in found.json()["detail"]


def test_a_body_over_the_limit_is_not_read(bureau: Bureau) -> None:
    for path in ("/v1/ingest", "/v1/enrolments"):
        found = bureau.browser.ask(
            "POST", path, content=b"x" * (LIMIT + 1), headers={"Content-Type": "application/jose"}
        )
        assert found.status_code == 413
        assert found.json()["reason"] == "oversize"


def test_half_a_request_is_none(bureau: Bureau) -> None:
    """A sender that leaves in the middle of a batch leaves nothing behind, and nothing in quarantine."""
    text = bureau.agent().texts[0].encode("ascii")
    arriving: list[dict[str, object]] = [
        {"type": "http.request", "body": text[:200], "more_body": True}, {"type": "http.disconnect"}
    ]  # fmt: skip
    said: list[object] = []

    async def receive() -> dict[str, object]:
        return arriving.pop(0)

    async def send(message: object) -> None:
        said.append(message)

    headers = [(b"content-type", b"application/jose"), (b"content-length", str(len(text)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/v1/ingest", "headers": headers, "query_string": b""}
    asyncio.run(bureau.browser.app(scope, receive, send))
    assert said == []
    with bureau.store.read() as connection:
        assert bureau.centre.ledger.quarantined(connection) == 0


def test_a_database_that_does_not_answer_is_a_503(bureau: Bureau) -> None:
    class Away(Store):
        def read(self):  # type: ignore[no-untyped-def] # noqa: ANN202 - it never returns
            raise StoreError("the disk is full; make room, then start again")

    parts = bureau.parts
    away = Away(parts.store.engine, parts.store.name, parts.store.data_dir)
    found = Browser(create(dataclasses.replace(parts, store=away))).get("/readyz")
    assert found.status_code == 503
    assert found.json()["detail"].startswith("the disk is full")
    assert found.headers["retry-after"] == "5"


def test_an_error_of_our_own_shows_nothing_of_itself(bureau: Bureau) -> None:
    with bureau.store.write() as connection:
        connection.execute(insert(channel).values(site="dc1", meter="m1", quantity="no_such_quantity"))
    found = bureau.browser.get("/v1/channels")
    assert found.status_code == 500
    assert found.json()["type"] == "urn:wattseal:problem:bug"
    assert "no_such_quantity" not in found.text


def test_every_answer_is_dressed(bureau: Bureau) -> None:
    for path in ("/", "/v1/agents", "/v1/nothing", "/static/office.css", "/healthz"):
        headers = bureau.browser.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_an_open_api_refuses_to_be_reached_from_outside(bureau: Bureau) -> None:
    for listen in ("0.0.0.0:8080", "10.1.2.3:80", "[::]:8080", "collector.example:80"):
        with pytest.raises(ConfigError, match="reverse proxy"):
            create(dataclasses.replace(bureau.parts, config=config(api_listen=listen)))


def test_loopback_is_enough(bureau: Bureau) -> None:
    for listen in ("127.0.0.1:8080", "localhost:80", "[::1]:8080", "127.0.0.9:1"):
        create(dataclasses.replace(bureau.parts, config=config(api_listen=listen)))


def test_health_says_whether_the_work_can_be_done(bureau: Bureau) -> None:
    assert bureau.browser.json("/healthz") == {"status": "ok"}
    bureau.agent()
    assert bureau.browser.json("/readyz") == {"status": "ok", "log": "wattseal/central/1", "size": 1, "intake": None}


def test_a_list_is_given_whole_in_pages(bureau: Bureau, make_agents: Callable[[int], list[str]]) -> None:
    names, path, seen = make_agents(5), "/v1/agents?limit=2&site=dc1", list[str]()
    while path:
        found = bureau.browser.get(path)
        seen += [one["agent"] for one in found.json()["items"]]
        path = found.links["next"]["url"] if "next" in found.links else ""
        assert bool(path) == (found.json()["next"] is not None)
    assert seen == sorted(names)


def test_a_cursor_is_good_for_its_own_list_only(bureau: Bureau, make_agents: Callable[[int], list[str]]) -> None:
    make_agents(2)
    cursor = bureau.browser.json("/v1/agents?limit=1&site=dc1")["next"]
    assert bureau.browser.json(f"/v1/agents?limit=1&site=dc1&cursor={cursor}")["items"]
    for path in (f"/v1/agents?limit=1&site=dc2&cursor={cursor}", f"/v1/meters?site=dc1&cursor={cursor}"):
        found = bureau.browser.get(path)
        assert found.status_code == 422
        assert "other filters" in found.json()["detail"]


@pytest.fixture
def make_agents(bureau: Bureau) -> Callable[[int], list[str]]:
    """Return how to enrol some agents."""
    return lambda count: [bureau.agent(f"gw{number}").agent for number in range(count)]
