"""Receipt and checkpoint: the collector's word that it holds what an agent sealed, with proofs (WIRE.md section 4)."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass

from shared import envelope, merkle, strictjson
from shared.batch import Seen, hash_of
from shared.errors import BadProof, Malformed, OtherBranch, WrongIdentity
from shared.keys import Signer, Verifier, b64url

KEYS = (
    "v", "collector", "log", "agent", "epoch", "acked_seq", "acked_hash", "position", "time", "missing", "rejected",
    "checkpoint", "inclusion", "consistency",
)  # fmt: skip
#: Why a batch was refused; a closed list.
REASONS = ("malformed", "unknown_key", "bad_signature", "wrong_identity", "revoked", "oversize", "fork", "quota")
MOST_MISSING = 64


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of a log (the text body of a C2SP checkpoint)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode('ascii')}\n"


def checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of three lines.

    Raises:
        Malformed: it is not written so.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not lines[1].isdecimal() or not lines[1].isascii():
        raise Malformed("a checkpoint is not origin, size and root on three lines")
    try:
        root = base64.b64decode(lines[2], validate=True)
    except ValueError as error:
        raise Malformed("a checkpoint's root is not base64") from error
    found = Checkpoint(lines[0], int(lines[1]), root)
    if len(root) != 32 or found.text() != text:
        raise Malformed("a checkpoint is not in its one spelling")
    return found


@dataclass(frozen=True, slots=True)
class Consistency:
    """Proof that the log still begins with what an agent saw before."""

    size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A batch that is not in the ledger, and why; it stays at the agent."""

    hash: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """Everything of an epoch up to `acked_seq` is durable at the collector."""

    collector: str
    log: str
    agent: str
    epoch: str
    acked_seq: int
    acked_hash: bytes | None
    position: int | None
    time: int  # [UTC us]
    missing: tuple[tuple[int, int], ...]
    rejected: tuple[Rejected, ...]
    checkpoint: Checkpoint
    inclusion: tuple[bytes, ...]
    consistency: Consistency | None


def seal(receipt: Receipt, signer: Signer) -> str:
    """Return the receipt as a signed string."""
    proof = receipt.consistency
    parts: tuple[object, ...] = (
        1, receipt.collector, receipt.log, receipt.agent, receipt.epoch, receipt.acked_seq,
        receipt.acked_hash and b64url(receipt.acked_hash), receipt.position, receipt.time, receipt.missing,
        [{"hash": b64url(one.hash), "reason": one.reason} for one in receipt.rejected], receipt.checkpoint.text(),
        [b64url(one) for one in receipt.inclusion],
        proof and {"from": proof.size, "hashes": [b64url(one) for one in proof.hashes]},
    )  # fmt: skip
    return envelope.seal(strictjson.dumps(dict(zip(KEYS, parts, strict=True))), envelope.RECEIPT, signer)


def believe(text: str, ring: Mapping[str, Verifier]) -> Receipt:
    """Return the receipt of a signed string; its proofs are not yet checked.

    Raises:
        TrustError: not signed by a key of the ring, or not a receipt.
    """
    fields = strictjson.members(strictjson.loads(envelope.believe(text, envelope.RECEIPT, ring)), KEYS, "receipt")
    if fields["v"] != 1:
        raise Malformed("a receipt of another version")
    collector, log, agent, epoch = (strictjson.text(fields[key], key, 160) for key in KEYS[1:5])
    hashed, position = fields["acked_hash"], fields["position"]
    return Receipt(
        collector, log, agent, epoch,
        strictjson.integer(fields["acked_seq"], "acked_seq"),
        None if hashed is None else hash_of(hashed, "acked_hash"),
        None if position is None else strictjson.integer(position, "position"),
        strictjson.integer(fields["time"], "time"),
        tuple(_span(one) for one in strictjson.array(fields["missing"], "missing")[:MOST_MISSING]),
        tuple(_rejected(one) for one in strictjson.array(fields["rejected"], "rejected")),
        checkpoint(strictjson.text(fields["checkpoint"], "checkpoint", 512)),
        tuple(hash_of(one, "inclusion") for one in strictjson.array(fields["inclusion"], "inclusion")),
        _consistency(fields["consistency"]),
    )  # fmt: skip


def _span(value: object) -> tuple[int, int]:
    entries = strictjson.array(value, "missing")
    if len(entries) != 2:
        raise Malformed("missing: not first and last")
    return strictjson.integer(entries[0], "missing"), strictjson.integer(entries[1], "missing")


def _rejected(value: object) -> Rejected:
    fields = strictjson.members(value, ("hash", "reason"), "rejected")
    return Rejected(hash_of(fields["hash"], "rejected.hash"), strictjson.text(fields["reason"], "reason", 40))


def _consistency(value: object) -> Consistency | None:
    if value is None:
        return None
    fields = strictjson.members(value, ("from", "hashes"), "consistency")
    hashes = strictjson.array(fields["hashes"], "consistency")
    size = strictjson.integer(fields["from"], "consistency.from")
    return Consistency(size, tuple(hash_of(one, "consistency") for one in hashes))


def check(receipt: Receipt, *, agent: str, sent: Mapping[int, str], seen: Mapping[int, Seen]) -> None:
    """Believe what a receipt claims, before anything is marked as delivered.

    Args:
        receipt: A receipt whose signature fits.
        agent: The agent that reads it.
        sent: The batches of the receipt's epoch that it may speak of, by sequence.
        seen: Checkpoints that this agent verified before, by size.

    Raises:
        WrongIdentity: it is for another agent, or acknowledges what was never sealed here.
        BadProof: it does not prove that the log holds the batch and still begins with what was seen.
    """
    if receipt.agent != agent:
        raise WrongIdentity(f"a receipt for agent {receipt.agent!r} came to {agent!r}")
    if receipt.checkpoint.origin != receipt.log:
        raise WrongIdentity(f"a receipt's checkpoint is of log {receipt.checkpoint.origin!r}, not {receipt.log!r}")
    if receipt.acked_seq:
        _check_acknowledged(receipt, sent)
    _check_continuity(receipt, seen)


def _check_acknowledged(receipt: Receipt, sent: Mapping[int, str]) -> None:
    text = sent.get(receipt.acked_seq)
    if text is None or receipt.acked_hash != envelope.digest(text):
        raise OtherBranch(f"a receipt acknowledges a batch {receipt.acked_seq} that was never sealed here")
    if receipt.position is None:
        raise BadProof("a receipt acknowledges a batch without its position")
    leaf = merkle.leaf_hash(text.encode("ascii"))
    merkle.check_inclusion(
        leaf, receipt.position, receipt.checkpoint.size, receipt.inclusion, receipt.checkpoint.root
    )  # fmt: skip


def _check_continuity(receipt: Receipt, seen: Mapping[int, Seen]) -> None:
    if not seen:
        return
    proof = receipt.consistency
    known = seen.get(proof.size) if proof else None
    if proof is None or known is None:
        raise BadProof("a receipt does not prove that the log continues what this agent saw before")
    if known.log != receipt.log:
        raise BadProof(f"a receipt is of log {receipt.log!r}; this agent follows {known.log!r}")
    point = receipt.checkpoint
    merkle.check_consistency(proof.size, point.size, known.root, point.root, proof.hashes)
