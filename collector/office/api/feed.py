"""The feed of one party: its releases by cursor, their files, and its answers to them. It asks for a token."""

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from starlette.exceptions import HTTPException

from collector.config import Target
from collector.deliver import answers, feed, tokens
from collector.deliver.deliver import merged
from collector.deliver.parcel import files
from collector.office.answers import FOREVER, Answer, Whole, moment, tagged
from collector.office.auth import bearer
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import RELEASE, Time, instant_of
from collector.store.schema import release as table
from shared.release import instant

router = APIRouter(prefix="/feed", tags=["feed"])
Id = Annotated[str, Path(pattern=RELEASE)]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9#._-]{1,200}$")]
US = 1_000_000


def _party(office: Office, request: Request) -> Target:
    """Return the target whose token was shown."""
    with office.store.read() as connection:
        owner = tokens.owner(connection, bearer(request))
    for one in office.config.target:
        if one.id == owner:
            return merged(office.config, one)
    raise HTTPException(
        401, "show the token of your target as `Authorization: Bearer TOKEN`; the collector's operator makes one by"
        " wattseal collector deliver token TARGET", headers={"WWW-Authenticate": "Bearer"},
    )  # fmt: skip


Party = Annotated[Target, Depends(_party)]


class Item(Answer):
    """One thing that happened to a release; `files` stand at /v1/feed/<release_id>/<name>."""

    position: Whole
    what: Literal["released", "withdrawn"]
    release_id: str
    kind: str
    start: str
    stop: str
    supersedes: str | None
    made_at: str
    formats: list[str]


class Feed(Answer):
    """What happened after a cursor, oldest first. Keep `cursor` together with what you took, and go on from it."""

    items: list[Item]
    cursor: str
    more: bool


class Said(BaseModel):
    """An answer to a release."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    answer: Literal["acknowledged", "accepted", "disputed"]
    by: Annotated[str, Field(min_length=1, max_length=160)]
    reason: Annotated[str | None, Field(max_length=2000)] = None
    rows: Annotated[list[tuple[str, str]], Field(max_length=10_000)] = []
    proof: Annotated[str | None, Field(max_length=20_000)] = None

    def to(self, release_id: str) -> answers.Answer:
        """Return it as the answer to a release."""
        return answers.Answer(release_id, self.answer, self.by, self.reason, tuple(self.rows), self.proof)


class Kept(Answer):
    """Where an answer stands in the log."""

    release_id: str
    answer: str
    position: Whole


@router.get("")
def happenings(
    office: Office, party: Party, cursor: Annotated[str | None, Query(max_length=40)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100, updated_since: Time = None,
) -> Feed:  # fmt: skip
    """Return what happened to the party's releases after a cursor."""
    since = max(party.begin, 0 if updated_since is None else instant_of(updated_since, "updated_since") * US)
    with office.store.read() as connection:
        after = feed.position(connection, office.log, cursor)
        found = feed.read(connection, party.party, after, limit + 1, since, party.kinds)
    kept = found[:limit]
    last = kept[-1].position if kept else after
    return Feed(
        items=[_item(one, party) for one in kept], cursor=feed.cursor(office.log, last), more=len(found) > limit
    )


def _item(one: feed.Happening, party: Target) -> Item:
    return Item(
        position=one.position, what=one.what, release_id=one.release_id, kind=one.kind, start=instant(one.start),
        stop=instant(one.stop), supersedes=one.supersedes, made_at=moment(one.made_at), formats=list(party.formats),
    )  # fmt: skip


@router.get("/{release_id}/{name}", response_class=Response)
def file(office: Office, party: Party, request: Request, release_id: Id, name: Name) -> Response:
    """Return one file of a release: `manifest.jws`, a format as `jsonl`, or a file as the webhook named it."""
    _own(office, party, release_id)
    with office.store.read() as connection:
        formats = [name] if name in party.formats else party.formats if name != "manifest.jws" else []
        found = files(connection, release_id, formats, party.market)
    one = next((one for one in found if one.name == name), found[-1] if name in party.formats else None)
    if one is None:
        raise absent(f"release {release_id} has no file {name!r} here; formats: {', '.join(party.formats)}")
    return tagged(request, one.content, one.media, cache=FOREVER)


@router.post("/{release_id}/answers")
def answer(office: Office, party: Party, release_id: Id, said: Said) -> Kept:
    """Take an answer to a release; the same answer again is the same."""
    _own(office, party, release_id)
    with office.store.write() as connection:
        position = answers.give(connection, office.log, party, said.to(release_id), office.clock.wall())
    return Kept(release_id=release_id, answer=said.answer, position=position)


@router.get("/{release_id}/answers")
def given(office: Office, party: Party, release_id: Id) -> list[dict[str, object]]:
    """Return what the party has answered so far, oldest first."""
    _own(office, party, release_id)
    with office.store.read() as connection:
        return [json.loads(json.dumps(one)) for one in answers.read(connection, [release_id], party.id)]


def _own(office: Office, party: Target, release_id: str) -> None:
    """Make sure that a release is one of the party's; of others nothing is said, not even that they exist."""
    with office.store.read() as connection:
        query = select(table.c.party, table.c.kind).where(table.c.release_id == release_id)
        row = connection.execute(query).one_or_none()
    if row is None or row.party != party.party or row.kind not in party.kinds:
        raise absent(f"no release {release_id!r} of yours; see /v1/feed")
