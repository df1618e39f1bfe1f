"""Enrolment: a one-time token, a request with proof of possession, a person's approval; and revocation.

Rules of this file: a token is 256 random bits, kept only as its SHA-256, bound to one agent and site, good for
24 hours and for one key. The request proves that its sender holds the private key. Nothing is believed of an agent
before the enrolment record stands in the log; what entered the log before a revocation stays valid, what comes
after is refused (facts/trust.md section 5).
"""

import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from collector.intake import certificates, keyring
from collector.intake.authority import Authority, believe
from collector.intake.keyring import APPROVED, PENDING, REVOKED, Listed
from collector.intake.log import Log
from collector.store import schema
from collector.store.engine import Store
from shared import envelope, strictjson
from shared.batch import NAME
from shared.errors import ConfigError, Malformed, WrongIdentity
from shared.keys import Signer, Verifier, fingerprint, from_jwk, jwk

TOKEN_LIFE = 24 * 3600 * 1_000_000  # [us]
PROOF = "wattseal-enrolment+jws"
ASSURANCES = ("software", "tpm", "secure_element")
_CLAIM = ("agent", "site", "token", "csr", "assurance")
_AGAIN = "ask for a new one: wattseal collector agents token {agent} --site {site}"


def token_hash(token: str) -> bytes:
    """Return what the collector keeps of a token, and what a proof is made over."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def proof(
    token: str, agent: str, site: str, signer: Signer, *, csr: str | None = None, assurance: str | None = None
) -> str:  # fmt: skip
    """Return what an agent sends beside its token and public key: a JWS by the new key."""
    payload: dict[str, object] = {"agent": agent, "site": site, "token": token_hash(token).hex()}
    if csr is not None or assurance is not None:
        digest = None if csr is None else hashlib.sha256(csr.encode()).hexdigest()
        payload |= {"csr": digest, "assurance": assurance or "software"}
    return envelope.seal(strictjson.dumps(payload), PROOF, signer)


def issue(store: Store, *, agent: str, site: str, now: int, pin: str | None = None) -> str:
    """Return a new one-time token for one agent of one site: id.secret, and the pin of the authority if any.

    Args:
        store: The collector's database.
        agent: For whom.
        site: Where it stands.
        now: Time. [UTC us]
        pin: By what the gateway knows that it speaks to this collector, before it shows the token.

    Raises:
        ConfigError: a name is not in the form of names.
    """
    for what, name in (("agent", agent), ("site", site)):
        if not NAME.match(name):
            raise ConfigError(f"{what} {name!r}: a name is lower-case letters, digits, - and _, at most 63")
    token = ".".join([secrets.token_hex(4), secrets.token_urlsafe(32), *([pin] if pin else [])])
    with store.write() as connection:
        connection.execute(
            insert(schema.token).values(
                hash=token_hash(token), agent=agent, site=site, expires=now + TOKEN_LIFE, used_at=None
            )
        )
    return token


def request(
    store: Store, *, token: str, key: object, proof: str, now: int, csr: str | None = None,
    authority: Authority | None = None,
) -> Listed:  # fmt: skip
    """Keep the request of an agent to be enrolled, and return it; the same request again changes nothing.

    Args:
        store: The collector's database.
        token: The one-time token, as the operator of the collector gave it.
        key: The public signing key as a JWK.
        proof: The JWS of `proof`, by that key.
        now: Time. [UTC us]
        csr: PKCS#10 in PEM, where a certificate is asked for.
        authority: Who would sign it.

    The claim of the proof holds agent, site and the token's SHA-256 in lower-case hex; and, where the gateway asks for
    a certificate or claims more than a key in a file, the certificate request's SHA-256 and the assurance.

    Raises:
        WrongIdentity: the token is unknown, expired or used for another key, or the proof is for something else.
        ConfigError: it asks for a certificate, and there is no authority to give one.
        TrustError: the key, the proof or the certificate request cannot be believed.
    """
    public = from_jwk(key)
    claim = _claim(envelope.believe(proof, PROOF, {public.kid: public}))
    with store.write() as connection:
        agent, site = _spend(connection, token, public.kid, now)
        if (claim["agent"], claim["site"], claim["token"]) != (agent, site, token_hash(token).hex()):
            raise WrongIdentity(
                f"the request is not for agent {agent!r} of site {site!r}, for which the token was made"
            )
        _check_certificate(csr, claim["csr"], agent, authority)
        if not any(one.kid == public.kid for one in keyring.listed(connection, agent)):
            row = _pending(public, agent, site, now) | {"assurance": claim["assurance"], "csr": csr}
            connection.execute(insert(schema.keyring).values(**row))
        return next(one for one in keyring.listed(connection, agent) if one.kid == public.kid)


def _claim(payload: bytes) -> dict[str, object]:
    members = strictjson.loads(payload)
    short = isinstance(members, dict) and "csr" not in members
    claim = strictjson.members(members, _CLAIM[:3] if short else _CLAIM, "proof")
    claim = {"csr": None, "assurance": "software"} | claim
    if claim["assurance"] not in ASSURANCES:
        raise Malformed(f"an assurance of {str(claim['assurance'])[:40]!r}; known: {', '.join(ASSURANCES)}")
    return claim


def _check_certificate(csr: str | None, digest: object, agent: str, authority: Authority | None) -> None:
    """Believe that the certificate request is the one that the signing key vouches for, and can be granted."""
    if (None if csr is None else hashlib.sha256(csr.encode()).hexdigest()) != digest:
        raise WrongIdentity("the certificate request is not the one that the proof names")
    if csr is None:
        return
    if authority is None or authority.key is None:
        raise ConfigError(
            "this collector issues no certificates (it has no key of the authority): name cert_file, key_file and"
            " ca_file of the site's authority in [uplink] of the site file, and enrol again"
        )
    believe(csr, agent)


def _spend(connection: Connection, token: str, kid: str, now: int) -> tuple[str, str]:
    hashed = token_hash(token)
    row = connection.execute(select(schema.token).where(schema.token.c.hash == hashed)).one_or_none()
    if row is None or not hmac.compare_digest(bytes(row.hash), hashed):
        raise WrongIdentity("this enrolment token is not known; look for a typing error, or ask for a new one")
    again = _AGAIN.format(agent=row.agent, site=row.site)
    if row.used_at is not None:
        if not any(one.kid == kid for one in keyring.listed(connection, row.agent)):
            raise WrongIdentity(f"the enrolment token of agent {row.agent!r} was used for another key; {again}")
    elif now > row.expires:
        raise WrongIdentity(f"the enrolment token of agent {row.agent!r} has expired; {again}")
    connection.execute(update(schema.token).where(schema.token.c.hash == hashed).values(used_at=now))
    return row.agent, row.site


def _pending(public: Verifier, agent: str, site: str, now: int) -> dict[str, object]:
    return {
        "kid": public.kid, "agent": agent, "site": site, "jwk": json.dumps(jwk(public)), "role": "agent",
        "state": PENDING, "requested_at": now,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Grant:
    """What an approval gives beside the key's place in the ledger."""

    assurance: str | None = None  # what the approving person has seen of the key's place
    authority: Authority | None = None  # who signs the certificate
    next_key: Verifier | None = None  # what the agent will believe once this collector's key is replaced or lost


def approve(
    store: Store, log: Log, *, agent: str, collector_key: Verifier, by: str, now: int, kid: str | None = None,
    grant: Grant | None = None,
) -> str:  # fmt: skip
    """Return the signed enrolment record by which a pending key becomes an agent's.

    Args:
        store: The collector's database.
        log: Its log.
        agent: Whose request is approved.
        collector_key: The public key of the log's signer.
        by: The person who compared the fingerprint.
        now: Time. [UTC us]
        kid: Which request, where there are several.
        grant: What is confirmed and given beside.

    Raises:
        ConfigError: there is no such request, more than one and none was named, or its assurance is not confirmed.
    """
    grant = grant or Grant()
    with store.write() as connection:
        one = _only(keyring.listed(connection, agent), PENDING, agent, kid)
        stored = select(schema.keyring.c.jwk).where(schema.keyring.c.kid == one.kid)
        public = json.loads(connection.execute(stored).scalar_one())
        assurance = _confirmed(one, grant.assurance)
        body = {
            "agent": one.agent, "site": one.site, "key": public, "assurance": assurance,
            "collector_key": jwk(collector_key), "next_collector_key": grant.next_key and jwk(grant.next_key),
        }  # fmt: skip
        position = log.record(connection, "enrolment", body, by=by, now=now)
        written = select(schema.ledger_bytes.c.jws).where(schema.ledger_bytes.c.position == position)
        text = str(connection.execute(written).scalar_one())
        csr = certificates.take_request(connection, one.kid)
        if csr is not None and grant.authority is not None and grant.authority.key is not None:
            certificates.issue(connection, grant.authority, agent=one.agent, kid=one.kid, request=csr, now=now)
        connection.execute(
            update(schema.keyring).where(schema.keyring.c.kid == one.kid)
            .values(state=APPROVED, assurance=assurance, enrolment_position=position,
                    enrolment_hash=envelope.digest(text))
        )  # fmt: skip
    return text


def _confirmed(one: Listed, said: str | None) -> str:
    """Return the assurance for the record: more than software only where a person says what the gateway claims."""
    if said is None and one.assurance != "software":
        raise ConfigError(
            f"agent {one.agent!r} claims that its key is in a {one.assurance}; a claim is no proof: approve with"
            f" --assurance {one.assurance} if you have seen that, else with --assurance software"
        )
    if said not in (None, "software", one.assurance):
        raise ConfigError(
            f"agent {one.agent!r} claims {one.assurance!r}, not {said!r}; approve what it claims, or less"
        )
    return said or one.assurance


@dataclass(frozen=True, slots=True)
class Why:
    """What a person says of a revocation."""

    reason: str | None = None
    compromised_since: int | None = None  # [UTC us]


def revoke(
    store: Store, log: Log, *, agent: str, by: str, now: int, kid: str | None = None, why: Why | None = None
) -> int:  # fmt: skip
    """Return the position of the record from which on an agent's keys are refused, and its certificates with them.

    Args:
        store: The collector's database.
        log: Its log.
        agent: Whose keys: the one in force and those that have handed over to it.
        by: The person.
        now: Time. [UTC us]
        kid: Only this one key.
        why: The reason, and since when somebody else may have used the key: what was created or received since then
            is not taken back, but no longer believed without a person.

    Raises:
        ConfigError: the agent has no such key, or more than one enrolment and no key was named.
    """
    why = why or Why()
    with store.write() as connection:
        tail = log.tail(connection, now)  # first of all: no key hands over to another one meanwhile
        found = [one for one in keyring.listed(connection, agent) if one.state in keyring.SPEAKING]
        chosen = _of_one_enrolment(found, agent, kid)
        for one in chosen:
            body: dict[str, object] = {
                "agent": agent, "kid": one.kid, "reason": why.reason, "compromised_since": why.compromised_since
            }  # fmt: skip
            position = log.add_record(tail, "revocation", body, by=by)
            connection.execute(
                update(schema.keyring).where(schema.keyring.c.kid == one.kid)
                .values(state=REVOKED, revoked_position=position)
            )  # fmt: skip
        tail.flush()
        certificates.revoke(connection, [one.kid for one in chosen], now)
    return position


def _of_one_enrolment(found: list[Listed], agent: str, kid: str | None) -> list[Listed]:
    """Return the key that was named, else all keys of the agent's one enrolment, the one in force last."""
    if kid is not None:
        found = [one for one in found if one.kid == kid]
    enrolments = {one.enrolment_position for one in found if one.enrolment_position is not None}
    if len(enrolments) > 1:
        raise _several([one for one in found if one.state == APPROVED], agent, APPROVED)
    if not enrolments:
        raise ConfigError(f"agent {agent!r} has no approved key; see: wattseal collector agents list")
    return sorted(found, key=lambda one: one.state == APPROVED)


def _only(keys: list[Listed], state: str, agent: str, kid: str | None) -> Listed:
    found = [one for one in keys if one.state == state and kid in (None, one.kid)]
    if len(found) == 1:
        return found[0]
    if found:
        raise _several(found, agent, state)
    what = "has no request that waits for approval" if state == PENDING else f"has no {state} key"
    raise ConfigError(f"agent {agent!r} {what}; see: wattseal collector agents list")


def _several(found: list[Listed], agent: str, state: str) -> ConfigError:
    prints = "; ".join(fingerprint(one.kid) for one in found)
    return ConfigError(f"agent {agent!r} has {len(found)} {state} keys; name one by its key id: {prints}")
