"""Receipts: the collector's word of what it holds, with proofs; made only after the commit (WIRE.md section 4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, select

from collector.intake import quarantine
from collector.intake.log import Log
from collector.store.schema import agent as agents
from collector.store.schema import chain, parked
from shared import receipt
from shared.errors import ConfigError
from shared.receipt import MOST_MISSING, Checkpoint, Consistency, Receipt

# Built once: to build a statement costs more than to run it.
_AGENTS: BindParameter[str] = bindparam("agents", expanding=True)
_HEADS = select(chain.c.agent, chain.c.epoch, chain.c.seq, chain.c.hash, chain.c.last_position).where(
    chain.c.agent.in_(_AGENTS)
)
_EPOCH = select(agents.c.epoch).where(agents.c.agent == bindparam("agent"))
_SEEN = select(agents.c.agent, agents.c.seen_size).where(agents.c.agent.in_(_AGENTS))
_WAITING = (
    select(parked.c.agent, parked.c.epoch, parked.c.seq).where(parked.c.agent.in_(_AGENTS)).order_by(parked.c.seq)
)
_AHEAD = (
    select(parked.c.seq)
    .where(parked.c.agent == bindparam("agent"), parked.c.epoch == bindparam("epoch"))
    .where(parked.c.seq > bindparam("acked"))
    .order_by(parked.c.seq)
)
#: Agents of one query.
_AT_ONCE = 500

Epoch = tuple[str, str]


class _Head(NamedTuple):
    """How far an epoch is known, and where."""

    seq: int
    hash: bytes | None
    position: int | None


_NOTHING = _Head(0, None, None)


def newest(connection: Connection, log: Log, agent: str, now: int) -> str:
    """Return the receipt for the epoch of an agent that spoke last. now: [UTC us]

    Raises:
        ConfigError: nothing was ever received of that agent.
    """
    epoch = connection.execute(_EPOCH, {"agent": agent}).scalar_one_or_none()
    if epoch is None:
        raise ConfigError(f"no batch of agent {agent!r} has arrived yet")
    return next(text for _, text in write(connection, log, [(agent, epoch)], now))


def everyone(connection: Connection, log: Log, now: int) -> Iterator[tuple[str, str]]:
    """Give (agent, receipt) for each agent that ever spoke. now: [UTC us]"""
    rows = connection.execute(select(agents.c.agent, agents.c.epoch).where(agents.c.epoch.is_not(None))).all()
    yield from write(connection, log, [(row.agent, row.epoch) for row in rows], now)


def write(
    connection: Connection, log: Log, epochs: Sequence[Epoch], now: int, told: Mapping[Epoch, Sequence[bytes]] = {}
) -> Iterator[tuple[str, str]]:
    """Give (agent, signed receipt) for some epochs, in their order.

    Args:
        connection: A read transaction.
        log: The log.
        epochs: Agent and epoch.
        now: Time. [UTC us]
        told: Messages by epoch; forks among them are named in any case.
    """
    point = log.checkpoint(connection)
    for first in range(0, len(epochs), _AT_ONCE):
        some = epochs[first : first + _AT_ONCE]
        known = _Known(connection, {agent for agent, _ in some})
        for epoch in some:
            yield epoch[0], _seal(connection, log, epoch, now, point, known, told.get(epoch, ()))


class _Known:
    """What receipts say of some agents, read at once."""

    def __init__(self, connection: Connection, names: Iterable[str]) -> None:
        some = {"agents": list(names)}
        self.heads = {
            (row.agent, row.epoch): _Head(row.seq, bytes(row.hash), row.last_position)
            for row in connection.execute(_HEADS, some)
        }
        self.seen = {row.agent: row.seen_size for row in connection.execute(_SEEN, some)}
        self.waiting: dict[Epoch, list[int]] = {}
        for row in connection.execute(_WAITING, some):
            self.waiting.setdefault((row.agent, row.epoch), []).append(row.seq)
        self.refused = quarantine.refused_of(connection, some["agents"])
        self.forked = quarantine.forked_of(connection, some["agents"])


def _seal(
    connection: Connection, log: Log, epoch: Epoch, now: int, point: Checkpoint, known: _Known, told: Sequence[bytes]
) -> str:
    head, seen = known.heads.get(epoch, _NOTHING), known.seen.get(epoch[0])
    path = [] if head.position is None else log.inclusion(connection, head.position, point.size)
    ahead = [seq for seq in known.waiting.get(epoch, ()) if seq > head.seq]
    rejected = quarantine.rejected(
        connection, *epoch, told, forked=epoch in known.forked, refused=epoch[0] in known.refused
    )  # fmt: skip
    proof = (
        None
        if seen is None or seen > point.size
        else Consistency(seen, tuple(log.consistency(connection, seen, point.size)))
    )
    return receipt.seal(
        Receipt(
            log.collector, log.id, *epoch, head.seq, head.hash, head.position, now, tuple(holes(head.seq, ahead)),
            rejected, point, tuple(path), proof,
        ),
        log.signer,
    )  # fmt: skip


def missing(connection: Connection, agent: str, epoch: str, acked: int) -> tuple[tuple[int, int], ...]:
    """Return the spans of sequences above `acked` that are not here, as far as later ones are."""
    waiting = connection.execute(_AHEAD, {"agent": agent, "epoch": epoch, "acked": acked})
    return tuple(holes(acked, list(waiting.scalars())))


def holes(acked: int, waiting: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first spans that are missing between what is acknowledged and what waits.

    >>> holes(3, [6, 7, 10])
    [(4, 5), (8, 9)]
    """
    found, before = [], acked
    for seq in waiting:
        if seq > before + 1:
            found.append((before + 1, seq - 1))
        before = max(before, seq)
    return found[:MOST_MISSING]
