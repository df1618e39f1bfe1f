"""The API and the gateways' door make their routes before they serve: later, two threads would make the same ones."""

import sys
from collections.abc import Callable
from types import FrameType

import pytest
from fastapi import FastAPI

from collector.office.app import create, door, ready
from collector.parts import Parts
from tests.collector.office.conftest import Browser, Bureau

#: What FastAPI makes a route's parameters with (fastapi.dependencies.utils).
MAKES = "get_dependant"


def made_at_requests(app: FastAPI) -> int:
    """Return how many routes or dependencies were made while routes were asked for the first time."""
    found: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_name == MAKES:
            found.append(MAKES)

    browser = Browser(app)
    sys.setprofile(note)
    try:
        for method, path in (("GET", "/v1/feed"), ("POST", "/v1/enrolments"), ("POST", "/v1/ingest")):
            browser.ask(method, path, json={})
    finally:
        sys.setprofile(None)
    return len(found)


@pytest.mark.parametrize("application", [create, door])
def test_routes_are_made_before_the_first_request(bureau: Bureau, application: Callable[[Parts], FastAPI]) -> None:
    parts: Parts = bureau.parts
    assert made_at_requests(application(parts)) > 0, "FastAPI makes them at once now; `ready` can go"
    assert made_at_requests(ready(application(parts))) == 0
