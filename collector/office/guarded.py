"""Writes that name what their sender looked at: shown first by `dry_run`, done with its entity tag in `If-Match`.

Rule of this file: nothing is written over what the sender has not seen (RFC 9110 section 13.1.1, RFC 6585 section 3).
"""

import hashlib
from typing import Annotated

from fastapi import Query, Request
from starlette.exceptions import HTTPException

from shared import strictjson

DryRun = Annotated[bool, Query(description="only show what would come of it; nothing is written")]


def tag_of(seen: dict[str, object]) -> str:
    """Return the entity tag of what a draft showed; the same for the same."""
    return f'"{hashlib.sha256(strictjson.dumps(seen).encode()).hexdigest()[:32]}"'


def agreed(request: Request, tag: str, look: str) -> None:
    """Accept a write whose `If-Match` names what stands.

    Args:
        request: The request.
        tag: Entity tag of what stands.
        look: Where it is shown.

    Raises:
        HTTPException: it names nothing (428), or something else (412).
    """
    named = request.headers.get("if-match")
    if named is None:
        raise HTTPException(428, f"look at {look} first, and send the ETag of what you saw as If-Match")
    if tag not in [one.strip() for one in named.split(",")]:
        raise HTTPException(412, f"what stands is no longer what {named[:60]} showed; look at {look} again")
