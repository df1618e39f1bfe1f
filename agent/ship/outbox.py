"""The outbox: sealed batches on disk until the collector's receipt, and for the retention after it.

Rules of this file: one writer, one commit a seal, on disk when `seal` returns (WAL, synchronous=FULL); nothing that is
not acknowledged is ever deleted; what was sealed is never changed. The hot path is plain sqlite3; the schema is made by
`schema`, which the daemon imports only when there is something to make.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from agent.ship.disk import RESCUE, translated, version
from agent.ship.mark import MarkFile, checksum
from shared import failpoint, lineage
from shared.batch import Place, Seen, head
from shared.envelope import apart, digest, payload
from shared.errors import Damaged, StoreError

VERSION = 2
_TOO_MUCH = "nothing is acknowledged: look at the uplink, or raise uplink.max_outbox_MB"
_MOST_VERSION = 1000
_COLUMNS, _TABLES = [7, 4, 3], 8  # of this version
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


@dataclass(frozen=True, slots=True)
class Waiting:
    """One batch that is not acknowledged."""

    row: int
    epoch: str
    seq: int
    size: int  # [bytes]
    kind: str


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
        self.most: int | None = None  # nothing is sealed beyond it; what makes room is never held up by it [bytes]
        self._marks = MarkFile(path.with_suffix(".head"))
        with translated(path):
            if look:
                self._db = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, isolation_level=None)
                self._check_version(look=True)
                return
            self._prepare()
            self._db = sqlite3.connect(path, isolation_level=None)
            self._check_version(look=False)
            for setting in _SETTINGS:
                self._db.execute(setting)
            self._check_pages()
        self._marks.read()

    def _prepare(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        used = (self.path.parent / "enrolment.jws").exists()
        if (
            used and self.path.exists() and not self.path.stat().st_size
        ):  # SQLite would take it for new, and drop its WAL
            raise Damaged(f"{self.path}: the outbox is empty, so it was cut; {RESCUE}")
        if version(self.path) < VERSION:
            from agent.ship.schema import migrate  # sqlite-utils stays out of a daemon that has nothing to make

            migrate(self.path)

    def _check_version(self, *, look: bool) -> None:
        found = self._db.execute("PRAGMA user_version").fetchone()[0]
        if found > VERSION and (found >= _MOST_VERSION or not self._is_newer()):
            raise Damaged(f"{self.path}: the outbox says version {found}, and is not; {RESCUE}")
        if found > VERSION:
            raise StoreError(f"{self.path}: made by a newer Wattseal (version {found}); install that version again")
        if found < VERSION and look:
            raise StoreError(f"{self.path}: made by an older Wattseal (version {found}); start the agent once")
        if found < VERSION:
            raise Damaged(f"{self.path}: the outbox says version {found}, and is not; {RESCUE}")

    def _is_newer(self) -> bool:
        """Return whether newer software has changed the tables, as it would; else only the number is damaged."""
        found = [len(self._db.execute(f"PRAGMA table_info({name})").fetchall()) for name in ("batch", "seen", "kept")]
        return found != _COLUMNS or len(self._db.execute("SELECT name FROM sqlite_master").fetchall()) != _TABLES

    def _check_pages(self) -> None:
        found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise Damaged(f"{self.path}: the outbox is damaged ({' '.join(found.split())}); {RESCUE}")

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    def rows(self, query: str, values: Sequence[object] = ()) -> list[Any]:
        """Return what a query finds."""
        with translated(self.path):
            return self._db.execute(query, values).fetchall()

    def _row(self, query: str, values: Sequence[object] = ()) -> Any:  # noqa: ANN401 - a row of whatever columns
        return next(iter(self.rows(query, values)), None)

    def get(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON value was put
        """Return a kept value, or None."""
        row = self._row("SELECT value FROM kept WHERE name = ?", (name,))
        return None if row is None else json.loads(row[0])

    def put(self, name: str, value: object) -> None:
        """Keep a JSON value.

        Raises:
            StoreError: the disk refuses; the former value stays.
        """
        with self._transaction():
            self._put(name, value)

    def _put(self, name: str, value: object) -> None:
        text = json.dumps(value, separators=(",", ":"))
        values = name, text, checksum(name, text)
        self._db.execute("INSERT OR REPLACE INTO kept (name, value, sum) VALUES (?, ?, ?)", values)

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
        row = self._row("SELECT seq, jws FROM batch WHERE epoch = ? ORDER BY seq DESC LIMIT 1", (epoch,))
        previous = self.get("previous_epoch")
        place = previous and Place(previous[0], previous[1], bytes.fromhex(previous[2]))
        if row is None:
            return Head(epoch, 0, digest(self.get("enrolment")), 0, place)
        return Head(epoch, row[0], digest(row[1]), self.get("config"), place)

    def seal(self, makers: Sequence[Maker], created: int, kept: Mapping[str, object] | None = None) -> list[Sealed]:
        """Put the next batches on disk, with what a restart needs, in one commit.

        Args:
            makers: Each gives kind and signed string for a place in the chain.
            created: When they are sealed. [UTC us]
            kept: JSON values to keep in the same commit, by name.

        Raises:
            StoreError: the disk refuses; nothing was sealed and nothing kept.
        """
        sealed = []
        with self._transaction():
            for make in makers:
                head = self.head()
                kind, text = make(head)
                sealed.append(Sealed(head.epoch, head.seq + 1, text))
                self._db.execute(
                    "INSERT INTO batch (epoch, seq, kind, created, jws) VALUES (?, ?, ?, ?, ?)",
                    (head.epoch, head.seq + 1, kind, created, text),
                )
                if kind == "config":
                    self._put("config", head.seq + 1)
            for name, value in (kept or {}).items():
                self._put(name, value)
            self._fits()
            failpoint.reach("agent.before_commit")
        failpoint.reach("agent.after_commit")
        if sealed:
            self._marks.sealed(Place(sealed[-1].epoch, sealed[-1].seq, digest(sealed[-1].text)))
        return sealed

    def _fits(self) -> None:
        """Hold what is being sealed against the limit.

        Raises:
            StoreError: there is no room; what was sealed before is safe.
        """
        if self.most is not None and self.usage()[0] > self.most:
            raise StoreError(
                f"{self.path}: the outbox has reached its limit of {self.most // 1_000_000} MB; {_TOO_MUCH}"
            )

    def fill(self, rows: Sequence[tuple[object, ...]], kept: Mapping[str, object]) -> None:
        """Put salvaged batches (epoch, seq, kind, created, jws, acked) and kept values into an outbox that is new."""
        with self._transaction():
            self._db.executemany(
                "INSERT INTO batch (epoch, seq, kind, created, jws, acked) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            for name, value in kept.items():
                self._put(name, value)

    def waiting(self, most: int) -> list[Waiting]:
        """Return which batches are not acknowledged, oldest first, at most so many."""
        rows = self.rows(
            "SELECT id, epoch, seq, length(jws), kind FROM batch WHERE acked IS NULL ORDER BY id LIMIT ?", (most,)
        )
        return [Waiting(*row) for row in rows]

    def batch(self, epoch: str, seq: int) -> str | None:
        """Return one batch."""
        row = self._row("SELECT jws FROM batch WHERE epoch = ? AND seq = ?", (epoch, seq))
        return None if row is None else str(row[0])

    def acked(self, epoch: str) -> int:
        """Return the highest sequence of an epoch that is acknowledged; 0 if none is."""
        waiting = "batch INDEXED BY batch_waiting WHERE acked IS NULL"  # else a whole backlog is sorted
        first = self._row(f"SELECT seq FROM {waiting} AND epoch = ? ORDER BY id LIMIT 1", (epoch,))  # noqa: S608 - a literal
        if first is not None:
            return int(first[0]) - 1
        return int(self._row("SELECT MAX(seq) FROM batch WHERE epoch = ?", (epoch,))[0] or 0)

    def acknowledge(self, epoch: str, seq: int, seen: Seen, at: int, *, anew: bool = False) -> int:
        """Mark all batches of an epoch up to a sequence as durable at the collector; return how many were new.

        Args:
            epoch: Epoch of the receipt.
            seq: Its cumulative sequence; 0 marks nothing.
            seen: The checkpoint that the receipt proved; kept as one that this agent vouches for.
            at: Now. [UTC us]
            anew: The collector was restored: what was sealed after that sequence is lost there and waits again.
        """
        with self._transaction():
            if anew:
                self._wait_again(epoch, seq)
                self._put("followed", seen.log)
            done = self._db.execute(
                "UPDATE batch INDEXED BY batch_waiting SET acked = ? WHERE epoch = ? AND seq <= ? AND acked IS NULL"
                " AND id <= (SELECT id FROM batch WHERE epoch = ? AND seq <= ? ORDER BY seq DESC LIMIT 1)",
                (at, epoch, seq, epoch, seq),
            )
            self._db.execute(
                "INSERT OR REPLACE INTO seen (size, log, root, at) VALUES (?, ?, ?, ?)",
                (seen.size, seen.log, seen.root, at),
            )
            failpoint.reach("agent.before_mark")
        failpoint.reach("agent.after_mark")
        text = self.batch(epoch, seq)
        if text is not None:
            self._marks.acknowledged(Place(epoch, seq, digest(text)))
        return done.rowcount

    def _wait_again(self, epoch: str, seq: int) -> None:
        """Let wait again what a collector may have lost that knows an epoch up to a sequence.

        Of an epoch that it does not know at all nothing says how much of those before it has: then everything waits.
        """
        last = "SELECT MAX(id) FROM batch WHERE epoch = ? AND seq <= ?"
        self._db.execute(
            f"UPDATE batch SET acked = NULL WHERE acked IS NOT NULL AND id > COALESCE(({last}), 0)",  # noqa: S608 - literals of these lines
            (epoch, seq),
        )

    def follow(self, hop: Mapping[str, object], size: int, seen: Seen) -> None:
        """Follow the next generation of the log: what was seen beyond its beginning is no longer vouched for.

        Args:
            hop: What to remember of it; it goes to the end of the kept `lineage`.
            size: Where it begins. [leaves]
            seen: The checkpoint that it begins with, under its name; kept if there is no earlier one.
        """
        hops, of_before = [*(self.get("lineage") or []), hop], "log IN (SELECT value FROM json_each(?))"
        logs = [row[0] for row in self.rows("SELECT DISTINCT log FROM seen")]
        before = json.dumps([log for log in logs if lineage.number(log) < lineage.number(seen.log)])
        with self._transaction():
            self._put("lineage", hops)
            self._db.execute(f"DELETE FROM seen WHERE size > ? AND {of_before}", (size, before))  # noqa: S608 - a literal
            self._db.execute(f"UPDATE seen SET log = ? WHERE {of_before}", (seen.log, before))  # noqa: S608 - a literal
            self._db.execute(
                "INSERT INTO seen (size, log, root, at) SELECT ?, ?, ?, 0 WHERE NOT EXISTS (SELECT 1 FROM seen)",
                (seen.size, seen.log, seen.root),
            )

    def seen(self, *sizes: int) -> dict[int, Seen]:
        """Return the verified checkpoints of these sizes and the largest one, by size; empty if there is none yet."""
        rows = self.rows(
            "SELECT size, log, root FROM seen"
            " WHERE size IN (SELECT value FROM json_each(?)) OR size = (SELECT MAX(size) FROM seen)",
            (json.dumps(sizes),),
        )
        return {size: Seen(log, size, root) for size, log, root in rows}

    def last_seen(self) -> Seen | None:
        """Return the largest verified checkpoint."""
        return next(iter(self.seen().values()), None)

    def count(self) -> dict[str, int]:
        """Return how many batches were sealed and acknowledged."""
        sealed = self._row("SELECT COUNT(*) FROM batch")[0]
        waiting = self._row("SELECT COUNT(*) FROM batch WHERE acked IS NULL")[0]
        return {"sealed": sealed, "acked": sealed - waiting, "waiting": waiting}

    def texts(self) -> Iterator[str]:
        """Give every batch in the order of sealing."""
        with translated(self.path):
            for row in self._db.execute("SELECT jws FROM batch ORDER BY id"):
                yield str(row[0])

    def prune(self, before: int) -> int:
        """Delete acknowledged batches created before a time; return how many. [UTC us]

        The newest acknowledged batch stays: receipts name it, and the next batch its hash. So do the checkpoints that
        the collector may still prove from: the one that this batch reported, and all later ones.
        """
        with self._transaction():
            told = self._told()
            newest = "SELECT MAX(id) FROM batch WHERE acked IS NOT NULL"
            old = f"created < ? AND acked IS NOT NULL AND id < ({newest})"
            done = self._db.execute(f"DELETE FROM batch WHERE {old}", (before,))  # noqa: S608 - a literal of this line
            self._db.execute("DELETE FROM seen WHERE at < ? AND size < ?", (before, told))
            failpoint.reach("agent.before_prune")
        failpoint.reach("agent.after_prune")
        return done.rowcount

    def prune_oldest(self, most: int) -> int:
        """Delete the oldest acknowledged batches, at most so many, whatever their age; return how many."""
        newest = "SELECT MAX(id) FROM batch WHERE acked IS NOT NULL"
        oldest = f"SELECT id FROM batch WHERE acked IS NOT NULL AND id < ({newest}) ORDER BY id LIMIT ?"  # noqa: S608 - literals of these lines
        with self._transaction():
            done = self._db.execute(f"DELETE FROM batch WHERE id IN ({oldest})", (max(0, most),))  # noqa: S608 - likewise
        return done.rowcount

    def usage(self) -> tuple[int, int]:
        """Return the room that is used in the file, and the size of the file. [bytes]"""
        names = ("page_size", "page_count", "freelist_count")
        size, pages, free = (self.rows(f"PRAGMA {name}")[0][0] for name in names)
        return (pages - free) * size, pages * size

    def _told(self) -> int:
        """Return the size of the checkpoint that the newest acknowledged batch reported; 0 where none is known."""
        row = self._row("SELECT jws FROM batch WHERE acked IS NOT NULL ORDER BY id DESC LIMIT 1")
        seen = None if row is None else head(payload(apart(row[0]))).seen
        return 0 if seen is None else seen.size

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with translated(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite has rolled back itself when the disk was full
                    self._db.execute("ROLLBACK")
                raise
