"""Releases: what was handed to settlement, byte for byte as it was signed."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Connection, select

from collector.office.answers import (
    CSV,
    FOREVER,
    JOSE,
    JSON,
    NDJSON,
    Answer,
    Whole,
    media,
    moment,
    tagged,
    tagged_pieces,
)
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import NAME, RELEASE
from collector.parts import Parts
from collector.settle import lines, release
from collector.settle.release import Made
from collector.settle.written import pieces, unpacked
from collector.store.schema import release as table
from shared.quantity import INT64_MAX
from shared.release import instant

router = APIRouter(prefix="/releases", tags=["releases"])
Kind = Literal["preliminary", "final", "correction"]
Id = Annotated[str, Path(pattern=RELEASE)]
COLUMNS = (
    "release_id", "number", "kind", "party", "start", "stop", "position", "record_position", "supersedes", "made_at",
    "withdrawn_position",
)  # fmt: skip
_FORMS: dict[int | str, dict[str, Any]] = {200: {"content": {JSON: {}, JOSE: {}}}}
_ROWS: dict[int | str, dict[str, Any]] = {200: {"content": {NDJSON: {}, CSV: {}}}}


class Release(Answer):
    """A release as the list shows it; its manifest and rows stand at /v1/releases/<release_id>[/rows]."""

    release_id: str
    number: int
    kind: Kind
    party: str | None
    start: str
    stop: str
    position: Whole
    record_position: Whole
    supersedes: str | None
    made_at: str
    withdrawn_position: Whole | None


@router.get("")
def releases(
    office: Office, cut: Cutting, kind: Kind | None = None, party: Annotated[str | None, Query(pattern=NAME)] = None
) -> Page[Release]:
    """Return the releases, newest first."""
    with office.store.read() as connection:
        found = read(connection, cut.wanted, before=cut.after(INT64_MAX), kind=kind, party=party)
    return cut.page(found, lambda one: one.number)


def read(
    connection: Connection, most: int, *, before: int = INT64_MAX, kind: str | None = None, party: str | None = None
) -> list[Release]:
    """Return the releases below a number, newest first, without their rows."""
    query = select(*(table.c[name] for name in COLUMNS)).where(table.c.number < min(before, 2**31 - 1))
    query = query if kind is None else query.where(table.c.kind == kind)
    query = query if party is None else query.where(table.c.party == party)
    rows = connection.execute(query.order_by(table.c.number.desc()).limit(most)).mappings()
    return [
        Release(
            **dict(row)
            | {"start": instant(row["start"]), "stop": instant(row["stop"]), "made_at": moment(row["made_at"])}
        )
        for row in rows
    ]


@router.get("/{release_id}", response_class=Response, responses=_FORMS)
def manifest(office: Office, request: Request, release_id: Id) -> Response:
    """Return manifest.json as it was signed; with `Accept: application/jose` the signed string."""
    made = _made(office, release_id)
    if media(request, (JSON, JOSE)) == JSON:
        return tagged(request, made.manifest, JSON, cache=FOREVER)
    return tagged(request, made.jws.encode("ascii"), JOSE, cache=FOREVER)


@router.get("/{release_id}/rows", response_class=Response, responses=_ROWS)
def rows(office: Office, request: Request, release_id: Id) -> Response:
    """Return rows.jsonl, or with `Accept: text/csv` rows.csv."""
    made = _made(office, release_id)
    if media(request, (NDJSON, JSON, CSV)) == CSV:
        return _csv(request, made)
    hash_ = str(release.manifest_of(made)["rows_sha256"])
    return tagged_pieces(request, pieces(made.packed), hash_, NDJSON, cache=FOREVER)


@router.get("/{release_id}/rows.csv", response_class=Response, responses={200: {"content": {CSV: {}}}})
def rows_csv(office: Office, request: Request, release_id: Id) -> Response:
    """Return rows.csv."""
    return _csv(request, _made(office, release_id))


def _csv(request: Request, made: Made) -> Response:
    return tagged(request, b"".join(lines.table(unpacked(made.packed))), CSV, cache=FOREVER)


def _made(office: Parts, release_id: str) -> Made:
    with office.store.read() as connection:
        there(connection, release_id)
        return release.fetch(connection, release_id)


def there(connection: Connection, release_id: str) -> None:
    """Make sure that there is such a release.

    Raises:
        HTTPException: there is none (404).
    """
    if connection.execute(select(table.c.number).where(table.c.release_id == release_id)).one_or_none() is None:
        raise absent(f"no release {release_id!r}; see /v1/releases")
