"""An office over a real store, and a browser that asks it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from collector.config import Collector
from collector.intake import authority
from collector.office import keys
from collector.office.app import create
from collector.parts import Parts
from collector.store.engine import Store
from shared.clock import Clock
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent


def config(**changes: object) -> Collector:
    """Return the configuration of a collector named `central`."""
    return Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}, **changes})


class Browser:
    """Asks an application as a client on the network would, without a network between."""

    def __init__(self, app: FastAPI) -> None:
        self.app = app

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        return asyncio.run(self._ask(method, path, **how))

    async def _ask(self, method: str, path: str, **how: Any) -> httpx.Response:  # noqa: ANN401 - what httpx takes
        link = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=link, base_url="http://127.0.0.1:8080") as client:
            return await client.request(method, path, **how)

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    def json(self, path: str) -> Any:  # noqa: ANN401 - any JSON
        found = self.get(path)
        assert found.status_code == 200, found.text
        return found.json()

    def send(self, text: str | bytes, media: str = "application/jose") -> httpx.Response:
        return self.ask("POST", "/v1/ingest", content=text, headers={"Content-Type": media})


class Bureau:
    """A collector's intake with the office over it."""

    def __init__(self, centre: Centre, **changes: object) -> None:
        self.centre, self.store, self.clock = centre, centre.store, centre.clock
        clock: Clock = centre.clock
        self.authority = authority.make("central", clock.wall())
        self.parts = Parts(
            config(**changes),
            clock,
            centre.signer,
            centre.store,
            centre.log,
            centre.ledger,
            None,
            authority=self.authority,
        )
        self.browser = Browser(create(self.parts))

    def key(self, person: str, *scopes: str, sites: tuple[str, ...] | None = None, days: int = 30) -> dict[str, str]:
        """Return the header of a new key."""
        with self.store.write() as connection:
            made = keys.make(
                connection, self.centre.log, person, scopes, sites=sites, days=days, by="root", now=self.clock.wall()
            )
        return {"Authorization": f"Bearer {made}"}

    def size(self) -> int:
        """Return how many leaves the log has."""
        with self.store.read() as connection:
            return self.centre.log.size(connection)

    def agent(self, name: str = "dc1-gw1", site: str = "dc1") -> LittleAgent:
        return self.centre.agent(name, site)


@pytest.fixture
def bureau(store: Store, make_centre: Callable[[Store], Centre]) -> Bureau:
    """Return an office over an empty store."""
    return Bureau(make_centre(store))
