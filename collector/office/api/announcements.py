"""Announcements: the records that an agent must know beside its receipts, for those that are on the second path."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse

from collector.office.parts import Office
from collector.office.terms import AgentInPath

router = APIRouter(prefix="/announcements", tags=["ingest"])


@router.get("/{agent}", response_class=PlainTextResponse)
def announcements(office: Office, agent: AgentInPath) -> PlainTextResponse:
    """Return signed records, one a line, oldest first: restored logs and new keys of the collector; mostly none."""
    told = dict(office.ledger.announcements())
    return PlainTextResponse(told.get(agent, ""), headers={"Cache-Control": "no-store"})
