"""How a gateway becomes known: keys made here, a one-time token shown once, a record signed by the collector.

Both ends show the fingerprint of the signing key; a person at the collector approves it. Nothing is sealed before the
enrolment record is here.
"""

import hashlib
import json
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path

from agent import office
from agent.config import Site
from agent.keystore import store, tls
from agent.office import Answer
from agent.ship.outbox import Outbox
from shared import envelope, keys, record, strictjson
from shared.errors import ConfigError, LinkDown, TrustError
from shared.keys import Signer, Verifier
from shared.record import Enrolment

_PENDING = "enrolment_pending"
#: Kept value: where to ask for the next certificate, and when. [UTC us]
CERTIFICATE = "certificate"
#: Kept value: name and id of the signing key in force, once it has followed another one; and the same as a file.
SIGNING = "signing"
POINTER = "signing.json"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the enrolment of this gateway stands."""

    state: str  # pending, approved
    fingerprint: str
    collector_fingerprint: str | None = None


def ask(site: Site, outbox: Outbox, token: str, url: str) -> Standing:
    """Ask a collector to be enrolled; return where that stands.

    Raises:
        ConfigError: the collector refuses the token, or this gateway is enrolled already.
        LinkDown: it cannot be reached.
    """
    if outbox.get("epoch") is not None:
        raise ConfigError(f'agent "{site.agent}" is enrolled already; its record is in {outbox.path}')
    pin = office.pin_of(token)
    anchor = None if pin is None else office.anchor(url, pin)
    key, password = _key(site, make=True), broker_password(site)
    request = _request(site, key, token, None if anchor is None else _certificate_request(site))
    request["broker_password_sha256"] = hashlib.sha256(password.encode()).hexdigest()
    answer = office.ask(url, request, office.trust(site.uplink.ca_file, anchor))
    outbox.put(_PENDING, {"url": url, "claim": answer.claim, "authority": anchor})
    return _take(site, outbox, key, answer)


def _request(site: Site, key: Signer, token: str, csr: str | None) -> dict[str, object]:
    """Return who asks, for what, and the proof that this gateway holds the keys that it asks for."""
    claim: dict[str, object] = {
        "agent": site.agent, "site": site.site, "token": hashlib.sha256(token.encode()).hexdigest(),
        "csr": None if csr is None else hashlib.sha256(csr.encode()).hexdigest(),
        "assurance": "software" if site.signing is None else site.signing.assurance,
    }  # fmt: skip
    proof = envelope.seal(strictjson.dumps(claim), "wattseal-enrolment+jws", key)
    asked: dict[str, object] = {
        "agent": site.agent, "site": site.site, "token": token, "key": keys.jwk(key.verifier), "proof": proof,
    }  # fmt: skip
    return asked if csr is None else asked | {"csr": csr}


def _certificate_request(site: Site) -> str | None:
    """Return the request for a certificate, the same one until there is one; None where the site file names its own."""
    if site.uplink.cert_file is not None:
        return None
    kept = site.keys / "tls.csr"
    try:
        if not kept.exists() or not tls.Paths(site.keys).key.exists():
            text = tls.request(tls.Paths(site.keys), site.agent)
            kept.write_text(text, encoding="ascii")
        return kept.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{kept}: cannot be kept or read: {error}; give data_dir to the agent's user") from error


def broker_password(site: Site) -> str:
    """Return the password of this gateway at the broker: 256 random bits, made now if there are none.

    Raises:
        ConfigError: its file cannot be read or written.
    """
    target = site.broker_password
    try:
        if not target.exists():
            _keep(target, secrets.token_urlsafe(32))
        return target.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{target}: cannot be kept or read: {error}; give data_dir to the agent's user") from error


def _keep(target: Path, text: str) -> None:
    """Write a secret that only this user can read; on disk when this returns."""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = target.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(target)


def look(site: Site, outbox: Outbox) -> Standing:
    """Ask whether the enrolment was approved meanwhile.

    Raises:
        ConfigError: nothing was asked for, or a person refused.
        LinkDown: the collector cannot be reached.
    """
    pending = outbox.get(_PENDING)
    if pending is None:
        raise ConfigError(
            f'agent "{site.agent}" is not enrolled; at the collector run `wattseal collector agents token {site.agent}'
            f" --site {site.site}`, here `wattseal agent enroll --token T --collector-url URL`"
        )
    trust = office.trust(site.uplink.ca_file, pending.get("authority"))
    answer = office.look(pending["url"], pending["claim"], trust)
    return _take(site, outbox, _key(site, make=False), answer)


def _key(site: Site, *, make: bool, name: str = store.FIRST) -> Signer:
    try:
        kept = store.of(site)
        return kept.create(name) if make and not kept.holds(name) else kept.load(name)
    except OSError as error:
        raise ConfigError(f"{site.keys}: {error.strerror}; give data_dir to the agent's user") from error


def _take(site: Site, outbox: Outbox, key: Signer, answer: Answer) -> Standing:
    mark = keys.fingerprint(key.kid)
    if answer.state == "pending":
        return Standing("pending", mark)
    if answer.state != "approved" or answer.record is None:
        raise ConfigError(
            f'the collector says that the enrolment of "{site.agent}" is {answer.state}; ask its operator for a token'
        )
    _keep_certificate(site, outbox, answer)
    found = accept(site, outbox, key.verifier, answer.record)
    return Standing("approved", mark, keys.fingerprint(found.collector_key.kid))


def _keep_certificate(site: Site, outbox: Outbox, answer: Answer) -> None:
    """Keep the certificate that came with the approval, if its authority is the one that the token named."""
    pending = outbox.get(_PENDING) or {}
    if answer.certificate is None or pending.get("authority") is None:
        return
    try:
        due = tls.keep(tls.Paths(site.keys), answer.certificate, pending["authority"], site.agent)
    except TrustError as error:
        raise ConfigError(f"the certificate that came with the approval cannot be believed: {error}") from error
    except OSError as error:
        raise ConfigError(f"{site.keys}: {error.strerror}; give data_dir to the agent's user") from error
    outbox.put(CERTIFICATE, {"url": pending["url"], "due": due})


def accept(site: Site, outbox: Outbox, key: Verifier, text: str) -> Enrolment:
    """Begin the first epoch of an enrolment record.

    Raises:
        ConfigError: the record is not for this gateway, or cannot be kept.
    """
    try:
        found = record.introduce(text)
    except TrustError as error:
        raise ConfigError(f"the enrolment record cannot be believed: {error}") from error
    _check(site, found, key.kid, found.key.kid)
    try:
        keys.save_public(site.keys / "collector" / f"{found.collector}.pem", found.collector_key)
        (Path(site.data_dir) / "enrolment.jws").write_text(text + "\n", encoding="ascii")
    except OSError as error:
        raise ConfigError(f"{error.filename}: {error.strerror}; give data_dir to the agent's user") from error
    outbox.begin(uuid.uuid4().hex, text)
    return found


def _check(site: Site, found: Enrolment, kid: str, expected: str) -> None:
    """Believe that an enrolment is for this site file, and that the key is the one in force.

    Raises:
        ConfigError: it is for others: what would be sealed now, nobody would take.
    """
    if (found.agent, found.site) != (site.agent, site.site):
        raise ConfigError(
            f'the enrolment is for agent "{found.agent}" at site "{found.site}", the site file says "{site.agent}" at'
            f' "{site.site}"; correct it, or enrol in another data_dir'
        )
    if expected != kid:
        raise ConfigError(
            f"the enrolment is for another key than that in {site.keys}; put the key {keys.fingerprint(expected)}"
            " back, or enrol again in another data_dir"
        )
    if found.collector not in site.uplink.collectors:
        raise ConfigError(f'the collector calls itself "{found.collector}"; name it in uplink.collectors')


def standing(site: Site, outbox: Outbox) -> tuple[Enrolment, Signer]:
    """Return the enrolment in force and its key, looking for a pending one first.

    Raises:
        ConfigError: there is none, or it does not fit site file or key.
        LinkDown: one is pending.
    """
    if outbox.get("epoch") is None:
        found = look(site, outbox)
        if found.state == "pending":
            raise LinkDown(
                f'the enrolment of "{site.agent}" waits for a person: run `wattseal collector agents approve'
                f" {site.agent}` and compare the fingerprint {found.fingerprint}"
            )
    text = outbox.enrolment()
    if text is None:
        raise ConfigError(f"{outbox.path}: holds no enrolment record")
    enrolled, present = record.introduce(text), custody_of(site, outbox)
    key = _key(site, make=False, name=present.name)
    _check(site, enrolled, key.kid, present.kid or enrolled.key.kid)
    return enrolled, key


@dataclass(frozen=True, slots=True)
class Present:
    """Which signing key is in force: its name, and its id once it has followed another one."""

    name: str
    kid: str | None = None


def custody_of(site: Site, outbox: Outbox) -> Present:
    """Return which signing key is in force: the one that the chain says, or a file beside the keys if that is lost."""
    kept = outbox.get(SIGNING)
    if kept is not None:
        return Present(str(kept["name"]), str(kept["kid"]))
    try:
        named = json.loads((site.keys / POINTER).read_text(encoding="ascii"))
        return Present(str(named["name"]), str(named["kid"]))
    except FileNotFoundError:
        return Present(store.FIRST)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{site.keys / POINTER}: cannot be read: {error}; it names the signing key in force"
        ) from error
