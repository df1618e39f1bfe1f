"""The application: routers, problems and headers around the parts of one collector."""

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute

from collector.intake.intake import Counters
from collector.office import access, problems
from collector.office.api import (
    agents,
    channels,
    enrolments,
    findings,
    health,
    ingest,
    intervals,
    ledger,
    meters,
    points,
    releases,
)
from collector.office.border import Border
from collector.office.web import pages
from collector.parts import Parts
from shared import __version__

SUMMARY = "Metering from signed register reads to numbered releases."
RESOURCES = (agents, meters, channels, intervals, findings, points, releases, ledger, enrolments, ingest)


def create(parts: Parts, counters: Counters | None = None) -> FastAPI:
    """Return the API and the page over the parts of a collector.

    Args:
        parts: Configuration, clock, database, log and ledger.
        counters: Those of the inlet, where it runs in this process.

    Raises:
        ConfigError: the address to listen on can be reached from other machines.
    """
    access.check(parts.config)
    app = FastAPI(
        title="Wattseal", summary=SUMMARY, version=__version__, openapi_url="/v1/openapi.json", docs_url=None,
        redoc_url=None, redirect_slashes=False, responses=problems.RESPONSES, generate_unique_id_function=_name,
    )  # fmt: skip
    app.state.parts, app.state.counters = parts, counters
    problems.install(app)
    app.include_router(_version_one())
    app.include_router(health.router)
    pages.install(app)
    app.add_middleware(Border)
    return app


def _version_one() -> APIRouter:
    router = APIRouter(prefix="/v1")
    for resource in RESOURCES:
        router.include_router(resource.router)
    return router


def _name(route: APIRoute) -> str:
    return route.name
