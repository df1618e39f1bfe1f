"""The authority of the gateways' certificates: its own, and new ones for gateways whose old one ends."""

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from collector.intake import certificates
from collector.office.answers import JOSE, Answer
from collector.office.parts import Office
from collector.office.problems import absent
from shared.errors import Malformed

router = APIRouter(tags=["certificates"])
_BODY = {"requestBody": {"required": True, "content": {JOSE: {"schema": {"type": "string"}}}}}


class Anchor(Answer):
    """The certificate of the authority; a token carries its `pin`, base32 of the SHA-256 of its public key."""

    certificate: str
    pin: str


class Granted(Answer):
    """A new certificate, and the authority that signed it."""

    certificate: str
    authority: str


@router.get("/authority")
def anchor(office: Office) -> Anchor:
    """Return the authority's certificate, which a gateway compares with the pin of its token."""
    if office.authority is None:
        raise absent("this collector has no authority of certificates")
    return Anchor(certificate=office.authority.pem, pin=office.authority.pin)


@router.post("/certificates", openapi_extra=_BODY)
async def renew(office: Office, request: Request) -> Granted:
    """Give a certificate for a request that the gateway's signing key vouches for; the same again changes nothing."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JOSE:
        raise HTTPException(415, f"send one signed request as {JOSE}")
    octets = await request.body()
    return await run_in_threadpool(_grant, office, octets)


def _grant(office: Office, octets: bytes) -> Granted:
    if office.authority is None:
        raise absent("this collector has no authority of certificates")
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("a signed request is ASCII") from None
    made = certificates.renew(office.store, office.authority, text, office.clock.wall())
    return Granted(certificate=made, authority=office.authority.pem)
