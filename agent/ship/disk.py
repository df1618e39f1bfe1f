"""What SQLite and the disk say, as our errors: what happened, to which file, what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import Damaged, StoreError

RESCUE = "start the agent: it moves the file aside, keeps what proves itself, and names what is lost"
#: Primary result codes that say that a file is not what was written.
_DAMAGE = {0, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_MISMATCH}
#: What to do, by primary result code (sqlite.org/rescode.html).
_HINTS = {
    sqlite3.SQLITE_FULL: "free some space; what was sealed is safe",
    sqlite3.SQLITE_IOERR: "free some space and look at the disk (dmesg); what was sealed is safe",
    sqlite3.SQLITE_READONLY: "the file or its disk is read-only: give it to the agent's user, or mount it writable",
    sqlite3.SQLITE_PERM: "give the file to the agent's user",
    sqlite3.SQLITE_CANTOPEN: "give the file and its folder to the agent's user",
    sqlite3.SQLITE_BUSY: "another program holds it; stop that program",
    sqlite3.SQLITE_LOCKED: "another program holds it; stop that program",
}


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what is said against a file into our errors.

    Raises:
        Damaged: the file does not hold what was written.
        StoreError: disk or rights are against it.
    """
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        kind = Damaged if code in _DAMAGE else StoreError
        raise kind(f"{path}: the outbox cannot be used: {error}; {_HINTS.get(code, RESCUE)}") from error
    except UnicodeDecodeError as error:  # what stands in a text, or what SQLite says of one
        raise Damaged(f"{path}: the outbox holds bytes that are no text; {RESCUE}") from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}; check data_dir and its owner") from error


def exists(path: Path) -> bool:
    """Return whether an outbox was made.

    Raises:
        StoreError: its folder cannot be looked into.
    """
    with translated(path):
        return path.exists()


def version(path: Path) -> int:
    """Return the version of the tables in a database; 0 where there is none."""
    if not path.exists():
        return 0
    db = sqlite3.connect(path)
    try:
        return int(db.execute("PRAGMA user_version").fetchone()[0])
    finally:
        db.close()
