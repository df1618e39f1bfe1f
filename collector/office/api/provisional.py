"""Provisional intervals: what came ahead of a backlog, for the open day; it counts once its chain is complete."""

from typing import Annotated

from fastapi import APIRouter, Query

from collector.office import terms
from collector.office.answers import Answer, Whole
from collector.office.api.intervals import From, Named, To, fits
from collector.office.parts import Office
from collector.office.terms import instant_of
from collector.series import provisional as ahead
from shared.errors import ConfigError
from shared.release import instant

router = APIRouter(tags=["intervals"])
#: Of one answer; a day of one-minute values. [intervals]
MOST = 1440
Length = Annotated[int, Query(ge=1, le=86_400, description="of the intervals, as the agents seal them")]


class Provisional(Answer):
    """Columns of equal length, as of `/v1/intervals`: entry k is the interval at `start` + k * `length_s`.

    Values are read from authentic batches that wait for their predecessors; they are in no ledger and in no release.
    Null is what no such batch tells; what is admitted already is in `/v1/intervals`.
    """

    channel: str
    unit: str
    start: str
    length_s: int
    values: list[Whole | None]


@router.get("/provisional")
def provisional(office: Office, channel: Named, start: From, to: To, length_s: Length = 300) -> Provisional:
    """Return what is known of a channel ahead of its turn."""
    named = terms.channel(channel)
    first, stop = instant_of(start, "from"), instant_of(to, "to")
    fits(first, stop, length_s, MOST)
    if named.quantity.kind != "register":
        raise ConfigError(f"channel {channel!r}: only registers are told ahead of their turn")
    span = range(first, stop, length_s)
    with office.store.read() as connection:
        found = ahead.read(connection, named.site, named.meter, named.quantity.name, span)
    values = [found[at].value if at in found else None for at in span]
    return Provisional(
        channel=channel, unit=named.quantity.unit, start=instant(first), length_s=length_s, values=values
    )  # fmt: skip
