"""The four screens and what they share: menu, clock, templates, files."""

from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Query
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from collector.office.api import findings, releases
from collector.office.api.findings import Severity
from collector.office.parts import Office, Passed
from collector.office.terms import SiteFilter
from collector.office.web import completeness, today
from collector.office.web.words import clock, tone_of_release, tone_of_severity
from collector.parts import Parts

MENU = (("/", "Today"), ("/completeness", "Completeness"), ("/findings", "Findings"), ("/releases", "Releases"))
MOST = 200
router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
_templates = Environment(
    loader=PackageLoader("collector.office.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


def install(app: FastAPI) -> None:
    """Add the page to an application."""
    app.include_router(router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"), name="static")


def _page(office: Parts, name: str, here: str, title: str, size: int, shown: dict[str, object]) -> HTMLResponse:
    frame: dict[str, object] = {
        "title": title, "here": here, "menu": MENU, "collector": office.config.id, "log": office.log.id, "size": size,
        "now": clock(office.clock.wall() // 1_000_000),
    }  # fmt: skip
    return HTMLResponse(_templates.get_template(name).render(frame | shown))


@router.get("/")
def show_today(office: Office, passed: Passed) -> HTMLResponse:
    """Show who sends, who is silent, and what waits for a person."""
    with office.store.read() as connection:
        size = office.log.size(connection)
        shown = today.view(connection, office.clock.wall(), passed)
    return _page(office, "today.html", "/", "Today", size, shown)


@router.get("/completeness")
def show_completeness(office: Office, by: Literal["hour", "day"] = "hour", site: SiteFilter = None) -> HTMLResponse:
    """Show channel by hour or day, each with the letter of its worst interval."""
    with office.store.read() as connection:
        size = office.log.size(connection)
        shown = completeness.view(connection, office.clock.wall() // 1_000_000, by, site)
    return _page(office, "completeness.html", "/completeness", "Completeness", size, shown)


@router.get("/findings")
def show_findings(
    office: Office, severity: Severity | None = None, state: Annotated[Literal["open", "all"], Query()] = "open"
) -> HTMLResponse:
    """Show what the rules have to say."""
    with office.store.read() as connection:
        size = office.log.size(connection)
        found = findings.newest(connection, severity, MOST, is_open=True if state == "open" else None)
    shown: dict[str, object] = {
        "most": MOST,
        "choices": _choices(severity, state),
        "rows": [_finding(one) for one in found],
    }
    return _page(office, "findings.html", "/findings", "Findings", size, shown)


def _choices(severity: str | None, state: str) -> list[dict[str, object]]:
    levels = ((None, "every severity"), ("E", "E blocks"), ("W", "W asks"), ("I", "I informs"))
    chosen = [
        {"path": _findings_path(level, state), "name": name, "here": level == severity} for level, name in levels
    ]  # fmt: skip
    return chosen + [
        {"path": _findings_path(severity, one), "name": one, "here": one == state} for one in ("open", "all")
    ]  # fmt: skip


def _findings_path(severity: str | None, state: str) -> str:
    return f"/findings?state={state}" + (f"&severity={severity}" if severity else "")


def _finding(one: findings.Finding) -> dict[str, object]:
    return {
        "severity": one.severity, "tone": tone_of_severity(one.severity), "rule": one.rule, "text": one.text,
        "where": one.channel or one.meter or one.agent or "", "when": one.start or f"position {one.position}",
        "until": one.stop, "resolved": one.resolved_position,
    }  # fmt: skip


@router.get("/releases")
def show_releases(office: Office) -> HTMLResponse:
    """Show what was handed to settlement."""
    with office.store.read() as connection:
        size = office.log.size(connection)
        found = releases.read(connection, MOST)
    rows = [
        one.model_dump() | {"tone": tone_of_release(one.kind), "withdrawn": one.withdrawn_position is not None}
        for one in found
    ]
    return _page(office, "releases.html", "/releases", "Releases", size, {"most": MOST, "rows": rows})
