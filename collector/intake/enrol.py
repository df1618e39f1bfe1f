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

from sqlalchemy import Connection, insert, select, update

from collector.intake import keyring
from collector.intake.keyring import APPROVED, PENDING, REVOKED, Listed
from collector.intake.log import Log
from collector.store import schema
from collector.store.engine import Store
from shared import envelope, strictjson
from shared.batch import NAME
from shared.errors import ConfigError, WrongIdentity
from shared.keys import Signer, Verifier, fingerprint, from_jwk, jwk

TOKEN_LIFE = 24 * 3600 * 1_000_000  # [us]
PROOF = "wattseal-enrolment+jws"
_AGAIN = "ask for a new one: wattseal collector agents token {agent} --site {site}"


def token_hash(token: str) -> bytes:
    """Return what the collector keeps of a token, and what a proof is made over."""
    return hashlib.sha256(token.encode("utf-8")).digest()


def proof(token: str, agent: str, site: str, signer: Signer) -> str:
    """Return what an agent sends beside its token and public key: a JWS by the new key."""
    payload = {"agent": agent, "site": site, "token": token_hash(token).hex()}
    return envelope.seal(strictjson.dumps(payload), PROOF, signer)


def issue(store: Store, *, agent: str, site: str, now: int) -> str:
    """Return a new one-time token for one agent of one site. now: [UTC us]

    Raises:
        ConfigError: a name is not in the form of names.
    """
    for what, name in (("agent", agent), ("site", site)):
        if not NAME.match(name):
            raise ConfigError(f"{what} {name!r}: a name is lower-case letters, digits, - and _, at most 63")
    token = secrets.token_urlsafe(32)
    with store.write() as connection:
        connection.execute(
            insert(schema.token).values(
                hash=token_hash(token), agent=agent, site=site, expires=now + TOKEN_LIFE, used_at=None
            )
        )
    return token


def request(store: Store, *, token: str, key: object, proof: str, now: int) -> Listed:
    """Keep the request of an agent to be enrolled, and return it; the same request again changes nothing.

    Args:
        store: The collector's database.
        token: The one-time token, as the operator of the collector gave it.
        key: The public signing key as a JWK.
        proof: The JWS of `proof`, by that key.
        now: Time. [UTC us]

    The claim of the proof holds agent, site and the token's SHA-256 in lower-case hex.

    Raises:
        WrongIdentity: the token is unknown, expired or used for another key, or the proof is for something else.
        TrustError: the key or the proof cannot be believed.
    """
    public = from_jwk(key)
    claim = strictjson.members(
        strictjson.loads(envelope.believe(proof, PROOF, {public.kid: public})), ("agent", "site", "token"), "proof"
    )
    with store.write() as connection:
        agent, site = _spend(connection, token, public.kid, now)
        if (claim["agent"], claim["site"], claim["token"]) != (agent, site, token_hash(token).hex()):
            raise WrongIdentity(
                f"the request is not for agent {agent!r} of site {site!r}, for which the token was made"
            )
        if not any(one.kid == public.kid for one in keyring.listed(connection, agent)):
            connection.execute(insert(schema.keyring).values(**_pending(public, agent, site, now)))
        return next(one for one in keyring.listed(connection, agent) if one.kid == public.kid)


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
        "assurance": "software", "state": PENDING, "requested_at": now,
    }  # fmt: skip


def approve(
    store: Store,
    log: Log,
    *,
    agent: str,
    collector_key: Verifier,
    by: str,
    now: int,
    kid: str | None = None,
    next_key: Verifier | None = None,
) -> str:
    """Return the signed enrolment record by which a pending key becomes an agent's.

    Args:
        store: The collector's database.
        log: Its log.
        agent: Whose request is approved.
        collector_key: The public key of the log's signer.
        by: The person who compared the fingerprint.
        now: Time. [UTC us]
        kid: Which request, where there are several.
        next_key: The public half of the key that the agent will believe once this collector's is replaced or lost.

    Raises:
        ConfigError: there is no such request, or more than one and none was named.
    """
    with store.write() as connection:
        one = _only(keyring.listed(connection, agent), PENDING, agent, kid)
        stored = select(schema.keyring.c.jwk).where(schema.keyring.c.kid == one.kid)
        public = json.loads(connection.execute(stored).scalar_one())
        body = {
            "agent": one.agent, "site": one.site, "key": public, "assurance": one.assurance,
            "collector_key": jwk(collector_key), "next_collector_key": next_key and jwk(next_key),
        }  # fmt: skip
        position = log.record(connection, "enrolment", body, by=by, now=now)
        written = select(schema.ledger_bytes.c.jws).where(schema.ledger_bytes.c.position == position)
        text = str(connection.execute(written).scalar_one())
        connection.execute(
            update(schema.keyring).where(schema.keyring.c.kid == one.kid)
            .values(state=APPROVED, enrolment_position=position, enrolment_hash=envelope.digest(text))
        )  # fmt: skip
    return text


def revoke(store: Store, log: Log, *, agent: str, by: str, now: int, kid: str | None = None) -> int:
    """Return the position of the record from which on an agent's key is refused.

    Raises:
        ConfigError: the agent has no approved key, or more than one and none was named.
    """
    with store.write() as connection:
        one = _only(keyring.listed(connection, agent), APPROVED, agent, kid)
        position = log.record(connection, "revocation", {"agent": agent, "kid": one.kid}, by=by, now=now)
        connection.execute(
            update(schema.keyring).where(schema.keyring.c.kid == one.kid)
            .values(state=REVOKED, revoked_position=position)
        )  # fmt: skip
    return position


def _only(keys: list[Listed], state: str, agent: str, kid: str | None) -> Listed:
    found = [one for one in keys if one.state == state and kid in (None, one.kid)]
    if len(found) == 1:
        return found[0]
    if found:
        prints = "; ".join(fingerprint(one.kid) for one in found)
        raise ConfigError(f"agent {agent!r} has {len(found)} {state} keys; name one by its key id: {prints}")
    what = "has no request that waits for approval" if state == PENDING else f"has no {state} key"
    raise ConfigError(f"agent {agent!r} {what}; see: wattseal collector agents list")
