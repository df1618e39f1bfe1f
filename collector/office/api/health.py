"""Health: is the program alive, and can it do its work."""

from dataclasses import asdict
from typing import Literal

from fastapi import APIRouter

from collector.office.answers import Answer, Whole
from collector.office.parts import Office, Passed

router = APIRouter(tags=["health"])


class Alive(Answer):
    """The program answers."""

    status: Literal["ok"] = "ok"


class Ready(Answer):
    """The database answers; `intake` counts what passed since the start, where the inlet runs in this process."""

    status: Literal["ok"] = "ok"
    log: str
    size: Whole
    intake: dict[str, int] | None


@router.get("/healthz")
def healthz() -> Alive:
    """Return that the program answers."""
    return Alive()


@router.get("/readyz")
def readyz(office: Office, passed: Passed) -> Ready:
    """Return that the database answers, and how long the log is."""
    with office.store.read() as connection:
        size = office.log.size(connection)
    return Ready(log=office.log.id, size=size, intake=None if passed is None else asdict(passed))
