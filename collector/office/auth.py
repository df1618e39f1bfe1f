"""How a route asks who writes: an API key with the scope that it needs; reads ask for none (see `access`)."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.exceptions import HTTPException

from collector.office import keys
from collector.office.keys import Holder
from collector.office.parts import Office
from collector.parts import Parts
from shared.log import Log as Events

events = Events(__name__)


def bearer(request: Request) -> str:
    """Return the secret that was shown as `Authorization: Bearer SECRET`; empty where none was."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _by(scope: str) -> Callable[[Request, Office], Holder]:
    """Return what gives the holder of a key with a scope, and refuses everybody else."""

    def asked(request: Request, office: Office) -> Holder:
        with office.store.read() as connection:
            found = keys.holder(connection, bearer(request), office.clock.wall())
        if found is None:
            raise HTTPException(
                401, "show a key that is good as `Authorization: Bearer wsk_...`; the collector's operator makes one by"
                f" wattseal collector keys make PERSON --scope {scope}", headers={"WWW-Authenticate": "Bearer"},
            )  # fmt: skip
        events.info("key_shown", key=found.key, person=found.person, scope=scope, good=scope in found.scopes)
        if scope not in found.scopes:
            raise HTTPException(403, f"key {found.key} of {found.person} is for {', '.join(found.scopes)}; not {scope}")
        return found

    return asked


def hold(office: Parts, connection: Connection, holder: Holder) -> None:
    """Let no other program append until a write transaction ends, and refuse a key that has ended since it was shown.

    A key is taken back by a record in the log: what its holder writes stands before that record, or not at all.

    Raises:
        HTTPException: the key is good no more.
        Fenced: another collector has taken the log over.
    """
    office.log.hold(connection)
    state = keys.state(connection, holder.key, office.clock.wall())
    if state != "good":
        raise HTTPException(401, f"key {holder.key} of {holder.person}: {state}", {"WWW-Authenticate": "Bearer"})


def on_site(holder: Holder, site: str) -> None:
    """Refuse what a key does outside its sites.

    Raises:
        HTTPException: the key is of other sites.
    """
    if not holder.may_on(site):
        raise HTTPException(
            403, f"key {holder.key} of {holder.person} is for {', '.join(holder.sites or ())}; not for site {site}"
        )  # fmt: skip


PointsWriter = Annotated[Holder, Depends(_by("points:write"))]
Editor = Annotated[Holder, Depends(_by("edits:write"))]
Approver = Annotated[Holder, Depends(_by("edits:approve"))]
Releaser = Annotated[Holder, Depends(_by("releases:make"))]
Sender = Annotated[Holder, Depends(_by("deliveries:write"))]
