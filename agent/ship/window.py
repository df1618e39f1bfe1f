"""Which batches to send now: lowest first, so many on the way, again after some patience. Pure, told the time.

A broker's PUBACK says only that the broker has it; nothing here is forgotten before the collector's receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Window:
    """Batches on the way, by row id of the outbox."""

    size: int
    patience: int  # [us] before a batch without a receipt is sent again
    sent: dict[int, int] = field(default_factory=dict)

    def due(self, waiting: Sequence[int], now: int) -> list[int]:
        """Return which of the waiting batches to send now, oldest first; they count as sent. [boot us]"""
        head = waiting[: self.size]
        chosen = [row for row in head if row not in self.sent or now - self.sent[row] >= self.patience]
        self.sent = {row: self.sent[row] for row in head if row in self.sent} | dict.fromkeys(chosen, now)
        return chosen

    def again(self, rows: Sequence[int]) -> None:
        """Forget that these were sent: the collector says that it lacks them."""
        for row in rows:
            self.sent.pop(row, None)

    def reset(self) -> None:
        """Forget everything on the way: the connection is a new one."""
        self.sent.clear()
