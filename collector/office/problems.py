"""Every refusal of the API as a problem of RFC 9457: what happened, to which thing, what to do."""

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.errors import ConfigError, Fenced, LinkDown, StoreError, TrustError, WrongIdentity

MEDIA = "application/problem+json"
#: Status: the end of `type`, and the title.
KINDS = {
    400: ("not-believed", "What was sent cannot be believed"),
    401: ("who", "It is not known who asks"),
    403: ("not-allowed", "The sender may not do this"),
    404: ("not-found", "There is no such thing"),
    405: ("method", "This path does not take that method"),
    406: ("format", "Not given in that format"),
    409: ("conflict", "It conflicts with what is known"),
    412: ("changed", "What was looked at has changed since"),
    413: ("too-large", "The request is too large"),
    415: ("media-type", "The request is not of the expected media type"),
    422: ("invalid", "A value of the request is not allowed"),
    428: ("unguarded", "It must be said what was looked at"),
    429: ("too-many", "Too much is waiting already"),
    500: ("bug", "The collector made an error"),
    503: ("store", "The database does not answer"),
}
_TEXT = {"type": "string"}
_ERROR = {"type": "object", "properties": {"pointer": _TEXT, "message": _TEXT}, "required": ["pointer", "message"]}
_SCHEMA = {
    "type": "object",
    "properties": {
        "type": _TEXT,
        "title": _TEXT,
        "status": {"type": "integer"},
        "detail": _TEXT,
        "errors": {"type": "array", "items": _ERROR},
        "reason": _TEXT,
    },
    "required": ["type", "title", "status", "detail", "errors"],
}
#: What every route may answer, for the description of the API.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "Refused (RFC 9457)", "content": {MEDIA: {"schema": _SCHEMA}}},
    "5XX": {"description": "Not possible now (RFC 9457)", "content": {MEDIA: {"schema": _SCHEMA}}},
}


def problem(
    status: int, detail: str, *, errors: Sequence[Mapping[str, str]] = (), reason: str | None = None
) -> JSONResponse:
    """Return a problem as an answer; `reason` is one of `shared.receipt.REASONS`, where a batch was refused."""
    kind, title = KINDS.get(status, ("other", "The request was refused"))
    members: dict[str, object] = {
        "type": f"urn:wattseal:problem:{kind}", "title": title, "status": status, "detail": detail,
        "errors": list(errors),
    }  # fmt: skip
    return JSONResponse(members if reason is None else members | {"reason": reason}, status, media_type=MEDIA)


def absent(detail: str) -> HTTPException:
    """Return what to raise for a thing that is not there."""
    return HTTPException(404, detail)


def install(app: FastAPI) -> None:
    """Answer every error of this application with a problem."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _bug)  # the outermost boundary of a request; the server logs it
    for kind, status in (
        (ConfigError, 422),
        (WrongIdentity, 403),
        (TrustError, 400),
        (StoreError, 503),
        (Fenced, 503),
        (LinkDown, 503),
    ):
        app.add_exception_handler(kind, _ours(status))


def _ours(status: int) -> Any:  # noqa: ANN401 - Starlette's own type for a handler names each exception apart
    async def answer(_request: Request, error: Exception) -> JSONResponse:
        found = problem(status, str(error), reason=error.reason if isinstance(error, TrustError) else None)
        if status == 503:
            found.headers["Retry-After"] = "5"
        return found

    return answer


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    unknown = error.status_code == 404 and error.detail == "Not Found"
    detail = (
        f"no page {request.url.path[:200]!r}; the API is described at /v1/openapi.json" if unknown else error.detail
    )
    found = problem(error.status_code, detail)
    found.headers.update(error.headers or {})
    return found


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = [{"pointer": _pointer(one["loc"]), "message": str(one["msg"])} for one in error.errors()]
    return problem(422, "; ".join(f"{one['pointer']}: {one['message']}" for one in errors), errors=errors)


def _pointer(place: Sequence[int | str]) -> str:
    """Return where a value stands: `/query/limit`, or a JSON pointer into the body as `/body/token`."""
    return "".join(f"/{str(part).replace('~', '~0').replace('/', '~1')}" for part in place)


async def _bug(_request: Request, _error: Exception) -> JSONResponse:
    return problem(500, "an error in the collector; its log has the details, please report it")
