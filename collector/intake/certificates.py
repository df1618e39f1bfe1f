"""Certificates of agents: issued with an approval, renewed by the word of the signing key, revoked with it.

Rules of this file: the same request gives the same certificate, so a repeated or replayed one changes nothing; a
renewal is signed by the key in force and names its agent; a revoked agent gets none.
"""

import hashlib
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from collector.intake import authority as authorities
from collector.intake import keyring
from collector.intake.authority import Authority, Revoked
from collector.intake.keyring import APPROVED
from collector.store.engine import Store
from collector.store.schema import keyring as keys
from collector.store.trust import certificate
from shared import envelope, strictjson
from shared.errors import ConfigError, UnknownSigner, WrongIdentity

RENEWAL = "wattseal-certificate+jws"


def issue(connection: Connection, authority: Authority, *, agent: str, kid: str, request: str, now: int) -> str:
    """Return the certificate for a request, made now unless it was made before. now: [UTC us]

    Raises:
        TrustError: it is no request, not signed by its own key, or names somebody else.
        ConfigError: this collector has no key of the authority.
    """
    digest = hashlib.sha256(request.encode()).digest()
    known = connection.execute(select(certificate.c.pem).where(certificate.c.csr_sha256 == digest))
    before = known.scalar_one_or_none()
    if before is not None:
        return str(before)
    made = authority.client(request, agent, now)
    row = {
        "csr_sha256": digest, "serial": f"{made.serial_number:x}", "agent": agent, "kid": kid,
        "pem": authorities.pem(made), "issued_at": now, "not_after": authorities.until(made), "revoked_at": None,
    }  # fmt: skip
    connection.execute(insert(certificate).values(**row))
    return authorities.pem(made)


def renew(store: Store, authority: Authority, text: str, now: int) -> str:
    """Return a certificate for a request that an agent's signing key vouches for. now: [UTC us]

    Args:
        store: The collector's database.
        authority: Who signs it.
        text: A JWS of type `RENEWAL` over {agent, csr}, csr being a PKCS#10 in PEM.
        now: Time. [UTC us]

    Raises:
        TrustError: the key is not known or not in force, or request, agent and key do not agree.
        ConfigError: this collector has no key of the authority.
    """
    found = envelope.apart(text)
    with store.write() as connection:
        enrolled = keyring.of(connection, [found.kid]).get(found.kid)
        if enrolled is None or enrolled.key.state != APPROVED:
            raise UnknownSigner(f"key {found.kid} may not ask for a certificate; see: wattseal collector agents list")
        claim = strictjson.members(
            strictjson.loads(envelope.believe_parts(found, RENEWAL, {found.kid: enrolled.verifier})),
            ("agent", "csr"), "certificate request",
        )  # fmt: skip
        agent, request = (strictjson.text(claim[name], name, authorities.MOST_REQUEST) for name in ("agent", "csr"))
        if agent != enrolled.key.agent:
            raise WrongIdentity(f"the key is of agent {enrolled.key.agent!r}, the request is for {agent[:64]!r}")
        return issue(connection, authority, agent=agent, kid=found.kid, request=request, now=now)


def of_key(connection: Connection, kid: str) -> str | None:
    """Return the newest certificate that a signing key has asked for, None where there is none."""
    query = select(certificate.c.pem).where(certificate.c.kid == kid, certificate.c.revoked_at.is_(None))
    return connection.execute(query.order_by(certificate.c.issued_at.desc()).limit(1)).scalar_one_or_none()


def revoke(connection: Connection, kids: list[str], now: int) -> int:
    """Revoke what some signing keys have asked for; return how many certificates that were. now: [UTC us]"""
    own = certificate.c.kid.in_(kids) & certificate.c.revoked_at.is_(None)
    return int(connection.execute(update(certificate).where(own).values(revoked_at=now)).rowcount)


def revoked(connection: Connection, now: int) -> list[Revoked]:
    """Return what is revoked and would be good otherwise. now: [UTC us]"""
    query = select(certificate.c.serial, certificate.c.revoked_at).where(
        certificate.c.revoked_at.is_not(None), certificate.c.not_after >= now
    )
    rows = connection.execute(query.order_by(certificate.c.revoked_at, certificate.c.serial))
    return [Revoked(int(row.serial, 16), row.revoked_at) for row in rows]


def write_list(store: Store, authority: Authority, target: Path, now: int) -> int:
    """Write the list of revoked certificates for the broker; return how many it names. now: [UTC us]

    Raises:
        ConfigError: the file cannot be written, or there is no key of the authority.
    """
    with store.read() as connection:
        found = revoked(connection, now)
    fresh = target.with_name(target.name + ".new")
    try:
        fresh.write_bytes(authority.revocations(found, now))
        fresh.chmod(0o644)  # it is no secret, and the broker runs as another user
        fresh.replace(target)
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}; let the collector's user write there") from error
    return len(found)


def take_request(connection: Connection, kid: str) -> str | None:
    """Return the certificate request that came with an enrolment."""
    found: str | None = connection.execute(select(keys.c.csr).where(keys.c.kid == kid)).scalar_one_or_none()
    return found
