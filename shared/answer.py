"""An answer to a release in the words of its party, signed by the party's own key: a form that others can write, too.

One JWS Compact string (RFC 7515). Header: exactly `alg`, `kid`, `typ`; `alg` is `ES256`, or `Ed25519` (older libraries:
`EdDSA`), `kid` the RFC 7638 thumbprint of the public key, `typ` is `wattseal-answer+jws`. Payload: a JSON object of
exactly the members of `words`, in any order. `manifest_sha256` is the SHA-256 of manifest.json, which is the payload of
manifest.jws; it names rows, points and period, so that the words are about these numbers and no others.

Rules of this file: the signature is checked before the words are looked at. A library outside signs ES256 with a high s
half of the time; here, unlike in our own envelopes, that is taken.
"""

from collections.abc import Sequence
from dataclasses import replace

from shared import envelope, keys, strictjson
from shared.errors import Malformed, WrongIdentity
from shared.keys import Verifier

TYPE = "wattseal-answer+jws"
_OLDER_NAME = ("EdDSA", "Ed25519")  # RFC 8037, RFC 9864


def words(
    release_id: str, manifest_sha256: str, answer: str, by: str,
    reason: str | None = None, rows: Sequence[tuple[str, str]] = (),
) -> dict[str, object]:  # fmt: skip
    """Return what a party signs.

    Args:
        release_id: Of the release.
        manifest_sha256: Of its manifest.json, in hex.
        answer: acknowledged, accepted or disputed.
        by: Who answers.
        reason: Why, if anything is said.
        rows: Point and start of each row that is disputed.
    """
    return {
        "v": 1, "release_id": release_id, "manifest_sha256": manifest_sha256, "answer": answer, "by": by,
        "reason": reason, "rows": [list(row) for row in rows],
    }  # fmt: skip


def believe(proof: str, key: Verifier, said: dict[str, object]) -> None:
    """Accept a proof: signed by this key, in just these words.

    Raises:
        TrustError: it is not in this form, by another key, or says something else.
    """
    apart = envelope.apart(proof)
    alg = _OLDER_NAME[1] if apart.alg == _OLDER_NAME[0] else apart.alg
    signature = keys.low_s(apart.signature) if alg == "ES256" else apart.signature
    payload = envelope.believe_parts(replace(apart, alg=alg, signature=signature), TYPE, {key.kid: key})
    found = strictjson.loads(payload)
    if not isinstance(found, dict):
        raise Malformed("its words are no object")
    other = sorted(name for name in found.keys() | said.keys() if _text(found, name) != _text(said, name))
    if other:
        raise WrongIdentity(f"its words differ from the answer in {', '.join(other)[:200]}")


def _text(members: dict[str, object], name: str) -> str:
    """Return a member as it is written, so that true is not 1; nothing where there is none."""
    return strictjson.dumps(members[name]) if name in members else ""
