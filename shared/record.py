"""Records: what the collector signs into its log when a number or a trust changes (WIRE.md section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared import envelope, strictjson
from shared.errors import Malformed
from shared.keys import Signer, Verifier, from_jwk

KEYS = ("v", "collector", "log", "kind", "time", "by", "body")
KINDS = (
    "enrolment", "approval", "revocation", "adoption", "meters", "factor", "points", "rules", "calendar", "vee", "edit",
    "release", "restore", "retention", "outside", "access",
)  # fmt: skip
ENROLMENT = ("agent", "site", "key", "assurance", "collector_key", "next_collector_key")
_LINES = str.maketrans("", "", "\r\n\t")


def readable(text: str) -> bool:
    """Return whether what a person writes into a record is lines of text, as every database and terminal takes it."""
    return text.translate(_LINES).isprintable()


@dataclass(frozen=True, slots=True)
class Record:
    """One signed statement of the collector."""

    collector: str
    log: str
    kind: str
    time: int  # [UTC us]
    by: str
    body: dict[str, object]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Who an agent is: the record that the first batch of each epoch names as its predecessor."""

    agent: str
    site: str
    key: Verifier
    assurance: str  # software, tpm, secure_element
    collector: str
    collector_key: Verifier
    next_collector_key: Verifier | None  # believed once the present one is replaced or lost
    log: str  # the generation of the collector's log that holds the record


def seal(record: Record, signer: Signer) -> str:
    """Return the record as a signed string."""
    parts = (1, record.collector, record.log, record.kind, record.time, record.by, record.body)
    return envelope.seal(strictjson.dumps(dict(zip(KEYS, parts, strict=True))), envelope.RECORD, signer)


def believe(text: str, ring: Mapping[str, Verifier]) -> Record:
    """Return the record of a signed string.

    Raises:
        TrustError: not signed by a key of the ring, or not a record.
    """
    return decode(envelope.believe(text, envelope.RECORD, ring))


def decode(payload: bytes) -> Record:
    """Return a believed payload as a record.

    Raises:
        Malformed: it is none.
    """
    fields = strictjson.members(strictjson.loads(payload), KEYS, "record")
    if fields["v"] != 1 or fields["kind"] not in KINDS or not isinstance(fields["body"], dict):
        raise Malformed(f"a record of version {fields['v']!r} and kind {str(fields['kind'])[:40]!r}")
    names = (strictjson.text(fields[key], key, 160) for key in ("collector", "log", "kind"))
    collector, log, kind = names
    time, by = strictjson.integer(fields["time"], "time"), strictjson.text(fields["by"], "by", 160)
    return Record(collector, log, kind, time, by, fields["body"])


def enrolment(record: Record) -> Enrolment:
    """Return what an enrolment record says.

    Raises:
        Malformed: it is of another kind, or lacks something.
    """
    if record.kind != "enrolment":
        raise Malformed(f"a record of kind {record.kind!r} where an enrolment belongs")
    body = strictjson.members(record.body, ENROLMENT, "enrolment")
    agent, site, assurance = (strictjson.text(body[key], key, 64) for key in ("agent", "site", "assurance"))
    following = body["next_collector_key"]
    return Enrolment(
        agent, site, from_jwk(body["key"]), assurance, record.collector, from_jwk(body["collector_key"]),
        None if following is None else from_jwk(following), record.log,
    )  # fmt: skip


def introduce(text: str) -> Enrolment:
    """Return an enrolment that vouches for itself: signed by the collector key that it names.

    That proves only that one hand wrote it; the agent compares the fingerprint with what a person told it.

    Raises:
        TrustError: it is not signed by that key.
    """
    claimed = enrolment(decode(envelope.payload(envelope.apart(text))))
    ring = {claimed.collector_key.kid: claimed.collector_key}
    return enrolment(believe(text, ring))
