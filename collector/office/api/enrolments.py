"""Enrolments: a gateway asks with its one-time token and a proof of its key; a person approves at the collector."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from collector.intake import certificates, enrol, keyring
from collector.intake.authority import MOST_REQUEST
from collector.office.answers import Answer
from collector.office.parts import Office
from collector.office.problems import absent
from collector.office.terms import NAME
from collector.store.schema import keyring as table
from shared.errors import WrongIdentity
from shared.keys import fingerprint, from_jwk

router = APIRouter(prefix="/enrolments", tags=["enrolments"])
Claim = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{43}$", description="key id (RFC 7638) of the gateway's key")]


class Request(BaseModel):
    """What a gateway sends; `proof` is a JWS by the new key over agent, site and the token's SHA-256.

    With `csr` (PKCS#10 in PEM, named and signed by the gateway) it also covers that request's SHA-256 and the assurance
    that is claimed: software, tpm or secure_element.

    The embedded broker lets the gateway in by the password of which it sends the hash; other brokers have their own.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    agent: Annotated[str, Field(pattern=NAME)] | None = None
    site: Annotated[str, Field(pattern=NAME)] | None = None
    token: Annotated[str, Field(min_length=1, max_length=200)]
    key: dict[Annotated[str, Field(max_length=8)], Annotated[str, Field(max_length=100)]]
    proof: Annotated[str, Field(min_length=1, max_length=4096)]
    csr: Annotated[str, Field(min_length=1, max_length=MOST_REQUEST)] | None = None
    broker_password_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Standing(Answer):
    """Where an enrolment stands; record and certificate come once it is approved."""

    claim: str
    state: Literal["pending", "approved", "revoked"]
    fingerprint: str
    record: str | None
    certificate: str | None
    authority: str | None


@router.post("", status_code=201, responses={200: {"model": Standing, "description": "Known already"}})
def ask(office: Office, asked: Request, response: Response) -> Standing:
    """Keep a request to be enrolled; the same request again changes nothing."""
    kid = from_jwk(asked.key).kid
    with office.store.read() as connection:
        known = kid in keyring.of(connection, [kid])
    found = enrol.request(
        office.store, token=asked.token, key=asked.key, proof=asked.proof, now=office.clock.wall(),
        csr=asked.csr, authority=office.authority,
    )  # fmt: skip
    if (asked.agent or found.agent, asked.site or found.site) != (found.agent, found.site):
        raise WrongIdentity(f"the token is for agent {found.agent!r} of site {found.site!r}")
    if office.users is not None and asked.broker_password_sha256 is not None:
        office.users.trust(found.agent, asked.broker_password_sha256)
    response.status_code = 200 if known else 201
    response.headers["Location"] = f"/v1/enrolments/{kid}"
    return _standing(office, kid)


@router.get("/{claim}")
def look(office: Office, claim: Claim) -> Standing:
    """Return where an enrolment stands."""
    return _standing(office, claim)


def _standing(office: Office, kid: str) -> Standing:
    with office.store.read() as connection:
        state = connection.execute(
            select(table.c.state).where(table.c.kid == kid, table.c.role == "agent")
        ).scalar_one_or_none()
        record = keyring.enrolment(connection, kid)
        certificate = None if record is None else certificates.of_key(connection, kid)
    if state is None or state == keyring.ANNOUNCED:
        raise absent(f"no request to be enrolled with key {kid}")
    state = keyring.APPROVED if state == keyring.ROTATED else state
    return Standing(
        claim=kid, state=state, fingerprint=fingerprint(kid), record=record, certificate=certificate,
        authority=office.authority.pem if certificate and office.authority else None,
    )  # fmt: skip
