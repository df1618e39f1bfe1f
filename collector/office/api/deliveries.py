"""Deliveries: what is on its way to whom, and what was answered; who has a key lets it be tried again."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, Select, and_, or_, select

from collector.config import Target
from collector.deliver import answers, outbox
from collector.office.answers import Answer, Whole, moment, moment_or_none
from collector.office.api.feed import Kept, Said
from collector.office.api.releases import there
from collector.office.auth import Sender, hold
from collector.office.paging import Cutting, Page
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import NAME, RELEASE
from collector.parts import Parts
from collector.store.delivery import delivery as table
from shared.errors import ConfigError

router = APIRouter(prefix="/deliveries", tags=["deliveries"])
State = Literal["waiting", "delivered", "dead"]
ReleaseId = Annotated[str, Field(pattern=RELEASE)]
_KEY = re.compile(r"(-1|[0-9]{1,18}) ([a-z0-9_-]{0,63})")
TargetId = Annotated[str, Path(pattern=NAME, description="id of a [[target]]")]


class Answered(Answer):
    """What a party has said of a release."""

    answer: str
    by: str
    at: str
    position: Whole
    reason: str | None


class Delivery(Answer):
    """One thing on its way to a target; `dead` waits for a person."""

    target: str
    position: Whole  # of the release's record in the log
    what: Literal["released", "withdrawn"]
    release_id: str
    state: State
    attempts: int
    next_at: str | None  # null where nothing more is tried
    delivered_at: str | None
    said: str | None  # by the other side, or why it was not taken
    answers: list[Answered]


class Again(BaseModel):
    """What is to be tried again: one release, or without it all that were given up."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    release_id: ReleaseId | None = None


class Noted(Said):
    """What a party has answered to a release."""

    release_id: ReleaseId


class Retried(Answer):
    """How many parcels will be tried again: the same bytes under the same key."""

    target: str
    retried: int


@router.get("")
def deliveries(
    office: Office, cut: Cutting, target: Annotated[str | None, Query(pattern=NAME)] = None, state: State | None = None
) -> Page[Delivery]:
    """Return what is on its way or has arrived, in the order of the log."""
    query = select(table).order_by(table.c.position, table.c.target).limit(cut.wanted)
    query = query if target is None else query.where(table.c.target == target)
    query = query if state is None else query.where(table.c.state == state)
    at, name = _place(cut.after("-1 "))
    query = query.where(or_(table.c.position > at, and_(table.c.position == at, table.c.target > name)))
    with office.store.read() as connection:
        found = _read(connection, query)
    return cut.page(found, lambda one: f"{one.position} {one.target}")


def _place(key: str) -> tuple[int, str]:
    """Return position and target of a cursor, which anyone may have written.

    Raises:
        ConfigError: it is none of ours.
    """
    found = _KEY.fullmatch(key)
    if found is None:
        raise ConfigError("cursor: not one of ours; take it from `next`, or begin without one")
    return int(found.group(1)), found.group(2)


def _read(connection: Connection, query: Select[Any]) -> list[Delivery]:
    rows = connection.execute(query).all()
    said = answers.read(connection, sorted({row.release_id for row in rows}))
    return [
        Delivery(
            target=row.target, position=row.position, what=row.what, release_id=row.release_id, state=row.state,
            attempts=row.attempts, next_at=moment(row.next_at) if row.state == "waiting" else None,
            delivered_at=moment_or_none(row.delivered_at), said=row.said,
            answers=[
                Answered.model_validate(one | {"at": moment(int(str(one["at"])))})
                for one in said
                if (one["target"], one["release_id"]) == (row.target, row.release_id)
            ],
        )
        for row in rows
    ]  # fmt: skip


@router.post("/{target}/retry")
def retry(office: Office, holder: Sender, target: TargetId, what: Again) -> Retried:
    """Let what was given up be tried again."""
    _known(office, target)
    with office.store.write() as connection:
        hold(office, connection, holder)
        count = outbox.retry(connection, office.log, target, what.release_id, office.clock.wall())
    return Retried(target=target, retried=count)


@router.post("/{target}/answers")
def note(office: Office, holder: Sender, target: TargetId, said: Noted) -> Kept:
    """Note what a party has answered elsewhere; the record says who noted it. The same answer again is the same."""
    whose = _known(office, target)
    with office.store.write() as connection:
        hold(office, connection, holder)
        there(connection, said.release_id)
        now = office.clock.wall()
        position = answers.give(connection, office.log, whose, said.to(said.release_id), now, noted_by=holder.person)
    return Kept(release_id=said.release_id, answer=said.answer, position=position)


def _known(office: Parts, target: str) -> Target:
    known = {one.id: one for one in office.config.target}
    if target not in known:
        raise absent(f"no target {target!r} in the collector file; known: {', '.join(known) or 'none'}")
    return known[target]
