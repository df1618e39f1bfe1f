"""Releases made and withdrawn by who has a key; each is a record in the log."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from collector.office.answers import Answer, Whole
from collector.office.api.releases import Id, Kind, there
from collector.office.auth import Releaser, hold
from collector.office.parts import Office
from collector.office.terms import NAME, instant_of
from collector.settle.making import made
from collector.settle.release import Request, manifest_of, withdraw
from shared.errors import ConfigError

router = APIRouter(prefix="/releases", tags=["releases"])
Name = Annotated[str, Field(pattern=NAME)]


class Wanted(BaseModel):
    """What is asked for; a final that differs from an earlier one becomes a correction."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["preliminary", "final"]
    from_: Annotated[str, Field(alias="from", max_length=40)]
    to: Annotated[str, Field(max_length=40)]
    points: Annotated[list[Name], Field(max_length=100_000)] = []
    party: Name | None = None


class Released(Answer):
    """A release that was made; manifest and rows stand at /v1/releases/<release_id>[/rows]."""

    release_id: str
    kind: Kind
    number: int
    position: Whole
    supersedes: str | None  # row by row in the manifest, under `delta`


class Why(BaseModel):
    """Why a release is withdrawn."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class Withdrawn(Answer):
    """Where the record that withdraws a release stands."""

    release_id: str
    position: Whole


@router.post("", status_code=201)
def make(office: Office, _holder: Releaser, wanted: Wanted, response: Response) -> Released:
    """Make a release of all that is in the log by now; asked again with nothing new, it is the same release."""
    start, stop = instant_of(wanted.from_, "from"), instant_of(wanted.to, "to")
    asked = Request(start, stop, wanted.kind, tuple(wanted.points), wanted.party)
    found = made(office.store, office.log, office.clock, office.signer, office.config, asked)
    response.headers["Location"] = f"/v1/releases/{found.id}"
    return Released.model_validate(
        {
            "release_id": found.id,
            "kind": found.kind,
            "number": found.number,
            "position": found.position,
            "supersedes": manifest_of(found)["supersedes"],
        }
    )


@router.post("/{release_id}/withdrawal")
def take_back(office: Office, holder: Releaser, release_id: Id, why: Why) -> Withdrawn:
    """Withdraw a release; its files stay what they are."""
    if not why.reason.isprintable():
        raise ConfigError("reason: write it as one line of text")
    with office.store.write() as connection:
        hold(office, connection, holder)
        there(connection, release_id)
        position = withdraw(
            connection, office.log, release_id, reason=why.reason, by=holder.person, now=office.clock.wall()
        )
    return Withdrawn(release_id=release_id, position=position)
