"""Takes a receipt: every claim is checked before a batch is marked as delivered."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ship.outbox import Outbox
from shared import envelope
from shared import receipt as receipts
from shared.batch import Seen, head
from shared.errors import BadProof, WrongIdentity
from shared.keys import Verifier


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
        """
        receipt = receipts.believe(text, self.ring)
        if receipt.collector != self.collector:
            raise WrongIdentity(f"a receipt of collector {receipt.collector!r} came where {self.collector!r} belongs")
        if not receipt.acked_seq:
            return Taken(0, receipt.missing, receipt.rejected, receipt.epoch)
        seen, sent = self.outbox.seen(), self.outbox.batch(receipt.epoch, receipt.acked_seq)
        receipts.check(
            receipt, agent=self.agent, sent={} if sent is None else {receipt.acked_seq: sent},
            seen=seen if receipt.consistency or _reports(sent) else {},
        )  # fmt: skip
        point = receipt.checkpoint
        before = seen.get(point.size)
        if before is not None and before.root != point.root:
            raise BadProof(f"the log of size {point.size} has two roots: the collector rewrote its history")
        acked = self.outbox.acknowledge(
            receipt.epoch, receipt.acked_seq, Seen(receipt.log, point.size, point.root), now
        )  # fmt: skip
        return Taken(acked, receipt.missing, receipt.rejected, receipt.epoch)


def _reports(sent: str | None) -> bool:
    """Return whether an acknowledged batch told the collector a checkpoint, so that a proof from there is owed."""
    return sent is not None and head(envelope.payload(envelope.apart(sent))).seen is not None
