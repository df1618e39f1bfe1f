"""Findings: what a rule has to say of an interval, or admission of a batch."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from sqlalchemy import Connection, Select, select

from collector.office import terms
from collector.office.answers import Answer, Whole, instant_or_none
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.terms import ChannelFilter
from collector.store.schema import channel as channels
from collector.store.schema import finding as table

router = APIRouter(prefix="/findings", tags=["findings"])
Severity = Literal["E", "W", "I"]


class Finding(Answer):
    """A finding: E blocks a release, W asks a person, I informs. It holds from `position` to `resolved_position`."""

    id: int
    channel: str | None
    agent: str | None
    meter: str | None
    rule: str
    severity: Severity
    start: str | None
    stop: str | None
    observed: Whole | None
    limit: Whole | None
    text: str
    made_by: str
    rule_version: int | None
    rules_position: Whole | None  # of the `rules` record in force; null where the defaults held
    position: Whole
    resolved_position: Whole | None


@router.get("")
def findings(
    office: Office,
    cut: Cutting,
    severity: Severity | None = None,
    channel: ChannelFilter = None,
    is_open: Annotated[bool | None, Query(alias="open", description="true: not resolved")] = None,
) -> Page[Finding]:
    """Return the findings in the order in which they were made."""
    query = _filtered(severity, channel, is_open).where(table.c.id > cut.after(0))
    with office.store.read() as connection:
        rows = read(connection, query.order_by(table.c.id).limit(cut.wanted))
    return cut.page(rows, lambda one: one.id)


def newest(connection: Connection, severity: Severity | None, most: int, *, is_open: bool | None) -> list[Finding]:
    """Return the newest findings first."""
    return read(connection, _filtered(severity, None, is_open).order_by(table.c.id.desc()).limit(most))


def _filtered(severity: str | None, channel: str | None, is_open: bool | None) -> Select[tuple[object, ...]]:  # noqa: FBT001 - None is a third answer here, and the three are the query's own parameters
    names = (channels.c.site, channels.c.meter.label("of_meter"), channels.c.quantity)
    query = select(table, *names).outerjoin(channels, channels.c.id == table.c.channel_id)
    query = query if severity is None else query.where(table.c.severity == severity)
    if channel is not None:
        one = terms.channel(channel)
        query = query.where(
            channels.c.site == one.site, channels.c.meter == one.meter, channels.c.quantity == one.quantity.name
        )
    if is_open is None:
        return query
    resolved = table.c.resolved_position
    return query.where(resolved.is_(None) if is_open else resolved.is_not(None))


def read(connection: Connection, query: Select[tuple[object, ...]]) -> list[Finding]:
    """Return the findings of a query over the table and its channels."""
    return [
        Finding(
            id=row.id, channel=f"{row.site}/{row.of_meter}.{row.quantity}" if row.site else None, agent=row.agent,
            meter=row.meter or row.of_meter, rule=row.rule, severity=row.severity, start=instant_or_none(row.start),
            stop=instant_or_none(row.stop), observed=row.observed, limit=row.limit_, text=row.text,
            made_by=row.made_by, rule_version=row.rule_version, rules_position=_recorded(row.rules_position),
            position=row.position, resolved_position=row.resolved_position,
        )
        for row in connection.execute(query)
    ]  # fmt: skip


def _recorded(position: int | None) -> int | None:
    return None if position is None or position < 0 else position
