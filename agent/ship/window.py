"""Which batches to send now: lowest first, so many on the way, again after some patience. Pure, told the time.

A broker's PUBACK says only that the broker has it; nothing here is forgotten before the collector's receipt. Patience
doubles with each repetition of a batch, so that a collector that is away does not fill the broker with copies.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Patience grows to at most this many times the first.
MOST_PATIENCE = 32
#: Receipts that were written before a batch arrived still call it missing this long. [us]
JUST_NOW = 1_000_000


@dataclass(frozen=True, slots=True)
class _Sent:
    """When a batch was last sent, and how long to wait for its receipt. [boot us, us]"""

    at: int
    patience: int


@dataclass(slots=True)
class Window:
    """Batches on the way, by row id of the outbox."""

    size: int
    patience: int  # [us] before a batch without a receipt is sent again for the first time
    sent: dict[int, _Sent] = field(default_factory=dict)

    def due(self, waiting: Sequence[int], now: int) -> list[int]:
        """Return which of the waiting batches to send now, oldest first; they count as sent. [boot us]"""
        head = waiting[: self.size]
        self.sent = {row: self.sent[row] for row in head if row in self.sent}
        chosen = [row for row in head if row not in self.sent or now - self.sent[row].at >= self.sent[row].patience]
        for row in chosen:
            before = self.sent.get(row)
            patience = self.patience if before is None else min(before.patience * 2, self.patience * MOST_PATIENCE)
            self.sent[row] = _Sent(now, patience)
        return chosen

    def again(self, rows: Sequence[int], now: int) -> None:
        """Send these soon, because the collector lacks them, unless they were sent just now. [boot us]"""
        for row in rows:
            if row in self.sent and now - self.sent[row].at >= JUST_NOW:
                del self.sent[row]

    def reset(self) -> None:
        """Forget everything on the way: the connection is a new one."""
        self.sent.clear()
