"""The disks of the simulated line: SQLite files that lose what was not synced, and points at which a program can end.

What a power cut leaves is computed from the true files: the database, and of its write-ahead log only what was synced
with a commit, followed by a torn tail. A database that is not set to sync each commit (`synchronous` below FULL)
therefore loses what it promised, as on a real machine.
"""

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from agent.ship.outbox import Outbox
from collector.store.engine import Store
from tests.simulation.world import Crash

FULL = 2  # PRAGMA synchronous


@dataclass
class Hazard:
    """What may go wrong at the next steps of one program, and how its disk does."""

    fuse: int | None = None  # so many points are passed before it ends
    full: bool = False  # the disk
    last: str = ""  # the point at which it ended

    def __call__(self, point: str) -> None:
        """Pass a point of the program.

        Raises:
            Crash: the program ends here.
        """
        if self.fuse is None:
            return
        if self.fuse == 0:
            self.fuse, self.last = None, point
            raise Crash(point)
        self.fuse -= 1

    def write(self) -> None:
        """Pass a write.

        Raises:
            sqlite3.OperationalError: the disk is full.
        """
        if self.full:
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error


class Wal:
    """What of a write-ahead log is surely on disk."""

    def __init__(self, database: Path) -> None:
        self.database, self.file = database, database.with_name(database.name + "-wal")
        self._synced: tuple[bytes, int] = self._now()

    def _now(self) -> tuple[bytes, int]:
        """Return the generation of the log and its length."""
        if not self.file.exists() or not self.file.stat().st_size:
            return b"", 0
        with self.file.open("rb") as file:
            return file.read(32)[16:24], self.file.stat().st_size

    def committed(self, synchronous: int) -> None:
        """Note that a commit returned; it was synced if the database is set so."""
        now = self._now()
        if synchronous >= FULL or now[0] != self._synced[0]:  # a checkpoint syncs before it begins the log anew
            self._synced = now if synchronous >= FULL else (now[0], 0)

    def cut(self, chance: random.Random, target: Path) -> None:
        """Write the files as a power cut leaves them to another place."""
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self.database, target)
        generation, length = self._synced
        kept = self.file.read_bytes()[:length] if self._now()[0] == generation and length else b""
        torn = chance.randbytes(chance.randrange(0, 9000)) if kept else b""
        target.with_name(target.name + "-wal").write_bytes(kept + torn)


def synchronous(connection: sqlite3.Connection) -> int:
    """Return how the database syncs."""
    return int(connection.execute("PRAGMA synchronous").fetchone()[0])


class SimOutbox(Outbox):
    """The true outbox, with a point before and after each commit."""

    def __init__(self, path: Path, hazard: Hazard) -> None:
        self.hazard: Hazard | None = None
        super().__init__(path)
        self.prepared()
        self.hazard, self.wal = hazard, Wal(path)
        self.syncs = synchronous(self._db)

    def prepared(self) -> None:
        """Set what a broken variant sets otherwise."""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        hazard = self.hazard
        if hazard is None:
            raise AssertionError("written before it was opened")
        hazard("agent: before a write")
        with super()._transaction():
            hazard.write()
            yield
            hazard("agent: before its commit")
        self.wal.committed(self.syncs)
        hazard("agent: after its commit")


class SimStore(Store):
    """The true store of a collector, with a point before and after each commit."""

    def __init__(self, opened: Store, hazard: Hazard) -> None:
        super().__init__(opened.engine, opened.name, opened.data_dir)
        self.hazard = hazard
        self.prepared()
        self.commits = 0
        self.wal = Wal(Path(opened.name))
        with self.read() as connection:
            self.syncs = int(connection.exec_driver_sql("PRAGMA synchronous").scalar_one())

    def prepared(self) -> None:
        """Set what a broken variant sets otherwise."""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a write transaction."""
        self.hazard("collector: before a transaction")
        with super().write() as connection:
            yield connection
            try:
                self.hazard.write()
            except sqlite3.OperationalError as error:
                raise OperationalError("COMMIT", None, error) from error
            self.hazard("collector: before its commit")
        self.commits += 1
        self.wal.committed(self.syncs)
        self.hazard("collector: after its commit")
