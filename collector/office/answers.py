"""How the API writes values, and how it answers with them: formats by Accept, entity tags, numbers, times."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, PlainSerializer, WithJsonSchema
from starlette.exceptions import HTTPException

from shared.release import instant
from shared.strictjson import SAFE

JSON, CSV, NDJSON, JOSE = "application/json", "text/csv", "application/x-ndjson", "application/jose"
TOML = "application/toml"
FOREVER = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"


def number(value: int) -> int | str:
    """Return an integer as JSON may hold it: beyond +-(2^53-1) as text (DESIGN.md section 4)."""
    return value if -SAFE <= value <= SAFE else str(value)


Whole = Annotated[
    int,
    PlainSerializer(number, return_type=int | str, when_used="json"),
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^-?[0-9]+$"}]}),
]


class Answer(BaseModel):
    """A body that the API gives."""

    model_config = ConfigDict(frozen=True)


def moment(us: int) -> str:
    """Return RFC 3339 in UTC to the microsecond. us: [UTC us]

    >>> moment(1_772_460_000_000_001)
    '2026-03-02T14:00:00.000001Z'
    """
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{us % 1_000_000:06d}Z"


def moment_or_none(us: int | None) -> str | None:
    """Return RFC 3339 in UTC to the microsecond, None where nothing is known. us: [UTC us]"""
    return None if us is None else moment(us)


def instant_or_none(seconds: int | None) -> str | None:
    """Return RFC 3339 in UTC, None where nothing is known. seconds: [UTC s]"""
    return None if seconds is None else instant(seconds)


def media(request: Request, offers: Sequence[str]) -> str:
    """Return the offer that the request's Accept likes best; of equals the first.

    Raises:
        HTTPException: it takes none of them.
    """
    ranges = [_range(one) for one in request.headers.get("accept", "*/*").split(",")]
    best = max(offers, key=lambda offer: _liking(offer, ranges))
    if _liking(best, ranges) <= 0:
        raise HTTPException(406, f"it is given as {', '.join(offers)}; name one of them in Accept")
    return best


def _range(text: str) -> tuple[str, float]:
    name, _, parameters = text.partition(";")
    weights = [one.partition("=")[2] for one in parameters.split(";") if one.strip().startswith("q=")]
    try:
        return name.strip().lower(), float(weights[0]) if weights else 1.0
    except ValueError:
        return name.strip().lower(), 0.0


def _liking(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Return the weight of the most exact range that an offer falls into."""
    weights = dict(ranges)
    names = (offer, f"{offer.partition('/')[0]}/*", "*/*")
    return next((weights[name] for name in names if name in weights), 0.0)


def tagged(request: Request, content: bytes, media_type: str, *, cache: str = REVALIDATE) -> Response:
    """Return an answer with an entity tag; 304 without a body where the asker has it already."""
    headers = _headers(hashlib.sha256(content).hexdigest(), cache)
    if _has(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)


def tagged_pieces(
    request: Request, pieces: Iterator[bytes], sha256: str, media_type: str, *, cache: str = REVALIDATE
) -> Response:  # fmt: skip
    """Return what `tagged` does, of content that is sent piece by piece and whose hash is known."""
    headers = _headers(sha256, cache)
    if _has(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def _headers(sha256: str, cache: str) -> dict[str, str]:
    return {"ETag": f'"{sha256[:32]}"', "Cache-Control": cache, "Vary": "Accept"}


def _has(request: Request, tag: str) -> bool:
    """Return whether the asker has a content already."""
    known = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in known or "*" in known


def tagged_json(request: Request, body: Answer, *, cache: str = REVALIDATE) -> Response:
    """Return a body as JSON with an entity tag."""
    return tagged(request, body.model_dump_json().encode(), JSON, cache=cache)
