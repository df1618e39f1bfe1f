"""The log: an RFC 6962 tree over everything that is signed and counts, and the one order of it all.

Rules of this file: leaves are appended inside the caller's write transaction, under the lock of the head's row, so
that several programs on one database append one after the other. A writer whose fencing number is not that of the
head (another collector took the log over) may not append. Leaf times never step back. Nodes are remembered only
after their transaction has committed.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from collector.store.engine import Store
from collector.store.prepared import Prepared
from collector.store.schema import ledger, ledger_bytes, log_head, log_node
from shared import envelope, lineage, merkle, record
from shared.errors import ConfigError, Fenced, StoreError
from shared.keys import Signer
from shared.receipt import Checkpoint
from shared.record import Record

_HEAD = 1
_MOST_REMEMBERED = 200_000

_LOCKED = Prepared(select(log_head.c.size, log_head.c.time, log_head.c.fence).with_for_update())
_NOW = Prepared(select(log_head.c.size, log_head.c.fence))
_MOVE = Prepared(update(log_head).where(log_head.c.id == _HEAD))
_ADD, _ADD_BYTES, _ADD_NODES = Prepared(insert(ledger)), Prepared(insert(ledger_bytes)), Prepared(insert(log_node))
_NODE = Prepared(
    select(log_node.c.hash).where(log_node.c.level == bindparam("level"), log_node.c.idx == bindparam("index"))
)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A believed string with what the ledger keeps beside it."""

    text: str
    digest: bytes  # hash of the whole string
    message: bytes  # hash of header.payload
    typ: str  # batch, record
    kind: str
    kid: str
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


@dataclass(frozen=True, slots=True)
class Tree:
    """The log at one size, as receipts prove it."""

    log: str
    size: int
    node: merkle.Node

    def checkpoint(self) -> Checkpoint:
        """Return origin, size and root."""
        return Checkpoint(self.log, self.size, merkle.root(self.node, self.size))

    def inclusion(self, position: int) -> list[bytes]:
        """Return the proof that a leaf stands in it."""
        return merkle.inclusion(self.node, position, self.size)

    def consistency(self, old: int) -> list[bytes]:
        """Return the proof that it continues an older one."""
        return merkle.consistency(self.node, old, self.size)


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
        for level, index, value in merkle.grown(self.node, position, leaf_hash):
            self.nodes[level, index] = value
            self._fresh.append({"level": level, "idx": index, "hash": value})
        self._rows.append(self._row(leaf, position, leaf_hash))
        self._bytes.append({"position": position, "month": month(self.time), "jws": leaf.text})
        self.size += 1
        return position

    def node(self, level: int, index: int) -> bytes:
        """Return a node of the tree with what was added."""
        return self.nodes.get((level, index)) or self._node(level, index)

    @property
    def tree(self) -> "Tree":
        """Return the tree with what was added."""
        return Tree(self.log.id, self.size, self.node)

    def _row(self, leaf: Leaf, position: int, leaf_hash: bytes) -> dict[str, object]:
        return {
            "position": position, "leaf_hash": leaf_hash, "sha256": leaf.digest,
            "message_hash": leaf.message, "typ": leaf.typ, "kind": leaf.kind, "agent": leaf.agent,
            "epoch": leaf.epoch, "seq": leaf.seq, "prev": leaf.prev, "kid": leaf.kid, "received_at": self.time,
            "state": leaf.state, "reason": leaf.reason,
        }  # fmt: skip

    def flush(self) -> None:
        """Write what was added, and the head."""
        if not self._rows:
            return
        _ADD.run(self.connection, self._rows)
        _ADD_BYTES.run(self.connection, self._bytes)
        _ADD_NODES.run(self.connection, self._fresh)
        _MOVE.run(self.connection, [{"size": self.size, "time": self.time}])
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
        [head] = _LOCKED.rows(connection)
        self._lead(head.fence)
        return Tail(connection, self, Head(head.size, head.time), now)

    def hold(self, connection: Connection) -> None:
        """Let no other program append until the transaction ends: what is read from now on is what it stands on.

        Who also needs `vee.run.alone` takes that first: so do all, and none waits for another in a circle.

        Raises:
            Fenced: another collector has taken the log over.
        """
        self._lead(_LOCKED.rows(connection)[0].fence)

    def lead(self, connection: Connection) -> None:
        """Make sure that this program may still speak for the log: nothing is signed before.

        Raises:
            Fenced: another collector has taken the log over.
        """
        self._lead(_NOW.rows(connection)[0].fence)

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
        fence = _LOCKED.rows(connection)[0].fence + 1
        _MOVE.run(connection, [{"log": origin, "generation": lineage.number(origin), "fence": fence}])
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
        return tail.add(record_leaf(text, kind, signer.kid))

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
        found = _NODE.rows(connection, {"level": level, "index": index})
        if not found:
            raise StoreError(
                f"log {self.id}: node {index} of level {level} is lost; restore the database from a backup"
            )
        return bytes(found[0].hash)

    def size(self, connection: Connection) -> int:
        """Return the number of leaves."""
        return int(_NOW.rows(connection)[0].size)

    def size_at(self, connection: Connection, time: int) -> int:
        """Return the size that the log had at a time. [UTC us]"""
        newest = select(ledger.c.position).where(ledger.c.received_at <= time)
        found = connection.execute(newest.order_by(ledger.c.received_at.desc(), ledger.c.position.desc()).limit(1))
        position = found.scalar_one_or_none()
        return 0 if position is None else int(position) + 1

    def tree(self, connection: Connection, size: int | None = None) -> Tree:
        """Return the tree of a size; the newest where none is given."""
        return Tree(self.id, self.size(connection) if size is None else size, self.node(connection))

    def checkpoint(self, connection: Connection, size: int | None = None) -> Checkpoint:
        """Return origin, size and root; of the newest tree where no size is given."""
        return self.tree(connection, size).checkpoint()

    def inclusion(self, connection: Connection, position: int, size: int) -> list[bytes]:
        """Return the proof that a leaf stands in the tree of that size."""
        return self.tree(connection, size).inclusion(position)

    def consistency(self, connection: Connection, old: int, new: int) -> list[bytes]:
        """Return the proof that the tree of the new size continues that of the old."""
        return self.tree(connection, new).consistency(old)

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


def record_leaf(text: str, kind: str, kid: str) -> Leaf:
    """Return the leaf of a record."""
    found = envelope.apart(text)
    return Leaf(text, found.digest, found.hashed, "record", kind, kid)


def month(time: int) -> int:
    """Return year and month as one number, 202603. time: [UTC us]"""
    at = datetime.fromtimestamp(time // 1_000_000, UTC)
    return at.year * 100 + at.month
