"""Points: what is settled, as the dated formulas that the log holds; written as the file has them, by who has a key."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from starlette.exceptions import HTTPException

from collector.office.answers import JSON, REVALIDATE, TOML, Answer, Whole, media
from collector.office.auth import PointsWriter, hold
from collector.office.guarded import DryRun, agreed
from collector.office.keys import Holder
from collector.office.parts import Office
from collector.office.terms import Time, instant_of, tree_size
from collector.parts import Parts
from collector.settle import points as file
from collector.settle import points_text, sources
from shared.errors import ConfigError
from shared.master import PointVersion, in_force
from shared.release import instant

router = APIRouter(prefix="/points", tags=["points"])
_READERS = {JSON: file.of_json, TOML: file.of_toml}
_FILE = {"type": "object", "description": "what points.toml holds; config/points.toml shows it"}
_BODY = {"requestBody": {"required": True, "content": {JSON: {"schema": _FILE}, TOML: {"schema": {"type": "string"}}}}}


async def _text(request: Request) -> str:
    try:
        return (await request.body()).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"the body is not UTF-8: {error}") from error


Text = Annotated[str, Depends(_text)]


class Point(Answer):
    """A settlement point from `since` on, until a later entry of the same id takes over."""

    id: str
    since: str
    role: str
    formula: str
    length_s: int
    quantity: str
    parties: list[str]
    market: dict[str, dict[str, str]]
    losses: dict[str, str] | None  # the point is what is lost of its formula
    share: dict[str, Any] | None  # the point is a party's share of what its formula gives
    part: str | None  # positive or negative: only that part of what its formula gives
    until: str | None  # from then on the point is no more, until a later entry
    rounding: str | None  # by which rule its rows are rounded; null: by that of the release
    in_force: bool


class Points(Answer):
    """Every entry of the master data, and which of them hold at `at`; `position` is that of their record."""

    at: str
    position: Whole | None
    points: list[Point]


class Change(Answer):
    """What a write changes, a line each: - what goes, + what comes, ~ what is told otherwise."""

    points: int
    changes: list[str]
    position: Whole | None  # of the record that is in force
    written: bool


@router.get("", response_model=Points, responses={200: {"content": {TOML: {}}}})
def points(office: Office, request: Request, response: Response, at: Time = None, as_of: Time = None) -> Any:  # noqa: ANN401 - a body, or the file
    """Return the points as a reader of the log at `as_of` knows them; with `Accept: application/toml` as the file."""
    moment = office.clock.wall() // 1_000_000 if at is None else instant_of(at, "at")
    with office.store.read() as connection:
        found = sources.points(connection, tree_size(connection, office.log, as_of))
    headers = {"ETag": _tag(found.position), "Cache-Control": REVALIDATE, "Vary": "Accept"}
    if media(request, (JSON, TOML)) == TOML:
        return Response(points_text.text(found.versions), media_type=TOML, headers=headers)
    response.headers.update(headers)
    holding = in_force(found.versions, moment)
    entries = [_shown(one, in_force=holding.get(one.id) == one) for one in found.versions]
    return Points(at=instant(moment), position=_known(found.position), points=entries)


def _shown(one: PointVersion, *, in_force: bool) -> Point:
    return Point(
        id=one.id, since=instant(one.since), role=one.role, formula=one.formula, length_s=one.length,
        quantity=one.quantity, parties=list(one.parties),
        market={form: dict(names) for form, names in one.market},
        losses=None if one.losses is None else dict(one.losses.texts),
        share=None if one.share is None else one.share.body(), part=one.part or None,
        until=None if one.until is None else instant(one.until), rounding=one.rounding or None, in_force=in_force,
    )  # fmt: skip


@router.put("", openapi_extra=_BODY)
def put(office: Office, request: Request, holder: PointsWriter, text: Text, *, dry_run: DryRun = False) -> Change:
    """Put the points of a whole file into force as one signed record; `If-Match` names those that were looked at."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in _READERS:
        raise HTTPException(415, f"points are written as {' or '.join(_READERS)}")
    wanted = _READERS[kind](text)
    sources.check(wanted)
    with office.store.read() as connection:
        standing = sources.points(connection, office.log.size(connection))
    lines, position = file.diff(standing.versions, wanted), standing.position
    if not dry_run:
        position = _put(office, request, holder, wanted, position, changes=bool(lines))
    written = position != standing.position
    return Change(points=len({one.id for one in wanted}), changes=lines, position=_known(position), written=written)


def _put(
    office: Parts, request: Request, holder: Holder, wanted: Sequence[PointVersion], seen: int, *, changes: bool
) -> int:  # fmt: skip
    """Return the position of the points in force once these are; everything long was done before."""
    with office.store.write() as connection:
        hold(office, connection, holder)
        standing = sources.position(connection, office.log.size(connection))
        agreed(request, _tag(standing), "GET /v1/points")
        if standing != seen:  # between the look of this request itself and now
            raise HTTPException(412, "other points have come into force in this moment; look at GET /v1/points again")
        if not changes:
            return standing
        return sources.record(connection, office.log, wanted, by=holder.person, now=office.clock.wall())


def _known(position: int) -> int | None:
    return None if position < 0 else position


def _tag(position: int) -> str:
    return f'"points-{position if position >= 0 else "none"}"'
