"""The collector's office over HTTPS, as an enrolling gateway needs it; httpx is imported only when it is asked."""

import ssl
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ValidationError

from shared.errors import ConfigError, LinkDown

if TYPE_CHECKING:
    import httpx

_WITHIN = 10  # [s]


class Answer(BaseModel):
    """What the collector says of an enrolment."""

    claim: str
    state: Literal["pending", "approved", "revoked", "refused"]
    record: str | None = None


class _Problem(BaseModel):
    """RFC 9457."""

    detail: str = ""


def ask(url: str, request: dict[str, object], ca_file: str | None) -> Answer:
    """Send a request to be enrolled; return the answer.

    Raises:
        ConfigError: the collector refuses, or the address cannot be one.
        LinkDown: it cannot be reached.
    """
    return _answer("POST", f"{url.rstrip('/')}/v1/enrolments", request, ca_file)


def look(url: str, claim: str, ca_file: str | None) -> Answer:
    """Return where an enrolment stands; raises as `ask`."""
    return _answer("GET", f"{url.rstrip('/')}/v1/enrolments/{claim}", None, ca_file)


def _answer(method: str, url: str, request: dict[str, object] | None, ca_file: str | None) -> Answer:
    import httpx  # costs memory that a running daemon does not need

    try:
        context = ssl.create_default_context(cafile=ca_file)
        response = httpx.request(method, url, json=request, timeout=_WITHIN, verify=context)
    except httpx.HTTPError as error:
        raise LinkDown(f"{url}: no answer ({error}); check --collector-url and the network") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigError(f"{url}: no address of a collector ({error}); write https://collector.example") from error
    except OSError as error:
        raise ConfigError(f"uplink.ca_file: {ca_file}: cannot be used: {error}") from error
    return _read(url, response)


def _read(url: str, response: "httpx.Response") -> Answer:
    if response.status_code >= 500 or response.status_code == 429:
        raise LinkDown(f"{url}: the collector cannot answer now (status {response.status_code}); it is asked again")
    try:
        if response.status_code >= 400:
            said = _Problem.model_validate_json(response.content).detail
            raise ConfigError(f"{url}: {said or f'refused with status {response.status_code}'}")
        return Answer.model_validate_json(response.content)
    except ValidationError as error:
        raise LinkDown(f"{url}: something answers that is no collector; check --collector-url") from error
