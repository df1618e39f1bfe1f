"""From octets that anyone may have sent to a batch that an enrolled key signed. Pure: keys are handed in.

Rules of this file: size before form, form before signature, signature before content (verify before parse);
whatever the octets are, the answer is a value and never an exception.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from collector.intake import admit
from collector.intake.admit import Key
from collector.intake.keyring import REVOKED, SPEAKING, Enrolled
from shared import batch, envelope
from shared.batch import Head
from shared.errors import Malformed, TrustError, UnknownSigner
from shared.quantity import INT64_MAX


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a transport brought; `agent` is whose topic it came on, None where the transport names nobody."""

    agent: str | None
    octets: bytes


@dataclass(frozen=True, slots=True)
class Authentic:
    """A batch that can be believed; `head` is None where this version cannot read its place."""

    text: str
    digest: bytes  # hash of the whole string
    message: bytes  # hash of header.payload, by which it is known again whatever its signature
    key: Key
    head: Head | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Octets that are not believed; `reason` is one of `shared.receipt.REASONS`."""

    arrival: Arrival
    reason: str
    detail: str
    agent: str | None  # whose topic or key it was, as far as that is known


def apart(arrival: Arrival) -> envelope.Envelope | Refused:
    """Return the envelope of an arrival, not yet believed."""
    if len(arrival.octets) > envelope.LIMIT:
        return Refused(arrival, "oversize", f"{len(arrival.octets)} bytes are over {envelope.LIMIT}", arrival.agent)
    try:
        found = envelope.apart(arrival.octets.decode("latin-1"))
    except TrustError as error:
        return Refused(arrival, "malformed", printable(str(error)), arrival.agent)
    if found.typ != envelope.BATCH:
        return Refused(arrival, "malformed", printable(f"an envelope of type {found.typ!r}"), arrival.agent)
    return found


def believe(
    arrival: Arrival, found: envelope.Envelope, keys: Mapping[str, Enrolled], collector: str
) -> Authentic | Refused:
    """Return a batch whose signature fits an approved key, and whose names agree."""
    enrolled = keys.get(found.kid)
    agent = arrival.agent
    try:
        key = _approved(enrolled, found.kid)
        ring = {} if enrolled is None else {found.kid: enrolled.verifier}
        payload = envelope.believe_parts(found, envelope.BATCH, ring)
        agent = agent or key.agent
        if key.state == REVOKED:
            return Refused(arrival, "revoked", f"key {key.kid} of agent {key.agent} is revoked", agent)
        head = _head(payload)
        if head is not None:
            admit.agree(head, key, topic=arrival.agent, collector=collector)
    except TrustError as error:
        return Refused(arrival, error.reason, printable(str(error)), agent)
    return authentic(found, key, head)


def authentic(found: envelope.Envelope, key: Key, head: Head | None) -> Authentic:
    """Return a batch that was believed, now or before it was stored."""
    return Authentic(found.text, found.digest, found.hashed, key, head)


def _approved(enrolled: Enrolled | None, kid: str) -> Key:
    if enrolled is None:
        raise UnknownSigner(f"no key is known with id {kid}")
    if enrolled.key.state not in SPEAKING | {REVOKED}:
        raise UnknownSigner(f"key {kid} of agent {enrolled.key.agent} waits for approval")
    return enrolled.key


def _head(payload: bytes) -> Head | None:
    """Return the place of a believed batch, None where it is written as this version does not know."""
    try:
        head = batch.head(payload)
    except Malformed:
        return None
    return head if head.seq <= INT64_MAX else None


def printable(text: str, limit: int = 300) -> str:
    """Return text that every database and terminal takes."""
    shown = text[:limit]
    return shown if shown.isprintable() else "".join(char if char.isprintable() else "?" for char in shown)
