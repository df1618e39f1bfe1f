"""What arrived before its predecessor, within one write transaction: bounded for each agent, on disk with the group.

Rules of this file: what is set aside is authentic and acknowledged to nobody; it is given away once, and written back
only by whoever sets it aside again.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from sqlalchemy import Connection, bindparam, delete, insert, select

from collector.store.prepared import Prepared
from collector.store.schema import parked
from shared.batch import Head

#: What may wait for its predecessor, of one agent.
MOST = 1000
MOST_BYTES = 64 * 1024 * 1024

_OF_AGENTS = Prepared(
    select(parked.c.message_hash, parked.c.agent, parked.c.epoch, parked.c.seq, parked.c.size).where(
        parked.c.agent.in_(bindparam("agents", expanding=True))
    ),
    expands="agents",
)
_FETCH = Prepared(select(parked.c.jws).where(parked.c.message_hash == bindparam("message")))
_SET_ASIDE = Prepared(insert(parked))
_TAKE_AWAY = Prepared(delete(parked).where(parked.c.message_hash == bindparam("message")))


class Spot(NamedTuple):
    """The place of a waiting batch, and its length. [bytes]"""

    epoch: str
    seq: int
    size: int


class Parked:
    """The batches that wait, of the agents of one group."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._waiting: dict[str, dict[bytes, Spot]] = {}  # agent: message: place
        self._fresh: dict[bytes, dict[str, object]] = {}
        self._gone: list[bytes] = []

    def expect(self, agents: Iterable[str]) -> None:
        """Read what waits of some agents."""
        self._waiting = {agent: {} for agent in agents}
        for row in _OF_AGENTS.among(self.connection, list(self._waiting)):
            self._waiting[row.agent][bytes(row.message_hash)] = Spot(row.epoch, row.seq, row.size)

    def of(self, agent: str) -> Mapping[bytes, Spot]:
        """Return what waits of an agent, by message."""
        return self._waiting[agent]

    def room(self, agent: str, message: bytes, size: int) -> bool:
        """Return whether a batch may wait, or does already. [bytes]"""
        waiting = self._waiting[agent]
        held = sum(spot.size for spot in waiting.values())
        return message in waiting or (len(waiting) < MOST and held + size <= MOST_BYTES)

    def put(self, head: Head, message: bytes, text: str) -> bool:
        """Set a batch aside; return False where it waits already."""
        waiting = self._waiting[head.agent]
        if message in waiting:
            return False
        waiting[message] = Spot(head.epoch, head.seq, len(text))
        self._fresh[message] = {
            "message_hash": message, "agent": head.agent, "epoch": head.epoch, "seq": head.seq, "size": len(text),
            "jws": text,
        }  # fmt: skip
        return True

    def at(self, agent: str, epoch: str, seq: int) -> list[bytes]:
        """Return what waits for one place."""
        return [message for message, spot in self._waiting[agent].items() if spot[:2] == (epoch, seq)]

    def next(self, agent: str, epoch: str, limit: int) -> bytes | None:
        """Return the lowest that waits in an epoch, up to a sequence."""
        due = [
            (spot.seq, message)
            for message, spot in self._waiting[agent].items()
            if spot.epoch == epoch and spot.seq <= limit
        ]
        return min(due)[1] if due else None

    def fetch(self, message: bytes) -> str:
        """Return what was set aside, and set it aside no longer."""
        for waiting in self._waiting.values():
            waiting.pop(message, None)
        fresh = self._fresh.pop(message, None)
        if fresh is not None:
            return str(fresh["jws"])
        self._gone.append(message)
        [row] = _FETCH.rows(self.connection, {"message": message})
        return str(row.jws)

    def write(self) -> None:
        """Write what has changed."""
        if self._gone:
            _TAKE_AWAY.run(self.connection, [{"message": message} for message in self._gone])
        if self._fresh:
            _SET_ASIDE.run(self.connection, list(self._fresh.values()))
