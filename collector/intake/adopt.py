"""A person lets in an epoch that was held or frozen; from then on it counts like any other."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, select, update

from collector.intake import records, turns
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


@dataclass(frozen=True, slots=True)
class Adopted:
    """What an adoption lets in: of an epoch what was held or frozen, or what is kept as a fork of it."""

    agent: str
    epoch: str
    fork: bool

    @classmethod
    def of(cls, body: Mapping[str, object]) -> "Adopted":
        """Return what a record says."""
        return cls(str(body.get("agent")), str(body.get("epoch")), body.get("fork") is True)

    def body(self) -> dict[str, object]:
        """Return it as the record says it."""
        return {"agent": self.agent, "epoch": self.epoch} | ({"fork": True} if self.fork else {})


def kept_out(connection: Connection, adopted: Adopted, position: int) -> list[int]:
    """Return the batches that an adoption at a position lets in; what an earlier one has let in is not among them."""
    states = (State.FORK,) if adopted.fork else (State.HELD, State.FROZEN)
    query = select(ledger.c.position).where(
        ledger.c.agent == adopted.agent, ledger.c.epoch == adopted.epoch, ledger.c.state.in_(states),
        ledger.c.position < position, ledger.c.position > _adopted_before(connection, adopted, position),
    )  # fmt: skip
    return list(connection.execute(query.order_by(ledger.c.position)).scalars())


def _adopted_before(connection: Connection, adopted: Adopted, position: int) -> int:
    """Return the position of the last such adoption before; -1 where there is none."""
    found = records.every(connection, "adoption", position)
    return max((at for at, one in found if Adopted.of(one.body) == adopted), default=-1)


def adopt(store: Store, log: Log, *, agent: str, epoch: str, by: str, now: int, fork: bool = False) -> int:
    """Return the position of the adoption record. now: [UTC us]

    Args:
        store: The collector's database.
        log: Its log.
        agent: Of the epoch.
        epoch: What is let in.
        by: The person.
        now: Time. [UTC us]
        fork: Let in what is kept as a fork of it instead; the epoch stays as it is, and the gateway that signs there
            must be enrolled anew to go on.

    Raises:
        ConfigError: there is no such epoch, or it needs no adoption.
    """
    own = (chain.c.agent == agent) & (chain.c.epoch == epoch)
    adopted = Adopted(agent, epoch, fork)
    with store.write() as connection:
        tail = log.tail(connection, now)  # first of all: it orders this with the batches that are being taken
        state = connection.execute(select(chain.c.state).where(own)).scalar_one_or_none()
        if state is None:
            raise ConfigError(f"agent {agent!r} has no epoch {epoch!r}; see: wattseal collector agents list")
        if not fork and state == State.OPEN:
            raise ConfigError(f"epoch {epoch!r} of agent {agent!r} is open; there is nothing to adopt")
        if fork and not kept_out(connection, adopted, tail.size):
            raise ConfigError(f"epoch {epoch!r} of agent {agent!r} has no fork that waits; there is nothing to adopt")
        position = log.add_record(tail, "adoption", adopted.body(), by=by)
        tail.flush()
        if not fork:
            connection.execute(update(chain).where(own).values(state=State.OPEN))
            turns.hand_over_in(connection, agent, epoch, now)
    return position
