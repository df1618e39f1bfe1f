"""Batches that came after their gateway had begun another epoch: an old disk that was found and imported later.

They count, but below what the newer epoch says of the same boundaries, and a person is shown them once.
"""

from sqlalchemy import Connection, func, select

from collector.intake.log import Entry
from collector.store.schema import ledger

#: What such a source's rank is worse by than any other of its meter.
BEHIND = 1000
_OPENED = select(func.min(ledger.c.position).label("position"), ledger.c.epoch).where(
    ledger.c.typ == "batch", ledger.c.seq == 1, ledger.c.state == "admitted"
)


class Overtaken:
    """Knows the epochs of each agent as one transaction sees them."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._opened: dict[str, dict[str, int]] = {}
        self._shown: set[tuple[str, str]] = set()

    def holds(self, entry: Entry) -> bool:
        """Return whether another epoch of the agent was begun after this one and before the batch came."""
        if entry.agent is None or entry.epoch is None:
            return False
        opened = self._of(entry.agent)
        own = opened.get(entry.epoch)
        return own is not None and any(own < first < entry.position for first in opened.values())

    def _of(self, agent: str) -> dict[str, int]:
        if agent not in self._opened:
            query = _OPENED.where(ledger.c.agent == agent).group_by(ledger.c.epoch)
            self._opened[agent] = {row.epoch: row.position for row in self.connection.execute(query)}
        return self._opened[agent]

    def is_new(self, entry: Entry) -> bool:
        """Return whether a person was not shown this epoch yet; it counts as shown from now on."""
        key = (entry.agent or "", entry.epoch or "")
        if key in self._shown:
            return False
        self._shown.add(key)
        earlier = (
            select(ledger.c.position)
            .where(ledger.c.agent == key[0], ledger.c.epoch == key[1], ledger.c.state == "admitted")
            .where(ledger.c.position < entry.position, ledger.c.position > max(self._later(key), default=0))
            .limit(1)
        )
        return self.connection.execute(earlier).first() is None

    def _later(self, key: tuple[str, str]) -> list[int]:
        """Return where epochs begin that were opened after this one."""
        opened = self._of(key[0])
        return [min(first for first in opened.values() if first > opened[key[1]])] if key[1] in opened else []
