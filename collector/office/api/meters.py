"""Meters: which agent speaks for which meter since when."""

from fastapi import APIRouter
from sqlalchemy import select

from collector.office.answers import Answer, Whole
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.terms import AgentFilter, SiteFilter
from collector.store.schema import meter as table
from shared.release import instant

router = APIRouter(prefix="/meters", tags=["meters"])


class Meter(Answer):
    """An assignment; `by_record` is false where the first agent that spoke for a meter was taken as its owner."""

    id: int
    site: str
    meter: str
    agent: str
    since: str
    position: Whole
    by_record: bool


@router.get("")
def meters(office: Office, cut: Cutting, site: SiteFilter = None, agent: AgentFilter = None) -> Page[Meter]:
    """Return the assignments in the order in which they were made."""
    query = select(table).where(table.c.id > cut.after(0)).order_by(table.c.id).limit(cut.wanted)
    query = query if site is None else query.where(table.c.site == site)
    query = query if agent is None else query.where(table.c.agent == agent)
    with office.store.read() as connection:
        rows = connection.execute(query).mappings().all()
    return cut.page([Meter(**dict(row) | {"since": instant(row["since"])}) for row in rows], lambda one: one.id)
