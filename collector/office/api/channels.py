"""Channels: what is measured, in which unit, and over which time there are registers of it."""

from collections import defaultdict
from collections.abc import Sequence

from fastapi import APIRouter
from sqlalchemy import Connection, func, select

from collector.office.answers import Answer
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.terms import SiteFilter
from collector.store.schema import channel as table
from collector.store.schema import raw_segment, stat_segment, version_segment
from shared.quantity import QUANTITIES
from shared.release import instant

router = APIRouter(prefix="/channels", tags=["channels"])


class Extent(Answer):
    """The time from the first interval of a length to the end of the last, holes included."""

    length_s: int
    start: str
    stop: str


class Channel(Answer):
    """A channel; `unit` names one count of its values."""

    id: int
    channel: str
    site: str
    meter: str
    quantity: str
    unit: str
    obis: str | None
    extents: list[Extent]


@router.get("")
def channels(office: Office, cut: Cutting, site: SiteFilter = None) -> Page[Channel]:
    """Return the channels in the order in which they were first heard of."""
    query = select(table).where(table.c.id > cut.after(0)).order_by(table.c.id).limit(cut.wanted)
    query = query if site is None else query.where(table.c.site == site)
    with office.store.read() as connection:
        rows = connection.execute(query).all()
        spans = extents(connection, [row.id for row in rows])
    found = [
        Channel(
            id=row.id, channel=f"{row.site}/{row.meter}.{row.quantity}", site=row.site, meter=row.meter,
            quantity=row.quantity, unit=QUANTITIES[row.quantity].unit, obis=QUANTITIES[row.quantity].obis,
            extents=[
                Extent(length_s=length, start=instant(first), stop=instant(stop))
                for length, first, stop in spans[row.id]
            ],
        )
        for row in rows
    ]  # fmt: skip
    return cut.page(found, lambda one: one.id)


def extents(connection: Connection, ids: Sequence[int]) -> dict[int, list[tuple[int, int, int]]]:
    """Return by channel (length [s], first start [UTC s], last end [UTC s]) of raw and validated intervals."""
    found: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for segment in (raw_segment, stat_segment, version_segment):
        one, length = segment.c.channel_id, segment.c.length
        last = func.max(segment.c.start + segment.c.length * segment.c.n)
        query = select(one, length, func.min(segment.c.start), last).where(one.in_(ids)).group_by(one, length)
        for whose, long, first, stop in connection.execute(query):
            known = found[whose].get(long, (first, stop))
            found[whose][long] = (min(known[0], first), max(known[1], stop))
    return defaultdict(list, {
        whose: [(long, *span) for long, span in sorted(spans.items())] for whose, spans in found.items()
    })  # fmt: skip
