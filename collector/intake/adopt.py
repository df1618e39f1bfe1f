"""A person lets in an epoch that was held or frozen; from then on it counts like any other."""

from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from collector.intake import turns
from collector.intake.admit import State
from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import chain, ledger
from shared.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Waiting:
    """An epoch that is kept out of the series until a person lets it in."""

    agent: str
    epoch: str
    state: str  # held, frozen
    batches: int
    reason: str


def waiting(connection: Connection) -> list[Waiting]:
    """Return the epochs that wait for a person, with the first reason of each."""
    shut = select(chain).where(chain.c.state != State.OPEN).order_by(chain.c.agent, chain.c.first_position)
    found = []
    for row in connection.execute(shut):
        own = (ledger.c.agent == row.agent) & (ledger.c.epoch == row.epoch) & (ledger.c.reason.is_not(None))
        reason = select(ledger.c.reason).where(own).order_by(ledger.c.position).limit(1)
        why = connection.execute(reason).scalar_one_or_none()
        found.append(Waiting(row.agent, row.epoch, row.state, row.seq, why or ""))
    return found


def adopt(store: Store, log: Log, *, agent: str, epoch: str, by: str, now: int) -> int:
    """Return the position of the adoption record. now: [UTC us]

    Raises:
        ConfigError: there is no such epoch, or it needs no adoption.
    """
    own = (chain.c.agent == agent) & (chain.c.epoch == epoch)
    with store.write() as connection:
        tail = log.tail(connection, now)  # first of all: it orders this with the batches that are being taken
        state = connection.execute(select(chain.c.state).where(own)).scalar_one_or_none()
        if state is None:
            raise ConfigError(f"agent {agent!r} has no epoch {epoch!r}; see: wattseal collector agents list")
        if state == State.OPEN:
            raise ConfigError(f"epoch {epoch!r} of agent {agent!r} is open; there is nothing to adopt")
        position = log.add_record(tail, "adoption", {"agent": agent, "epoch": epoch}, by=by)
        tail.flush()
        connection.execute(update(chain).where(own).values(state=State.OPEN))
        turns.hand_over_in(connection, agent, epoch, now)
    return position
