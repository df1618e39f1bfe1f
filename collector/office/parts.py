"""How a route is given what the office is built from."""

from typing import Annotated

from fastapi import Depends, Request

from collector.intake.intake import Counters
from collector.parts import Parts


def _parts(request: Request) -> Parts:
    found: Parts = request.app.state.parts
    return found


def _counters(request: Request) -> Counters | None:
    found: Counters | None = request.app.state.counters
    return found


Office = Annotated[Parts, Depends(_parts)]
Passed = Annotated[Counters | None, Depends(_counters)]
