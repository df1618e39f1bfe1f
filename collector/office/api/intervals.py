"""Intervals: a channel's values over a time, as they are known now or were known at any position of the log."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection

from collector.office import reading, terms
from collector.office.answers import CSV, JSON, Answer, Whole, media, tagged
from collector.office.columns import Columns, as_csv, as_json
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.reading import Span
from collector.office.terms import CHANNEL, instant_of, tree_size
from collector.parts import Parts
from shared.errors import ConfigError
from shared.release import instant

router = APIRouter(tags=["intervals"])
#: Of one answer; half a year of five-minute values.
MOST = 53_000

Named = Annotated[str, Query(pattern=CHANNEL, description="site/meter.quantity")]
From = Annotated[str, Query(alias="from", max_length=20, description="start of the first interval, RFC 3339 with Z")]
To = Annotated[str, Query(max_length=20, description="end of the last interval, RFC 3339 with Z")]
AsOf = Annotated[str | None, Query(max_length=20, description="size of the log, or a time; now where left out")]
Length = Annotated[int | None, Query(ge=1, le=86_400, description="the channel's only length where left out")]
_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {CSV: {}}}}


class Intervals(Answer):
    """Columns of equal length: entry k is the interval that starts at `start` + k * `length_s`.

    A value is null where nothing is known; beyond +-(2^53-1) it is text. `position` is the size of the log that the
    answer follows from. RAW values are those that validation has not reached.
    """

    channel: str
    unit: str
    start: str
    length_s: int
    position: Whole
    values: list[Whole | None]
    status: list[str]
    method: list[str | None]
    flags: list[list[str]]


@router.get("/intervals", response_model=Intervals, responses=_FORMS)
def intervals(
    office: Office, request: Request, channel: Named, start: From, to: To, as_of: AsOf = None, length_s: Length = None
) -> Response:
    """Return intervals in columns; with `Accept: text/csv` as rows."""
    wanted = media(request, (JSON, CSV))
    found = _read(office, channel, start, to, as_of, length_s)
    return _answer(request, found, wanted, as_of)


@router.get("/intervals.csv", response_class=Response, responses=_FORMS)
def intervals_csv(
    office: Office, request: Request, channel: Named, start: From, to: To, as_of: AsOf = None, length_s: Length = None
) -> Response:
    """Return intervals as rows."""
    return _answer(request, _read(office, channel, start, to, as_of, length_s), CSV, as_of)


def _answer(request: Request, found: Columns, wanted: str, as_of: str | None) -> Response:
    content = as_json(found) if wanted == JSON else as_csv(found)
    return Response(content, media_type=wanted) if as_of is None else tagged(request, content, wanted)


def _read(office: Parts, name: str, start: str, to: str, as_of: str | None, length: int | None) -> Columns:
    channel = terms.channel(name)
    first, stop = instant_of(start, "from"), instant_of(to, "to")
    with office.store.read() as connection:
        number = reading.number_of(connection, channel)
        if number is None:
            raise absent(f"nothing was ever heard of channel {name!r}; see /v1/channels")
        length = _length(connection, number, name, length)
        fits(first, stop, length)
        size, position = office.log.size(connection), tree_size(connection, office.log, as_of)
        span = Span(first, stop, length, None if position == size else position)
        return reading.read(connection, channel, number, span, position)


def _length(connection: Connection, number: int, name: str, asked: int | None) -> int:
    known = reading.lengths(connection, number)
    if asked is None and len(known) != 1:
        raise ConfigError(f"channel {name!r} has intervals of {', '.join(map(str, known)) or 'no'} s; give length_s")
    if asked is not None and asked not in known:
        raise ConfigError(f"channel {name!r} has no intervals of {asked} s; it has {', '.join(map(str, known))}")
    return known[0] if asked is None else asked


def fits(first: int, stop: int, length: int, most: int = MOST) -> None:
    """Accept a span of whole intervals, at most so many.

    Raises:
        ConfigError: it is none.
    """
    if first % length or stop % length or first < 0:
        raise ConfigError(f"from and to: intervals of {length} s start at multiples of it, not at {instant(first)}")
    if not 0 < stop - first <= most * length:
        raise ConfigError(
            f"from and to: 1 to {most} intervals of {length} s at a time; ask for the rest in further calls"
        )
