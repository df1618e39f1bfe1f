"""The collector's office over HTTPS, as an enrolling gateway needs it; httpx is imported only when it is asked.

Rules of this file: a token that carries a pin is shown only to an office whose certificate chains to the authority of
that pin; the authority's certificate itself is fetched without belief and compared with the pin (as RFC 7030 section
4.1.1 does with a fingerprint). Without TLS a token goes nowhere but to this machine.
"""

import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from agent.keystore import tls
from shared.errors import ConfigError, LinkDown, TrustError, WrongIdentity

if TYPE_CHECKING:
    import httpx

_WITHIN = 10  # [s]
Shape = TypeVar("Shape", bound=BaseModel)


class _Said(BaseModel):
    """What an office says; checks are made when the first is needed, which is never in the daemon."""

    model_config = ConfigDict(defer_build=True)


class Answer(_Said):
    """What the collector says of an enrolment."""

    claim: str
    state: Literal["pending", "approved", "revoked", "refused"]
    record: str | None = None
    certificate: str | None = None
    authority: str | None = None


class Granted(_Said):
    """A certificate, and the authority that signed it."""

    certificate: str
    authority: str


class _Anchor(_Said):
    """The certificate of an office's authority, not believed yet."""

    certificate: str


class _Problem(_Said):
    """RFC 9457."""

    detail: str = ""


def pin_of(token: str) -> str | None:
    """Return the pin that a token carries (id.secret.pin), None where the collector has no authority.

    >>> pin_of("4f0c21aa.secret") is None
    True
    """
    parts = token.split(".")
    return parts[2] if len(parts) == 3 and len(parts[2]) == tls.PIN_LENGTH else None


def anchor(url: str, pin: str) -> str:
    """Return the certificate of the authority that a pin names, as the office gives it; nothing is shown to it before.

    Raises:
        ConfigError: the office has another authority, or the token would cross the network in plain text.
        LinkDown: it cannot be reached.
    """
    address = urlsplit(url)
    if address.scheme != "https" and not _is_here(address.hostname or ""):
        raise ConfigError(f"{url}: over http:// the token could be read on the way; write https://...")
    unbelieving = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    unbelieving.check_hostname = False
    unbelieving.verify_mode = ssl.CERT_NONE  # the pin is what makes it believed
    found = _asked("GET", f"{url.rstrip('/')}/v1/authority", None, unbelieving)
    try:
        certificate = _read(url, found, _Anchor).certificate
    except LinkDown as error:
        raise ConfigError(f"{url}: it does not name the authority of this token; is that the collector?") from error
    try:
        tls.check_pin(certificate, pin)
    except WrongIdentity as error:
        raise ConfigError(
            f"{url}: {error}; nothing was sent to it: check --collector-url, else somebody is between"
        ) from error
    except TrustError as error:
        raise ConfigError(f"{url}: {error}") from error
    return certificate


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def ask(url: str, request: dict[str, object], trust: ssl.SSLContext) -> Answer:
    """Send a request to be enrolled; return the answer.

    Raises:
        ConfigError: the collector refuses, or the address cannot be one.
        LinkDown: it cannot be reached.
    """
    url = f"{url.rstrip('/')}/v1/enrolments"
    return _read(url, _asked("POST", url, request, trust), Answer)


def look(url: str, claim: str, trust: ssl.SSLContext) -> Answer:
    """Return where an enrolment stands; raises as `ask`."""
    url = f"{url.rstrip('/')}/v1/enrolments/{claim}"
    return _read(url, _asked("GET", url, None, trust), Answer)


def renew(url: str, text: str, trust: ssl.SSLContext) -> Granted:
    """Ask for a new certificate by a signed request; raises as `ask`."""
    url = f"{url.rstrip('/')}/v1/certificates"
    return _read(url, _asked("POST", url, text, trust), Granted)


def trust(ca_file: str | None, certificate: str | None) -> ssl.SSLContext:
    """Return whom to believe over HTTPS: one authority as PEM, else those of a file, else those of this machine.

    Raises:
        ConfigError: the file cannot be used.
    """
    try:
        if certificate is not None:
            return ssl.create_default_context(cadata=certificate)
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # an SSLError is one
        raise ConfigError(f"uplink.ca_file: {ca_file}: cannot be used: {error}") from error


def _asked(
    method: str, url: str, body: dict[str, object] | str | None, context: ssl.SSLContext
) -> "httpx.Response":  # fmt: skip
    import httpx  # costs memory that a running daemon does not need

    text, members = (body, None) if isinstance(body, str) else (None, body)
    headers = {"Content-Type": "application/jose"} if text is not None else {}
    try:
        return httpx.request(method, url, json=members, content=text, headers=headers, timeout=_WITHIN, verify=context)
    except httpx.HTTPError as error:
        raise LinkDown(f"{url}: no answer ({error}); check --collector-url and the network") from error
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigError(f"{url}: no address of a collector ({error}); write https://collector.example") from error


def _read(url: str, response: "httpx.Response", shape: type[Shape]) -> Shape:
    if response.status_code >= 500 or response.status_code == 429:
        raise LinkDown(f"{url}: the collector cannot answer now (status {response.status_code}); it is asked again")
    try:
        if response.status_code >= 400:
            said = _Problem.model_validate_json(response.content).detail
            raise ConfigError(f"{url}: {said or f'refused with status {response.status_code}'}")
        return shape.model_validate_json(response.content)
    except ValidationError as error:
        raise LinkDown(f"{url}: something answers that is no collector; check --collector-url") from error
