"""The application: routers, problems and headers around the parts of one collector."""

from collections.abc import Sequence
from types import ModuleType

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from collector.intake.intake import Counters
from collector.office import access, problems
from collector.office.api import (
    agents,
    announcements,
    authority,
    channels,
    deliveries,
    edits,
    enrolments,
    feed,
    findings,
    health,
    ingest,
    intervals,
    ledger,
    meters,
    points,
    provisional,
    releases,
    releasing,
)
from collector.office.border import Border
from collector.office.web import pages
from collector.parts import Parts
from shared import __version__

SUMMARY = "Metering from signed register reads to numbered releases."
RESOURCES = (
    agents,
    meters,
    channels,
    intervals,
    provisional,
    findings,
    edits,
    points,
    releases,
    releasing,
    deliveries,
    ledger,
    enrolments,
    ingest,
    announcements,
    authority,
    feed,
)


#: What gateways and, by token, parties reach over the network; everything else is read on this machine only.
DOOR = (enrolments, ingest, announcements, authority, feed)


def create(parts: Parts, counters: Counters | None = None) -> FastAPI:
    """Return the API and the page over the parts of a collector.

    Args:
        parts: Configuration, clock, database, log and ledger.
        counters: Those of the inlet, where it runs in this process.

    Raises:
        ConfigError: the address to listen on can be reached from other machines.
    """
    access.check(parts.config)
    app = _bare(parts, counters, RESOURCES, "/v1/openapi.json")
    app.include_router(health.router)
    pages.install(app)
    app.add_middleware(Border)
    return app


def door(parts: Parts, counters: Counters | None = None) -> FastAPI:
    """Return what the network may reach: enrolment, certificates, batches; and releases by a party that has a token."""
    app = _bare(parts, counters, DOOR, None)
    app.add_middleware(Border)
    return app


def ready(app: FastAPI) -> FastAPI:
    """Return an application with its routes made, as FastAPI does at first requests.

    The API and the door have threads of their own and routers in common: where both make them, a request fails.
    """
    app.openapi()
    return app


def _bare(parts: Parts, counters: Counters | None, resources: Sequence[ModuleType], openapi_url: str | None) -> FastAPI:
    app = FastAPI(
        title="Wattseal", summary=SUMMARY, version=__version__, openapi_url=openapi_url, docs_url=None,
        redoc_url=None, redirect_slashes=False, responses=problems.RESPONSES, generate_unique_id_function=_name,
    )  # fmt: skip
    app.state.parts, app.state.counters = parts, counters
    problems.install(app)
    app.include_router(_version_one(resources))
    return app


def _version_one(resources: Sequence[ModuleType]) -> APIRouter:
    router = APIRouter(prefix="/v1")
    for resource in resources:
        router.include_router(resource.router)
    return router


def _name(route: APIRoute) -> str:
    return route.name
