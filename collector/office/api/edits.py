"""Edits: what people change of intervals, by who has a key; drafted first, signed with reason, approved by another."""

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection

from collector.office.answers import Answer, Whole, moment
from collector.office.auth import Approver, Editor, hold, on_site
from collector.office.guarded import DryRun, agreed, tag_of
from collector.office.keys import Holder
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import CHANNEL, instant_of
from collector.parts import Parts
from collector.vee.edit import book, entries
from collector.vee.edit import request as asked
from collector.vee.edit.entries import Entry
from collector.vee.edit.request import Draft, Reason
from collector.vee.edit.shown import shown
from collector.vee.run import alone
from shared.quantity import INT64_MAX

router = APIRouter(prefix="/edits", tags=["edits"])
Position = Annotated[int, Path(ge=0, le=INT64_MAX, description="of the record of the change")]
_MOST = 100_000  # intervals of one change
_TEXT = re.compile(r"-?[0-9]{1,39}")


def _whole(value: object) -> object:
    """Return the integer of a text: JSON has such for what no number of it holds exactly."""
    return int(value) if isinstance(value, str) and _TEXT.fullmatch(value) else value


Count = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


class Why(BaseModel):
    """Why something is done: one of the closed list, and a sentence."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reason: Reason
    text: Annotated[str, Field(min_length=1, max_length=asked.LONGEST)]


class Change(Why):
    """What is asked for; `values`, `total`, `method` and `source` where the action looks at them. [counts]"""

    channel: Annotated[str, Field(pattern=CHANNEL)]
    action: Literal["edit", "accept", "reject", "estimate", "copy"]
    from_: Annotated[str, Field(alias="from", max_length=40)]
    to: Annotated[str, Field(max_length=40)]
    values: Annotated[list[Count], Field(max_length=_MOST)] = []
    total: Count | None = None
    method: Annotated[str | None, Field(max_length=40)] = None
    source: Annotated[str | None, Field(pattern=CHANNEL)] = None


class Interval(Answer):
    """One interval before and after. [counts]"""

    start: str
    before: Whole | None
    before_status: str
    after: Whole | None
    after_status: str


class Drafted(Answer):
    """What a change does; `position` is that of its record, null while it is only shown. [counts of the unit]"""

    channel: str
    unit: str
    intervals: list[Interval]
    before: Whole
    after: Whole
    moved: Whole
    needs_second: bool  # it is proposed only, until another person approves it
    position: Whole | None


class Told(Answer):
    """One entry of the book of changes."""

    position: Whole
    kind: Literal["edit", "approval"]
    time: str
    by: str
    state: Literal["in force", "proposed", "approved", "withdrawn", "undone"]
    action: str | None
    channel: str | None
    reason: str
    text: str
    sha256: str  # of the signed string: the next entry names it
    moved: Whole | None


class Signed(Answer):
    """Where the record of what was done stands."""

    position: Whole
    edit: Whole


@router.get("")
def edits(office: Office, cut: Cutting, state: Annotated[str | None, Query(max_length=20)] = None) -> Page[Told]:
    """Return what people have changed, in the order of the log, and what has become of each."""
    with office.store.read() as connection:
        told = entries.entries(connection)
    after = cut.after(-1)
    later = (_told(one, told) for one in told if one.position > after)
    found = islice((one for one in later if state in (None, one.state)), cut.wanted)
    return cut.page(list(found), lambda one: one.position)


def _told(one: Entry, told: list[Entry]) -> Told:
    body = one.body
    return Told(
        position=one.position, kind="edit" if one.kind == "edit" else "approval", time=moment(one.time), by=one.by,
        state=entries.state(one, told), action=body.get("action"), channel=entries.channel(one.position, told),
        reason=body["reason"], text=body["text"], sha256=one.sha256, moved=body.get("moved"),
    )  # fmt: skip


@router.post("")
def change(
    office: Office, request: Request, response: Response, holder: Editor, wanted: Change, *, dry_run: DryRun = False
) -> Drafted:
    """Change intervals as a `dry_run` showed it, whose ETag stands in `If-Match`; above a limit it is proposed only."""
    on_site(holder, wanted.channel.partition("/")[0])
    fields = wanted.model_dump(exclude={"from_", "to", "values"})
    made = asked.Request(
        **fields, author=holder.person, values=tuple(wanted.values), start=instant_of(wanted.from_, "from"),
        stop=instant_of(wanted.to, "to"),
    )  # fmt: skip
    with _drafting(office, holder, dry_run=dry_run) as connection:
        draft = book.preview(connection, office.log, made)
        return _done(office, connection, draft, request, response, dry_run=dry_run)


@router.post("/{position}/undo")
def undo(
    office: Office, request: Request, response: Response, holder: Editor, position: Position, why: Why, *,
    dry_run: DryRun = False,
) -> Drafted:  # fmt: skip
    """Take a change back as a `dry_run` showed it, whose ETag stands in `If-Match`."""
    made = asked.Request(
        channel="", action="undo", start=0, stop=0, author=holder.person, reason=why.reason, text=why.text
    )
    with _drafting(office, holder, dry_run=dry_run) as connection:
        _on_its_site(connection, holder, position)
        draft = book.undone(connection, office.log, position, made)
        return _done(office, connection, draft, request, response, dry_run=dry_run)


@router.post("/{position}/approval")
def approve(office: Office, holder: Approver, position: Position) -> Signed:
    """Put another person's proposed change into force."""
    with _writing(office, holder) as connection:
        _on_its_site(connection, holder, position)
        at = book.approve(connection, office.log, position, holder.person, office.clock.wall())
    return Signed(position=at, edit=position)


@router.post("/{position}/withdrawal")
def withdraw(office: Office, holder: Editor, position: Position, why: Why) -> Signed:
    """Take a proposal out of the book before anyone approves it."""
    with _writing(office, holder) as connection:
        _on_its_site(connection, holder, position)
        at = book.withdraw(
            connection, office.log, position, person=holder.person, reason=why.reason, text=why.text,
            now=office.clock.wall(),
        )  # fmt: skip
    return Signed(position=at, edit=position)


def _drafting(office: Parts, holder: Holder, *, dry_run: bool) -> AbstractContextManager[Connection]:
    return office.store.read() if dry_run else _writing(office, holder)


@contextmanager
def _writing(office: Parts, holder: Holder) -> Iterator[Connection]:
    """Give a transaction in which what is drafted stands until it is written, whichever program else writes."""
    with office.store.write() as connection:
        alone(connection)
        hold(office, connection, holder)
        yield connection


def _on_its_site(connection: Connection, holder: Holder, position: int) -> None:
    channel = entries.channel(position, entries.entries(connection))
    if channel is None:
        raise absent(f"no change at position {position}; see /v1/edits")
    on_site(holder, channel.partition("/")[0])


def _done(
    office: Parts, connection: Connection, draft: Draft, request: Request, response: Response, *, dry_run: bool
) -> Drafted:
    """Show a draft, or do what an earlier look at it showed."""
    told = shown(draft)
    tag = tag_of({**told, "asked": _asked(draft)})
    response.headers["ETag"] = tag
    if dry_run:
        return Drafted.model_validate({**told, "position": None})
    agreed(request, tag, f"POST {request.url.path}?dry_run=true")
    position = book.apply(connection, office.log, draft, office.clock.wall())
    return Drafted.model_validate({**told, "position": position})


def _asked(draft: Draft) -> list[object]:
    """Return what of a request enters the record beside the intervals."""
    made = draft.request
    return [made.action, made.reason, made.text, made.method, made.source, draft.undoes]
