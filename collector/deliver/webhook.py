"""Push by HTTPS: one signed POST a parcel, as Standard Webhooks 1.0 has it (github.com/standard-webhooks).

Rules of this file: the identity is the parcel's key, so that a parcel sent twice is known as one; the signature is over
identity, time of the attempt and the exact bytes; only an answer of 2xx means that it was taken. Of an answer a little
is read, as it came, and within a time: a receiver that never ends it holds up nobody.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from collector.config import Target
from collector.deliver.calls import Calls
from collector.deliver.carrier import NotTaken, patience
from collector.deliver.parcel import Parcel
from collector.intake.authentic import printable
from shared.errors import ConfigError

US = 1_000_000
_TIMEOUT_S = 30.0
_PREFIX = "whsec_"
_GONE = 410
_SAID = 200  # bytes of an answer that are read and kept


def secret(target: Target) -> bytes:
    """Return the secret that both sides share.

    Raises:
        ConfigError: its file cannot be read, is open to everybody, or holds none.
    """
    path = Path(target.secret_file or "")
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(
                f"target {target.id}: secret_file {path}: everybody here can read it; run: chmod o= {path}"
            )
        text = path.read_text(encoding="ascii").strip()
        found = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (OSError, UnicodeDecodeError, binascii.Error) as error:
        raise ConfigError(
            f"target {target.id}: secret_file {path}: {error}; write {_PREFIX} and 24 to 64 bytes in base64"
        ) from error
    if not 24 <= len(found) <= 64:
        raise ConfigError(f"target {target.id}: secret_file {path}: {len(found)} bytes; a secret has 24 to 64")
    return found


def signature(key: bytes, identity: str, seconds: int, body: bytes) -> str:
    """Return the value of `webhook-signature`. [UTC s]"""
    signed = f"{identity}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


class Webhook:
    """Posts parcels.

    Args:
        within: Gives how long one may take, answer included. [s]
    """

    def __init__(self, within: Callable[[Parcel], float] = patience) -> None:
        self._within, self._calls = within, Calls()

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:
        """Hand over a parcel; return what was answered. [UTC us]

        Raises:
            NotTaken: no answer, or another than 2xx.
            Stopping: it was cut.
            ConfigError: the secret cannot be read, or a file is too large.
        """
        body = parcel.event(target.inline_bytes, target.fetch_url)
        seconds = now // US
        headers = {
            "content-type": "application/json", "idempotency-key": parcel.key, "webhook-id": parcel.key,
            "webhook-timestamp": f"{seconds}",
            "webhook-signature": signature(secret(target), parcel.key, seconds, body),
        }  # fmt: skip
        try:
            answer, said = self._calls.run(_posted(target.url or "", body, headers), self._within(parcel))
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, UnicodeError) as error:
            raise NotTaken(f"{_host(target)}: {f'{error}' or type(error).__name__}") from error
        if not answer.is_success:
            raise NotTaken(
                f"{_host(target)}: answered {answer.status_code} {answer.reason_phrase}: {said}",
                after_s=_wait(answer.headers.get("retry-after"), seconds),
                for_good=answer.status_code == _GONE,
            )
        return said

    def cut(self) -> None:
        """End the requests that are under way."""
        self._calls.cut()


async def _posted(url: str, body: bytes, headers: dict[str, str]) -> tuple[httpx.Response, str]:
    """Return the answer to a POST, and the beginning of what it says."""
    plain = headers | {"accept-encoding": "identity"}
    async with (
        httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client,
        client.stream("POST", url, content=body, headers=plain) as answer,
    ):
        begun = b""
        async for piece in answer.aiter_raw(_SAID):  # never unpacked: it may grow beyond all bounds
            begun += piece
            if len(begun) >= _SAID:
                break
        return answer, printable(begun[:_SAID].decode("utf-8", "replace"), _SAID)


def _host(target: Target) -> str:
    """Return how messages call the other side: without what an address may hold of secrets."""
    return urlsplit(target.url or "").hostname or target.id


def _wait(text: str | None, now: int) -> float:
    """Return the seconds of a Retry-After (RFC 9110 section 10.2.3), 0 where it says nothing. [UTC s]"""
    if text is None:
        return 0.0
    if text.isdecimal():
        return float(text[:6])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, OverflowError):
        return 0.0
