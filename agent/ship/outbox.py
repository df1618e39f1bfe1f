"""The outbox: sealed batches on disk until the collector's receipt, and for the retention after it.

Rules of this file: one writer, one commit a seal, on disk when `seal` returns (WAL, synchronous=FULL); nothing that is
not acknowledged is ever deleted; what was sealed is never changed. The hot path is plain sqlite3; the schema is made by
`schema`, which the daemon imports only when there is something to make.
"""

import json
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shared.batch import Place, Seen
from shared.envelope import digest
from shared.errors import StoreError

VERSION = 1
_SETTINGS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA wal_autocheckpoint=1000",
    "PRAGMA journal_size_limit=8388608",
    "PRAGMA trusted_schema=OFF",
    "PRAGMA cell_size_check=ON",
    "PRAGMA mmap_size=0",
)


@dataclass(frozen=True, slots=True)
class Sealed:
    """One batch as it was sealed."""

    epoch: str
    seq: int
    text: str
    acked: bool


@dataclass(frozen=True, slots=True)
class Head:
    """Where the next batch goes."""

    epoch: str
    seq: int  # of the last batch; 0 in a new epoch
    hash: bytes  # of the last batch, or of the enrolment record
    config: int  # seq of the config batch in force; 0 before the first
    previous_epoch: Place | None


Maker = Callable[[Head], tuple[str, str]]


class Outbox:
    """The one database of the agent."""

    def __init__(self, path: Path, *, look: bool = False) -> None:
        """Open the database, making it if it is not there; with `look` only to read what a running agent wrote.

        Raises:
            StoreError: it is damaged, of a newer version, or cannot be opened.
        """
        self.path = path
        with _translated(path):
            if look:
                self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
                return
            self._prepare()
            self._db = sqlite3.connect(path, isolation_level=None)
            for setting in _SETTINGS:
                self._db.execute(setting)
            self._check()

    def _prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if _version(self.path) < VERSION:
            from agent.ship.schema import migrate

            migrate(self.path)

    def _check(self) -> None:
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise StoreError(f"{self.path}: the outbox is damaged ({found}); {_RESCUE.format(path=self.path)}")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != VERSION:
            raise StoreError(f"{self.path}: made by a newer Wattseal (version {version}); install that version again")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    # -- small values ------------------------------------------------------------------------------------------------

    def get(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON value was put
        """Return a kept value, or None."""
        row = self._db.execute("SELECT value FROM kept WHERE name = ?", (name,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, name: str, value: object) -> None:
        """Keep a JSON value."""
        with self._transaction():
            self._put(name, value)

    def _put(self, name: str, value: object) -> None:
        text = json.dumps(value, separators=(",", ":"))
        self._db.execute("INSERT OR REPLACE INTO kept (name, value) VALUES (?, ?)", (name, text))

    # -- sealing -----------------------------------------------------------------------------------------------------

    def begin(self, epoch: str, enrolment: str) -> None:
        """Start an epoch whose first batch continues an enrolment record."""
        head = self.head() if self.get("epoch") else None
        with self._transaction():
            if head is not None and head.seq:
                self._put("previous_epoch", [head.epoch, head.seq, head.hash.hex()])
            self._put("epoch", epoch)
            self._put("enrolment", enrolment)
            self._put("config", 0)

    def enrolment(self) -> str | None:
        """Return the enrolment record that the present epoch begins with."""
        found: str | None = self.get("enrolment")
        return found

    def head(self) -> Head:
        """Return where the next batch goes.

        Raises:
            StoreError: no epoch was begun.
        """
        epoch = self.get("epoch")
        if epoch is None:
            raise StoreError(f"{self.path}: this agent is not enrolled; run `wattseal agent enroll`")
        row = self._db.execute(
            "SELECT seq, jws FROM batch WHERE epoch = ? ORDER BY seq DESC LIMIT 1", (epoch,)
        ).fetchone()
        previous = self.get("previous_epoch")
        place = previous and Place(previous[0], previous[1], bytes.fromhex(previous[2]))
        if row is None:
            return Head(epoch, 0, digest(self.get("enrolment")), 0, place)
        return Head(epoch, row[0], digest(row[1]), self.get("config"), place)

    def seal(self, makers: Sequence[Maker], created: int, state: object = None) -> list[Sealed]:
        """Put the next batches on disk, with what a restart needs, in one commit.

        Args:
            makers: Each gives kind and signed string for a place in the chain.
            created: When they are sealed. [UTC us]
            state: JSON value kept as `state` in the same commit; None keeps the former.
        """
        sealed = []
        with self._transaction():
            for make in makers:
                head = self.head()
                kind, text = make(head)
                sealed.append(Sealed(head.epoch, head.seq + 1, text, acked=False))
                self._db.execute(
                    "INSERT INTO batch (epoch, seq, kind, created, jws) VALUES (?, ?, ?, ?, ?)",
                    (head.epoch, head.seq + 1, kind, created, text),
                )
                if kind == "config":
                    self._put("config", head.seq + 1)
            if state is not None:
                self._put("state", state)
        return sealed

    # -- sending -----------------------------------------------------------------------------------------------------

    def waiting(self, after: tuple[int, int] = (0, 0), most: int = 16) -> list[tuple[int, Sealed]]:
        """Return batches that are not acknowledged, oldest first, with their row ids.

        Args:
            after: Row id after which to look, and unused; begin with (0, 0).
            most: How many at most.
        """
        rows = self._db.execute(
            "SELECT id, epoch, seq, jws FROM batch WHERE acked IS NULL AND id > ? ORDER BY id LIMIT ?", (after[0], most)
        )
        return [(row[0], Sealed(row[1], row[2], row[3], acked=False)) for row in rows]

    def batch(self, epoch: str, seq: int) -> str | None:
        """Return one batch."""
        row = self._db.execute("SELECT jws FROM batch WHERE epoch = ? AND seq = ?", (epoch, seq)).fetchone()
        return None if row is None else str(row[0])

    def acknowledge(self, epoch: str, seq: int, seen: Seen, at: int) -> int:
        """Mark all batches of an epoch up to a sequence as durable at the collector; return how many were new.

        Args:
            epoch: Epoch of the receipt.
            seq: Its cumulative sequence; 0 marks nothing.
            seen: The checkpoint that the receipt proved; kept as one that this agent vouches for.
            at: Now. [UTC us]
        """
        with self._transaction():
            done = self._db.execute(
                "UPDATE batch SET acked = ? WHERE epoch = ? AND seq <= ? AND acked IS NULL", (at, epoch, seq)
            )
            self._db.execute(
                "INSERT OR REPLACE INTO seen (size, log, root, at) VALUES (?, ?, ?, ?)",
                (seen.size, seen.log, seen.root, at),
            )
        return done.rowcount

    def seen(self) -> dict[int, Seen]:
        """Return every checkpoint that this agent verified, by size."""
        rows = self._db.execute("SELECT size, log, root FROM seen ORDER BY size")
        return {size: Seen(log, size, root) for size, log, root in rows}

    def last_seen(self) -> Seen | None:
        """Return the largest verified checkpoint."""
        row = self._db.execute("SELECT size, log, root FROM seen ORDER BY size DESC LIMIT 1").fetchone()
        return None if row is None else Seen(row[1], row[0], row[2])

    def count(self) -> dict[str, int]:
        """Return how many batches were sealed and acknowledged."""
        sealed, acked = self._db.execute("SELECT COUNT(*), COUNT(acked) FROM batch").fetchone()
        return {"sealed": sealed, "acked": acked, "waiting": sealed - acked}

    def texts(self) -> Iterator[str]:
        """Return every batch in the order of sealing."""
        return (str(row[0]) for row in self._db.execute("SELECT jws FROM batch ORDER BY id"))

    def prune(self, before: int) -> int:
        """Delete acknowledged batches created before a time; return how many. [UTC us]

        The last batch stays: the next one names its hash. Checkpoints that no batch reports any more go too.
        """
        with self._transaction():
            old = "acked IS NOT NULL AND created < ? AND id < (SELECT MAX(id) FROM batch)"
            done = self._db.execute(f"DELETE FROM batch WHERE {old}", (before,))  # noqa: S608 - a literal of this line
            self._db.execute("DELETE FROM seen WHERE at < ? AND size < (SELECT MAX(size) FROM seen)", (before,))
        return done.rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with _translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")


_RESCUE = "stop the agent, keep the file, move it away and enrol again: what the collector acknowledged is safe there"


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        hint = "free some space" if "full" in str(error) else _RESCUE
        raise StoreError(f"{path}: the outbox cannot be used: {error}; {hint}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; check data_dir and its owner") from error


def _version(path: Path) -> int:
    if not path.exists():
        return 0
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreError(f"{path}: cannot be read and written by this user; check its owner")
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()
