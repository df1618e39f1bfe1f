"""Takes a receipt: every claim is checked before a batch is marked as delivered."""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.ship.outbox import Outbox
from shared import envelope
from shared import receipt as receipts
from shared.batch import Seen, head
from shared.errors import BadProof, OtherBranch, WrongIdentity
from shared.keys import Verifier
from shared.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Taken:
    """What a receipt changed."""

    acked: int  # batches newly marked
    missing: tuple[tuple[int, int], ...]
    rejected: tuple[receipts.Rejected, ...]
    epoch: str


class Forked(OtherBranch):
    """A genuine receipt acknowledges another branch than ours: a copy of this gateway speaks, or an old image does."""

    def __init__(self, said: str, kept: tuple[receipts.Rejected, ...]) -> None:
        super().__init__(said)
        self.kept = kept  # what the collector names as not admitted; forks among them stand in its ledger


@dataclass(slots=True)
class Desk:
    """Reads receipts for one agent."""

    outbox: Outbox
    agent: str
    collector: str
    ring: Mapping[str, Verifier]
    heard: tuple[str, int, int] | None = None  # log, time [UTC us] and size of the newest receipt that was believed

    def take(self, text: str, now: int) -> Taken:
        """Return what a receipt changed; nothing is marked unless every proof holds. [UTC us]

        Raises:
            Forked: it acknowledges another branch than the one that was sealed here.
            TrustError: the receipt cannot be believed, or the collector contradicts what it proved before.
            StoreError: the disk refuses; nothing is marked.
        """
        receipt = receipts.believe(text, self.ring)
        if receipt.collector != self.collector:
            raise WrongIdentity(f"a receipt of collector {receipt.collector!r} came where {self.collector!r} belongs")
        anew = self._is_new_generation(receipt)
        try:
            self._check(receipt)
        except OtherBranch as error:
            raise Forked(str(error), receipt.rejected) from error
        self._grows(receipt)
        acked = 0
        if anew or receipt.consistency or receipt.acked_seq > self.outbox.acked(receipt.epoch):
            point = receipt.checkpoint
            seen = Seen(receipt.log, point.size, point.root)
            acked = self.outbox.acknowledge(receipt.epoch, receipt.acked_seq, seen, now, anew=anew)
        return Taken(acked, receipt.missing, receipt.rejected, receipt.epoch)

    def _is_new_generation(self, receipt: Receipt) -> bool:
        """Return whether a receipt is the first of a restored log: what it does not name must be sent again.

        Raises:
            BadProof: it is of another generation than the one that this agent follows.
        """
        seen = self.outbox.last_seen()
        if seen is not None and receipt.log != seen.log:
            raise BadProof(f"a receipt is of log {receipt.log!r}; this agent follows {seen.log!r}")
        if not self.outbox.get("lineage") or self.outbox.get("followed") == receipt.log:
            return False
        return receipt.acked_seq > 0 or receipt.epoch == self.outbox.head().epoch  # not of a stranger with our key

    def _grows(self, receipt: Receipt) -> None:
        """Believe that the log has not become shorter since an earlier word of the collector.

        Raises:
            BadProof: it has: the collector's database was set back and nobody has said so.
        """
        size = receipt.checkpoint.size
        log, time, before = self.heard or (receipt.log, receipt.time, size)
        if log == receipt.log and receipt.time > time and size < before:
            raise BadProof(
                f"the log has {size} leaves, after {before}: the collector's database was set back; its operator must"
                " run `wattseal collector restore`"
            )
        if log != receipt.log or size >= before:
            self.heard = (receipt.log, receipt.time, size)

    def _check(self, receipt: Receipt) -> None:
        """Check every proof; one of continuity is owed as soon as the collector was told what this agent saw."""
        sent = self.outbox.batch(receipt.epoch, receipt.acked_seq)
        proof, point = receipt.consistency, receipt.checkpoint
        seen = self.outbox.seen(point.size, *([proof.size] if proof else []))
        receipts.check(
            receipt, agent=self.agent, sent={} if sent is None else {receipt.acked_seq: sent},
            seen=seen if proof or self._reports(sent) else {},
        )  # fmt: skip
        before = seen.get(point.size)
        if before is not None and (before.log, before.root) != (receipt.log, point.root):
            raise BadProof(f"the log of size {point.size} has two roots: the collector rewrote its history")

    def _reports(self, sent: str | None) -> bool:
        """Return whether an acknowledged batch told the collector a checkpoint that this agent still vouches for.

        What it saw of a log that was restored since is lost there and cannot be continued.
        """
        told = None if sent is None else head(envelope.payload(envelope.apart(sent))).seen
        if told is None:
            return False
        kept = self.outbox.seen(told.size).get(told.size)
        return kept is not None and kept.root == told.root
