"""The log: an RFC 6962 tree over everything that is signed and counts, and the one order of it all.

Rules of this file: leaves are appended inside the caller's write transaction, under the lock of the head's row, so
that several programs on one database append one after the other. A writer whose fencing number is not that of the
head (another collector took the log over) may not append. Leaf times never step back. Nodes are remembered only
after their transaction has committed.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from collector.store.engine import Store
from collector.store.schema import ledger, ledger_bytes, log_head, log_node
from shared import envelope, lineage, merkle, record
from shared.errors import ConfigError, Fenced, StoreError
from shared.keys import Signer
from shared.receipt import Checkpoint
from shared.record import Record

_HEAD = 1
_MOST_REMEMBERED = 200_000

# Built once: to build a statement costs more than to run it.
_LOCKED = select(log_head.c.size, log_head.c.time, log_head.c.fence).with_for_update()
_SIZE = select(log_head.c.size)
_FENCE = select(log_head.c.fence)
_MOVE = update(log_head).where(log_head.c.id == _HEAD)
_ADD, _ADD_BYTES, _ADD_NODES = insert(ledger), insert(ledger_bytes), insert(log_node)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A believed string with what the ledger keeps beside it."""

    text: str
    typ: str  # batch, record
    kind: str
    kid: str
    message: bytes  # header.payload
    agent: str | None = None
    epoch: str | None = None
    seq: int | None = None
    prev: bytes | None = None
    state: str = "admitted"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger; `text` is None where its bytes are gone."""

    position: int
    leaf_hash: bytes
    typ: str
    kind: str
    agent: str | None
    epoch: str | None
    seq: int | None
    kid: str
    received_at: int  # [us]
    state: str
    reason: str | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """Size of the log, and the time of its newest leaf. [us]"""

    size: int
    time: int


class Tail:
    """The end of the log, held by one write transaction; what is added gets the next positions."""

    def __init__(self, connection: Connection, log: "Log", head: Head, now: int) -> None:
        self.connection, self.log = connection, log
        self.size, self.time = head.size, max(now, head.time)
        self.nodes: dict[tuple[int, int], bytes] = {}
        self._rows: list[dict[str, object]] = []
        self._bytes: list[dict[str, object]] = []
        self._fresh: list[dict[str, object]] = []
        self._node = log.node(connection)

    def add(self, leaf: Leaf) -> int:
        """Return the position of a new leaf; it is written with the next `flush`."""
        position, leaf_hash = self.size, merkle.leaf_hash(leaf.text.encode("ascii"))
        for level, index, value in merkle.grown(self._at, position, leaf_hash):
            self.nodes[level, index] = value
            self._fresh.append({"level": level, "idx": index, "hash": value})
        self._rows.append(self._row(leaf, position, leaf_hash))
        self._bytes.append({"position": position, "month": month(self.time), "jws": leaf.text})
        self.size += 1
        return position

    def _at(self, level: int, index: int) -> bytes:
        return self.nodes.get((level, index)) or self._node(level, index)

    def _row(self, leaf: Leaf, position: int, leaf_hash: bytes) -> dict[str, object]:
        return {
            "position": position, "leaf_hash": leaf_hash, "sha256": envelope.digest(leaf.text),
            "message_hash": message_hash(leaf.message), "typ": leaf.typ, "kind": leaf.kind, "agent": leaf.agent,
            "epoch": leaf.epoch, "seq": leaf.seq, "prev": leaf.prev, "kid": leaf.kid, "received_at": self.time,
            "state": leaf.state, "reason": leaf.reason,
        }  # fmt: skip

    def flush(self) -> None:
        """Write what was added, and the head."""
        if not self._rows:
            return
        self.connection.execute(_ADD, self._rows)
        self.connection.execute(_ADD_BYTES, self._bytes)
        self.connection.execute(_ADD_NODES, self._fresh)
        self.connection.execute(_MOVE, {"size": self.size, "time": self.time})
        self._rows, self._bytes, self._fresh = [], [], []


class Log:
    """The collector's log of one generation."""

    def __init__(self, store: Store, collector: str, signer: Signer) -> None:
        """Open the log, making it where there is none.

        Raises:
            ConfigError: the database holds the log of another collector.
        """
        self.store, self.collector, self.signer = store, collector, signer
        self._remembered: dict[tuple[int, int], bytes] = {}
        with store.read() as connection:
            found = connection.execute(select(log_head.c.log, log_head.c.fence)).one_or_none()
        self.id, self.fence = (str(found.log), int(found.fence)) if found else self._made()
        if self.id.split("/")[1] != collector:
            raise ConfigError(
                f"{store.name}: holds the log {self.id!r} of another collector; `id` in the file says {collector!r}"
            )

    def _made(self) -> tuple[str, int]:
        origin = lineage.origin(self.collector, 1)
        try:
            with self.store.write() as connection:
                connection.execute(insert(log_head).values(id=_HEAD, log=origin, generation=1, size=0, time=0, fence=1))
        except StoreError as error:
            if not isinstance(error.__cause__, IntegrityError):
                raise  # anything but another program that made it in the same moment
        return origin, 1

    def tail(self, connection: Connection, now: int) -> Tail:
        """Return the end of the log for appending, locked until the transaction ends.

        Raises:
            Fenced: another collector has taken the log over.
        """
        size, time, fence = connection.execute(_LOCKED).one()
        self._lead(fence)
        return Tail(connection, self, Head(size, time), now)

    def lead(self, connection: Connection) -> None:
        """Make sure that this program may still speak for the log: nothing is signed before.

        Raises:
            Fenced: another collector has taken the log over.
        """
        self._lead(connection.execute(_FENCE).scalar_one())

    def _lead(self, fence: int) -> None:
        if fence != self.fence:
            raise Fenced(
                f"log {self.id}: another collector has taken it over (fence {fence}, this one has {self.fence}); "
                "this one stops: start it again only if it is the one that shall lead"
            )

    def renew(self, connection: Connection, origin: str) -> None:
        """Go on under another name with the next fencing number: whoever holds the old one appends no more.

        The caller's transaction must commit, or this object is of no use any more.
        """
        fence = connection.execute(_LOCKED).one().fence + 1
        number = lineage.number(origin)
        connection.execute(_MOVE, {"log": origin, "generation": number, "fence": fence})
        self.id, self.fence = origin, fence

    def append(self, connection: Connection, leaves: Iterable[Leaf], now: int) -> list[int]:
        """Return the positions of new leaves, written in the caller's transaction. now: [UTC us]"""
        tail = self.tail(connection, now)
        positions = [tail.add(leaf) for leaf in leaves]
        tail.flush()
        return positions

    def record(self, connection: Connection, kind: str, body: dict[str, object], *, by: str, now: int) -> int:
        """Return the position of a new record, signed and written in the caller's transaction. now: [UTC us]"""
        tail = self.tail(connection, now)
        position = self.add_record(tail, kind, body, by=by)
        tail.flush()
        return position

    def add_record(
        self, tail: Tail, kind: str, body: dict[str, object], *, by: str, signer: Signer | None = None
    ) -> int:  # fmt: skip
        """Return the position of a new record at a tail that the caller holds and flushes.

        It is signed by the log's own key, or by the one given while one key takes over from another.
        """
        signer = signer or self.signer
        tail.time += 1  # two equal statements are two records
        text = record.seal(Record(self.collector, self.id, kind, tail.time, by, body), signer)
        message = text[: text.rindex(".")].encode("ascii")
        return tail.add(Leaf(text, "record", kind, signer.kid, message))

    def remember(self, tail: Tail) -> None:
        """Keep a tail's nodes at hand; to be called only once its transaction has committed."""
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered.update(tail.nodes)

    def node(self, connection: Connection) -> merkle.Node:
        """Return the tree as `shared.merkle` wants it."""

        def find(level: int, index: int) -> bytes:
            known = self._remembered.get((level, index))
            return known if known is not None else self._stored(connection, level, index)

        return find

    def _stored(self, connection: Connection, level: int, index: int) -> bytes:
        place = and_(log_node.c.level == level, log_node.c.idx == index)
        found = connection.execute(select(log_node.c.hash).where(place)).scalar_one_or_none()
        if found is None:
            raise StoreError(
                f"log {self.id}: node {index} of level {level} is lost; restore the database from a backup"
            )
        return bytes(found)

    def size(self, connection: Connection) -> int:
        """Return the number of leaves."""
        return int(connection.execute(_SIZE).scalar_one())

    def size_at(self, connection: Connection, time: int) -> int:
        """Return the size that the log had at a time. [UTC us]"""
        newest = select(ledger.c.position).where(ledger.c.received_at <= time)
        found = connection.execute(newest.order_by(ledger.c.received_at.desc(), ledger.c.position.desc()).limit(1))
        position = found.scalar_one_or_none()
        return 0 if position is None else int(position) + 1

    def checkpoint(self, connection: Connection, size: int | None = None) -> Checkpoint:
        """Return origin, size and root; of the newest tree where no size is given."""
        size = self.size(connection) if size is None else size
        return Checkpoint(self.id, size, merkle.root(self.node(connection), size))

    def inclusion(self, connection: Connection, position: int, size: int) -> list[bytes]:
        """Return the proof that a leaf stands in the tree of that size."""
        return merkle.inclusion(self.node(connection), position, size)

    def consistency(self, connection: Connection, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of the new size continues that of the old."""
        return merkle.consistency(self.node(connection), old, new)

    def entry(self, connection: Connection, position: int) -> Entry | None:
        """Return one entry, None where the log is shorter."""
        found = self.entries(connection, position, position + 1)
        return found[0] if found else None

    def entries(self, connection: Connection, first: int, stop: int) -> list[Entry]:
        """Return the entries of positions [first, stop)."""
        columns = [ledger.c[one.name] for one in fields(Entry) if one.name != "text"]
        rows = connection.execute(
            select(*columns, ledger_bytes.c.jws.label("text"))
            .outerjoin(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
            .where(ledger.c.position >= first, ledger.c.position < stop)
            .order_by(ledger.c.position)
        )
        return [Entry(**row) for row in rows.mappings()]


def message_hash(message: bytes) -> bytes:
    """Return the hash of header.payload, by which a message is known again whatever its signature."""
    return hashlib.sha256(message).digest()


def month(time: int) -> int:
    """Return year and month as one number, 202603. time: [UTC us]"""
    at = datetime.fromtimestamp(time // 1_000_000, UTC)
    return at.year * 100 + at.month
