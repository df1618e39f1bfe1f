"""The envelope: one JWS Compact string (RFC 7515), never re-serialised.

Rules of this file: the size is checked before anything is parsed; the signature is checked before the payload
is looked at; the algorithm is that of the known key and must equal the header's; the header has exactly three
members. Nothing in an envelope can point at a key.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from shared import strictjson
from shared.errors import BadSignature, Malformed, UnknownSigner
from shared.keys import Signer, Verifier, b64url, unb64url

#: Longest string that may be signed or read (WIRE.md section 1). [bytes]
LIMIT = 262_144

BATCH = "wattseal-batch+jws"
RECEIPT = "wattseal-receipt+jws"
RECORD = "wattseal-record+jws"
RELEASE = "wattseal-release+jws"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A string taken apart, not yet believed."""

    alg: str
    kid: str
    typ: str
    message: bytes  # what the signature covers: header.payload
    signature: bytes
    text: str
    hashed: bytes  # SHA-256 of the message: a message is known again by it whatever its signature
    digest: bytes  # SHA-256 of the whole string


def seal(payload: str, typ: str, signer: Signer) -> str:
    """Return the signed string.

    Raises:
        Malformed: it would be longer than the limit.
    """
    message = f"{_written(signer.alg, signer.kid, typ)}.{b64url(payload.encode())}"
    if len(message) + 87 > LIMIT:
        raise Malformed(f"an envelope of {len(message) + 87} bytes is over the limit of {LIMIT}")
    return f"{message}.{b64url(signer.sign(message.encode('ascii')))}"


def apart(text: str) -> Envelope:
    """Take a string apart without believing it.

    Raises:
        Malformed: too long, or not a JWS Compact string with exactly `alg`, `kid` and `typ`.
    """
    if len(text) > LIMIT:
        raise Malformed(f"{len(text)} bytes are over the limit of {LIMIT}")
    if not text.isascii():
        raise Malformed("not ASCII")
    parts = text.split(".")
    if len(parts) != 3:
        raise Malformed("not three parts joined by dots")
    alg, kid, typ = (_header if len(parts[0]) > _SHORT else _short_header)(parts[0])
    message = text[: text.rindex(".")].encode("ascii")
    signature, running = unb64url(parts[2]), hashlib.sha256(message)  # once over what may be long
    hashed = running.digest()
    running.update(text[len(message) :].encode("ascii"))
    return Envelope(alg, kid, typ, message, signature, text, hashed, running.digest())


def _header(written: str) -> tuple[str, str, str]:
    """Return algorithm, key id and type."""
    header = strictjson.loads(unb64url(written))
    if not isinstance(header, dict) or set(header) != {"alg", "kid", "typ"}:
        raise Malformed("the header is not exactly alg, kid, typ")
    alg, kid, typ = (strictjson.text(header[name], f"header.{name}", 64) for name in ("alg", "kid", "typ"))
    return alg, kid, typ


# One key writes one header, again and again; a stranger's can fill what is remembered, which is bounded.
_SHORT = 256
_short_header = lru_cache(maxsize=4096)(_header)


@lru_cache(maxsize=64)
def _written(alg: str, kid: str, typ: str) -> str:
    return b64url(strictjson.dumps({"alg": alg, "kid": kid, "typ": typ}).encode())


def believe(text: str, typ: str, ring: Mapping[str, Verifier]) -> bytes:
    """Return the payload of a string signed by one of the known keys.

    Raises:
        Malformed: not an envelope, or of another type.
        UnknownSigner: the ring has no such key.
        BadSignature: the signature does not fit the bytes.
    """
    return believe_parts(apart(text), typ, ring)


def believe_parts(envelope: Envelope, typ: str, ring: Mapping[str, Verifier]) -> bytes:
    """Return the payload of an envelope that was taken apart before; as `believe`.

    Raises:
        Malformed: of another type.
        UnknownSigner: the ring has no such key.
        BadSignature: the signature does not fit the bytes.
    """
    if envelope.typ != typ:
        raise Malformed(f"an envelope of type {envelope.typ[:40]!r} where {typ!r} belongs")
    public = ring.get(envelope.kid)
    if public is None:
        raise UnknownSigner(f"no key is known with id {envelope.kid}")
    if public.alg != envelope.alg:
        raise BadSignature(f"header says {envelope.alg[:20]}, the key {envelope.kid} is for {public.alg}")
    if not public.accepts(envelope.signature, envelope.message, envelope.hashed):
        raise BadSignature(f"the signature does not fit the bytes (key {envelope.kid})")
    return payload(envelope)


def payload(envelope: Envelope) -> bytes:
    """Return the payload of an envelope that was believed before, such as one read back from the ledger."""
    return unb64url(envelope.message[envelope.message.index(b".") + 1 :].decode("ascii"))


def digest(text: str) -> bytes:
    """Return the SHA-256 of a whole string: what `prev` and `acked_hash` name."""
    return hashlib.sha256(text.encode("ascii")).digest()
