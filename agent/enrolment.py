"""How a gateway becomes known: keys made here, a one-time token shown once, a record signed by the collector.

Both ends show the fingerprint of the signing key; a person at the collector approves it. Nothing is sealed before the
enrolment record is here.
"""

import hashlib
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from agent.config import Site
from agent.ship.outbox import Outbox
from shared import envelope, keys, record, strictjson
from shared.errors import ConfigError, LinkDown, TrustError
from shared.keys import FileSigner, Verifier
from shared.record import Enrolment

_PENDING = "enrolment_pending"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the enrolment of this gateway stands."""

    state: str  # pending, approved
    fingerprint: str
    collector_fingerprint: str | None = None


def signer(site: Site) -> FileSigner:
    """Return the signing key, made now if there is none.

    Raises:
        ConfigError: there is one that cannot be used.
    """
    try:
        return keys.load(site.keys)
    except ConfigError:
        if (site.keys / "signing.key").exists():
            raise
        return keys.create(site.keys)


def ask(site: Site, outbox: Outbox, token: str, url: str) -> Standing:
    """Ask a collector to be enrolled; return where that stands.

    Raises:
        ConfigError: the collector refuses the token, or this gateway is enrolled already.
        LinkDown: it cannot be reached.
    """
    if outbox.get("epoch") is not None:
        raise ConfigError(f'agent "{site.agent}" is enrolled already; its record is in {outbox.path}')
    key = signer(site)
    token_hash = keys.b64url(hashlib.sha256(token.encode()).digest())
    claim = strictjson.dumps({"agent": site.agent, "site": site.site, "token": token_hash})
    body: dict[str, object] = {
        "agent": site.agent, "site": site.site, "token": token, "key": keys.jwk(key.verifier),
        "proof": envelope.seal(claim, "wattseal-enrolment+jws", key),
    }  # fmt: skip
    answer = _post(f"{url.rstrip('/')}/v1/enrolments", body)
    outbox.put(_PENDING, {"url": url.rstrip("/"), "claim": answer["claim"]})
    return _take(site, outbox, key, answer)


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
    return _take(site, outbox, signer(site), _get(f"{pending['url']}/v1/enrolments/{pending['claim']}"))


def _take(site: Site, outbox: Outbox, key: FileSigner, answer: dict[str, str]) -> Standing:
    mark = keys.fingerprint(key.kid)
    if answer["state"] == "pending":
        return Standing("pending", mark)
    if answer["state"] != "approved":
        raise ConfigError(f'the collector says that the enrolment of "{site.agent}" is {answer["state"]}')
    found = accept(site, outbox, key.verifier, answer["record"])
    return Standing("approved", mark, keys.fingerprint(found.collector_key.kid))


def accept(site: Site, outbox: Outbox, key: Verifier, text: str) -> Enrolment:
    """Begin the first epoch of an enrolment record.

    Raises:
        ConfigError: the record is not for this gateway.
    """
    try:
        found = record.introduce(text)
    except TrustError as error:
        raise ConfigError(f"the enrolment record cannot be believed: {error}") from error
    if (found.agent, found.site, found.key.kid) != (site.agent, site.site, key.kid):
        raise ConfigError(f'the enrolment record is for "{found.agent}" at "{found.site}" or for another key')
    if found.collector not in site.uplink.collectors:
        raise ConfigError(f'the collector calls itself "{found.collector}"; uplink.collectors names others')
    keys.save_public(site.keys / "collector" / f"{found.collector}.pem", found.collector_key)
    (Path(site.data_dir) / "enrolment.jws").write_text(text + "\n", encoding="ascii")
    outbox.begin(uuid.uuid4().hex, text)
    return found


def standing(site: Site, outbox: Outbox) -> Enrolment:
    """Return the enrolment in force, looking for a pending one first.

    Raises:
        ConfigError: there is none.
        LinkDown: one is pending and the collector cannot be reached.
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
    return record.introduce(text)


def _post(url: str, body: dict[str, object]) -> dict[str, str]:
    return _answer(url, lambda: httpx.post(url, json=body, timeout=10))


def _get(url: str) -> dict[str, str]:
    return _answer(url, lambda: httpx.get(url, timeout=10))


def _answer(url: str, ask_for: Callable[[], httpx.Response]) -> dict[str, str]:
    try:
        response = ask_for()
        members: dict[str, str] = response.json()
    except httpx.HTTPError as error:
        raise LinkDown(f"{url}: no answer ({error}); check --collector-url and the network") from error
    except json.JSONDecodeError as error:
        raise LinkDown(f"{url}: something answers that is no collector") from error
    if response.status_code >= 400:
        raise ConfigError(f"{url}: {members.get('detail', response.status_code)}")
    return members
