"""The newest batches of the open day, sent beside a backlog, so that the centre sees today while the past still comes.

Rules of this file: only a share of the way is used, and only while more waits than a window holds; the chain stays
as it is: the collector sets what is ahead aside, shows it as provisional and admits it in its order. Nothing goes
ahead of a change of the signing key.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.ship.outbox import Outbox, Waiting
from agent.ship.window import Window

SHARE = 4  # batches on the way at once
OPEN_DAY = 86_400_000_000  # [us]
LOOK_EVERY = 1_000_000  # [boot us]
#: A day of five-minute batches, with some room; the collector sets at most 1,000 of one agent aside.
_MOST = 400
_NEWEST = (
    "SELECT id, epoch, seq, length(jws), kind FROM batch WHERE acked IS NULL AND created >= ? AND id > ? AND NOT EXISTS"
    " (SELECT 1 FROM batch WHERE acked IS NULL AND kind = 'key_rotate') ORDER BY id DESC LIMIT ?"
)


@dataclass(slots=True)
class Ahead:
    """What was sent ahead of its turn, and what of it the collector lacks."""

    outbox: Outbox
    patience: int  # [us]
    _window: Window = field(init=False)
    _sent: set[int] = field(default_factory=set)
    _missing: tuple[str, tuple[tuple[int, int], ...]] = ("", ())  # epoch and spans of the newest receipt
    _next: int = 0  # when to look again [boot us]

    def __post_init__(self) -> None:
        self._window = Window(SHARE, self.patience)

    def reset(self) -> None:
        """Begin anew: the link is a new one."""
        self._window.reset()
        self._sent.clear()
        self._missing, self._next = ("", ()), 0

    def heard(self, epoch: str, missing: Sequence[tuple[int, int]]) -> None:
        """Take note of what a receipt says is lacking."""
        self._missing = epoch, tuple(missing)

    def due(self, head: Sequence[Waiting], size: int, boot: int, wall: int) -> list[Waiting]:
        """Return what to send ahead now, newest first; it counts as sent.

        Args:
            head: What waits at the other end, oldest first, at most a window of it.
            size: Of that window. [batches]
            boot: Now. [boot us]
            wall: Now. [UTC us]
        """
        if not head or len(head) < size or boot < self._next:
            return []
        self._next = boot + LOOK_EVERY
        rows = self.outbox.rows(_NEWEST, (wall - OPEN_DAY, head[-1].row + size, _MOST))
        found = [Waiting(*row) for row in rows]
        # The newest goes again with patience: once the collector has it, its receipts name every hole before it.
        fresh = [one for one in found if one is found[0] or one.row not in self._sent or self._lacks(one)][:SHARE]
        chosen = set(self._window.due([one.row for one in fresh], boot))
        self._sent |= chosen
        return [one for one in fresh if one.row in chosen]

    def _lacks(self, one: Waiting) -> bool:
        epoch, spans = self._missing
        return one.epoch == epoch and any(first <= one.seq <= last for first, last in spans)
