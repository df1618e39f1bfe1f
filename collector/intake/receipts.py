"""Receipts: the collector's word of what it holds, with proofs; signed only after the commit (WIRE.md section 4)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import BindParameter, Connection, bindparam, select

from collector.intake import quarantine
from collector.intake.log import Log, Tree
from collector.store.prepared import Prepared
from collector.store.schema import agent as agents
from collector.store.schema import chain, parked
from shared import receipt
from shared.errors import ConfigError
from shared.keys import Signer
from shared.receipt import MOST_MISSING, Checkpoint, Consistency, Receipt, Rejected

_AGENTS: BindParameter[str] = bindparam("agents", expanding=True)
_HEADS = Prepared(
    select(chain.c.agent, chain.c.epoch, chain.c.seq, chain.c.hash, chain.c.last_position).where(
        chain.c.agent.in_(_AGENTS)
    ),
    expands="agents",
)
_EPOCH = select(agents.c.epoch).where(agents.c.agent == bindparam("agent"))
_SEEN = Prepared(select(agents.c.agent, agents.c.seen_size).where(agents.c.agent.in_(_AGENTS)), expands="agents")
_WAITING = Prepared(
    select(parked.c.agent, parked.c.epoch, parked.c.seq).where(parked.c.agent.in_(_AGENTS)).order_by(parked.c.seq),
    expands="agents",
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
    for due in drafts(connection, log.collector, log.tree(connection), epochs, told):
        yield due.agent, sealed(due, log.signer, now)


def sealed(due: Receipt, signer: Signer, now: int) -> str:
    """Return a drafted receipt as signed, once what it says is durable. now: [UTC us]"""
    return receipt.seal(replace(due, time=now), signer)


def drafts(
    connection: Connection, collector: str, tree: Tree, epochs: Sequence[Epoch], told: Mapping[Epoch, Sequence[bytes]]
) -> Iterator[Receipt]:
    """Give the receipts for some epochs as this transaction sees them, not signed and without their time.

    Args:
        connection: A transaction; a write transaction has written all that receipts shall know.
        collector: Whose receipts they are.
        tree: The log as it stands in the transaction.
        epochs: Agent and epoch.
        told: As for `write`.
    """
    point = tree.checkpoint()
    for first in range(0, len(epochs), _AT_ONCE):
        some = epochs[first : first + _AT_ONCE]
        known = _Known(connection, {agent for agent, _ in some})
        for epoch in some:
            rejected = _rejected(connection, epoch, known, told.get(epoch, ()))
            yield _draft(collector, tree, point, epoch, known, rejected)


class _Known:
    """What receipts say of some agents, read at once."""

    def __init__(self, connection: Connection, names: Iterable[str]) -> None:
        some = list(names)
        self.heads = {
            (row.agent, row.epoch): _Head(row.seq, bytes(row.hash), row.last_position)
            for row in _HEADS.among(connection, some)
        }
        self.seen = {row.agent: row.seen_size for row in _SEEN.among(connection, some)}
        self.waiting: dict[Epoch, list[int]] = {}
        for row in _WAITING.among(connection, some):
            self.waiting.setdefault((row.agent, row.epoch), []).append(row.seq)
        self.refused = quarantine.refused_of(connection, some)
        self.forked = quarantine.forked_of(connection, some)


def _rejected(connection: Connection, epoch: Epoch, known: _Known, told: Sequence[bytes]) -> tuple[Rejected, ...]:
    forked, refused = epoch in known.forked, epoch[0] in known.refused
    return quarantine.rejected(connection, *epoch, told, forked=forked, refused=refused)


def _draft(
    collector: str, tree: Tree, point: Checkpoint, epoch: Epoch, known: _Known, rejected: tuple[Rejected, ...]
) -> Receipt:
    head, seen = known.heads.get(epoch, _NOTHING), known.seen.get(epoch[0])
    path = () if head.position is None else tuple(tree.inclusion(head.position))
    ahead = [seq for seq in known.waiting.get(epoch, ()) if seq > head.seq]
    proof = None if seen is None or seen > tree.size else Consistency(seen, tuple(tree.consistency(seen)))
    return Receipt(
        collector, tree.log, *epoch, head.seq, head.hash, head.position, 0, tuple(holes(head.seq, ahead)), rejected,
        point, path, proof,
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
