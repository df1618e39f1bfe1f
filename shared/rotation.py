"""Handing over from one signing key of an agent to the next: by a batch that the old key signs and the new one proves.

From that batch on, by epoch and sequence and not by any clock, the new key signs. The proof covers where the batch
stands, so that it is good there only.
"""

from shared import envelope, strictjson
from shared.batch import KeyRotate
from shared.errors import WrongIdentity
from shared.keys import Signer, Verifier, from_jwk, jwk

PROOF = "wattseal-rotation+jws"
_MEMBERS = ("agent", "epoch", "seq")


def handing_over(agent: str, epoch: str, seq: int, following: Signer) -> KeyRotate:
    """Return the body of the batch with that sequence, by which a key hands over to the following one."""
    place = dict(zip(_MEMBERS, (agent, epoch, seq), strict=True))
    return KeyRotate(jwk(following.verifier), envelope.seal(strictjson.dumps(place), PROOF, following))


def successor(agent: str, epoch: str, seq: int, body: KeyRotate) -> Verifier:
    """Return the key that a believed batch hands over to.

    Raises:
        TrustError: the key is none, or it has not signed for this very place.
    """
    public = from_jwk(body.key)
    claim = strictjson.members(
        strictjson.loads(envelope.believe(body.proof, PROOF, {public.kid: public})), _MEMBERS, "proof of a new key"
    )
    if tuple(claim[name] for name in _MEMBERS) != (agent, epoch, seq):
        raise WrongIdentity("the proof of a new key is for another place than that of its batch")
    return public
