"""Takes a receipt: every claim is checked before a batch is marked as delivered."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ship.outbox import Outbox
from shared import envelope
from shared import receipt as receipts
from shared.batch import Seen, head
from shared.errors import BadProof, WrongIdentity
from shared.keys import Verifier
from shared.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Taken:
    """What a receipt changed."""

    acked: int  # batches newly marked
    missing: tuple[tuple[int, int], ...]
    rejected: tuple[receipts.Rejected, ...]
    epoch: str


@dataclass(slots=True)
class Desk:
    """Reads receipts for one agent."""

    outbox: Outbox
    agent: str
    collector: str
    ring: Mapping[str, Verifier]

    def take(self, text: str, now: int) -> Taken:
        """Return what a receipt changed; nothing is marked unless every proof holds. [UTC us]

        Raises:
            TrustError: the receipt cannot be believed, or the collector contradicts what it proved before.
            StoreError: the disk refuses; nothing is marked.
        """
        receipt = receipts.believe(text, self.ring)
        if receipt.collector != self.collector:
            raise WrongIdentity(f"a receipt of collector {receipt.collector!r} came where {self.collector!r} belongs")
        self._check(receipt)
        acked = 0
        if receipt.consistency or receipt.acked_seq > self.outbox.acked(receipt.epoch):
            point = receipt.checkpoint
            seen = Seen(receipt.log, point.size, point.root)
            acked = self.outbox.acknowledge(receipt.epoch, receipt.acked_seq, seen, now)
        return Taken(acked, receipt.missing, receipt.rejected, receipt.epoch)

    def _check(self, receipt: Receipt) -> None:
        """Check every proof; one of continuity is owed as soon as the collector was told what this agent saw."""
        sent = self.outbox.batch(receipt.epoch, receipt.acked_seq)
        proof, point = receipt.consistency, receipt.checkpoint
        seen = self.outbox.seen(point.size, *([proof.size] if proof else []))
        receipts.check(
            receipt, agent=self.agent, sent={} if sent is None else {receipt.acked_seq: sent},
            seen=seen if proof or _reports(sent) else {},
        )  # fmt: skip
        before = seen.get(point.size)
        if before is not None and (before.log, before.root) != (receipt.log, point.root):
            raise BadProof(f"the log of size {point.size} has two roots: the collector rewrote its history")


def _reports(sent: str | None) -> bool:
    """Return whether an acknowledged batch told the collector a checkpoint."""
    return sent is not None and head(envelope.payload(envelope.apart(sent))).seen is not None
