"""A person lets in an epoch that was held or frozen; from then on it counts like any other."""

from sqlalchemy import select, update

from collector.intake.admit import State
from collector.intake.log import Log
from collector.store.engine import Store
from collector.store.schema import chain
from shared.errors import ConfigError


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
    return position
