"""The outermost layer: no request over the limit comes in, no answer goes out without its headers."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collector.office.problems import problem

#: Longest body of a request; a batch is at most 262,144 bytes. [bytes]
LIMIT = 300_000
#: What may be longer: master data of a large site.
LIMITS = {"/v1/points": 16_000_000}
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Border:
    """ASGI layer around the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and dress its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            limit = LIMITS.get(scope["path"], LIMIT)
            body = await _body(Headers(scope=scope), receive, limit)
        except ClientDisconnect:
            return  # half a batch is none: nobody is there to be answered
        if body is None:
            await problem(413, f"a request may have {limit} bytes", reason="oversize")(scope, receive, _dressed(send))
            return
        await self.app(scope, _again(body, receive), _dressed(send))


async def _body(headers: Headers, receive: Receive, limit: int) -> bytes | None:
    """Return the whole body, None where it is longer than the limit. [bytes]

    Raises:
        ClientDisconnect: the sender left before its end.
    """
    announced = headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > limit:
        return None
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > limit:
            return None
    return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body once, and then what else comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give


def _dressed(send: Send) -> Send:
    async def give(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return give
