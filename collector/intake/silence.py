"""Gateways that have fallen silent: a heartbeat is due every 300 s, so a tail that is held back shows after two.

A chain proves that nothing lacks before its last batch; only the clock can say that a last batch is overdue.
"""

from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from collector.store.engine import Store
from collector.store.schema import agent, keyring
from shared.clock import Clock
from shared.log import Log

log = Log(__name__)
#: Two heartbeats of at most 300 s (WIRE.md section 2), and a minute for the way. [us]
OVERDUE = 660_000_000


def silent(connection: Connection, now: int) -> dict[str, int]:
    """Return when each agent that is overdue was heard last; one that never spoke is not missed. [UTC us]"""
    approved = select(keyring.c.agent).where(keyring.c.role == "agent", keyring.c.state == "approved")
    query = select(agent.c.agent, agent.c.last_at).where(
        agent.c.last_at < now - OVERDUE, agent.c.agent.in_(approved)
    )  # fmt: skip
    return {row.agent: int(row.last_at) for row in connection.execute(query.order_by(agent.c.agent))}


@dataclass(slots=True)
class Watch:
    """Tells each change once: who fell silent, and who is back."""

    store: Store
    clock: Clock
    known: set[str] = field(default_factory=set)

    def look(self) -> None:
        """Look once.

        Raises:
            StoreError: the database refuses.
        """
        now = self.clock.wall()
        with self.store.read() as connection:
            found = silent(connection, now)
        for name in sorted(set(found) - self.known):
            log.error("agent_silent", agent=name, silent_s=(now - found[name]) // 1_000_000, hint=HINT)
        for name in sorted(self.known - set(found)):
            log.info("agent_back", agent=name)
        self.known = set(found)


HINT = "two heartbeats are overdue: look at its power and network; what it sealed comes once it is back"
