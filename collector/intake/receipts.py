"""Receipts: the collector's word of what it holds, with proofs; made only after the commit (WIRE.md section 4)."""

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, bindparam, select

from collector.intake import quarantine
from collector.intake.log import Log
from collector.store.schema import agent as agents
from collector.store.schema import chain, parked
from shared import receipt
from shared.errors import ConfigError
from shared.receipt import MOST_MISSING, Checkpoint, Consistency, Receipt

# Built once: to build a statement costs more than to run it.
_OF_AGENT = agents.c.agent == bindparam("agent")
_HEAD = select(chain.c.seq, chain.c.hash, chain.c.last_position).where(
    chain.c.agent == bindparam("agent"), chain.c.epoch == bindparam("epoch")
)
_EPOCH = select(agents.c.epoch).where(_OF_AGENT)
_SEEN = select(agents.c.seen_size).where(_OF_AGENT)
_AHEAD = (
    select(parked.c.seq)
    .where(parked.c.agent == bindparam("agent"), parked.c.epoch == bindparam("epoch"))
    .where(parked.c.seq > bindparam("acked"))
    .order_by(parked.c.seq)
)


def newest(connection: Connection, log: Log, agent: str, now: int) -> str:
    """Return the receipt for the epoch of an agent that spoke last. now: [UTC us]

    Raises:
        ConfigError: nothing was ever received of that agent.
    """
    epoch = connection.execute(_EPOCH, {"agent": agent}).scalar_one_or_none()
    if epoch is None:
        raise ConfigError(f"no batch of agent {agent!r} has arrived yet")
    return write(connection, log, agent, epoch, now)


def everyone(connection: Connection, log: Log, now: int) -> Iterable[tuple[str, str]]:
    """Give (agent, receipt) for each agent that ever spoke. now: [UTC us]"""
    point = log.checkpoint(connection)
    rows = connection.execute(select(agents.c.agent, agents.c.epoch).where(agents.c.epoch.is_not(None))).all()
    for row in rows:
        yield row.agent, write(connection, log, row.agent, row.epoch, now, point)


def write(
    connection: Connection, log: Log, agent: str, epoch: str, now: int, point: Checkpoint | None = None,
    told: Sequence[bytes] = (),
) -> str:  # fmt: skip
    """Return the signed receipt of one epoch; forks among the messages `told` are named in any case. now: [UTC us]"""
    point = point or log.checkpoint(connection)
    head = connection.execute(_HEAD, {"agent": agent, "epoch": epoch}).one_or_none()
    seq, hashed, position = (0, None, None) if head is None else (head.seq, bytes(head.hash), head.last_position)
    path = [] if position is None else log.inclusion(connection, position, point.size)
    proof = _consistency(connection, log, agent, point)
    return receipt.seal(
        Receipt(
            log.collector, log.id, agent, epoch, seq, hashed, position, now, missing(connection, agent, epoch, seq),
            quarantine.rejected(connection, agent, epoch, told), point, tuple(path), proof,
        ),
        log.signer,
    )  # fmt: skip


def _consistency(connection: Connection, log: Log, agent: str, point: Checkpoint) -> Consistency | None:
    seen = connection.execute(_SEEN, {"agent": agent}).scalar_one_or_none()
    if seen is None or seen > point.size:
        return None
    return Consistency(seen, tuple(log.consistency(connection, seen, point.size)))


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
