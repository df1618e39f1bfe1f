"""Copies of the embedded database: made while it is in use, checked, and put in its place after a loss.

Rules of this file: a copy is complete and on disk, or not there; nothing is overwritten or deleted: what a restored
copy replaces is moved into a folder of its own.
"""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from collector.store.engine import SQLITE_FILE, Store
from shared import keys
from shared.errors import ConfigError, StoreError

_BESIDE = ("", "-wal", "-shm")


def copy(store: Store, target: Path) -> None:
    """Write the embedded database as it stands now into one file (VACUUM INTO), on disk when this returns.

    Raises:
        ConfigError: the target exists.
        StoreError: it cannot be written, or the database is damaged.
    """
    if target.exists():
        raise ConfigError(f"{target}: exists already; nothing was written")
    fresh = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        with closing(store.engine.raw_connection()) as connection:  # VACUUM runs outside any transaction
            connection.cursor().execute("VACUUM INTO ?", (str(fresh),))
        _settle(fresh, target)
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise StoreError(f"{target}: no backup could be made: {error}") from error
    except OSError as error:
        raise StoreError(f"{target}: no backup could be made: {error.strerror}") from error


def _settle(fresh: Path, target: Path) -> None:
    keys.sync(fresh)
    fresh.rename(target)
    keys.sync(target.parent)


def check(backup: Path) -> None:
    """Make sure that a file is a sound database of a collector.

    Raises:
        ConfigError: there is no such file, or it is no such database.
    """
    if not backup.is_file():
        raise ConfigError(f"{backup}: no such file; give one that `wattseal collector backup` wrote")
    try:
        with closing(sqlite3.connect(f"{backup.absolute().as_uri()}?mode=ro", uri=True)) as database:
            said = database.execute("PRAGMA integrity_check(1)").fetchone()[0]
            database.execute("SELECT log, size FROM log_head").fetchone()
    except sqlite3.Error as error:
        raise ConfigError(f"{backup}: is no sound backup of a collector ({error}); take another one") from error
    if said != "ok":
        raise ConfigError(f"{backup}: is damaged ({' '.join(said.split())}); take another one")


def head(path: Path) -> tuple[str, int] | None:
    """Return name and size of the log that a database file holds; None where it is not there or cannot be read."""
    if not path.exists():
        return None
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            row = database.execute("SELECT log, size FROM log_head").fetchone()
    except sqlite3.Error:
        return None
    return None if row is None else (str(row[0]), int(row[1]))


def fence(data_dir: Path) -> None:
    """Stop what may still run on the embedded database, as far as that can be opened: it may append no more.

    Raises:
        ConfigError: another program holds it.
    """
    path = data_dir / SQLITE_FILE
    if head(path) is None:
        return
    try:
        with closing(sqlite3.connect(path, timeout=10)) as database, database:
            database.execute("UPDATE log_head SET fence = fence + 1")
    except sqlite3.Error as error:
        raise ConfigError(f"{path}: is in use ({error}); stop the collector, then run this again") from error


def put_in_place(backup: Path, data_dir: Path) -> Path | None:
    """Put a backup where the collector looks for its database; return the folder of what stood there, if anything did.

    Raises:
        StoreError: a file cannot be moved or written.
    """
    standing = data_dir / SQLITE_FILE
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        fresh = data_dir / f".{SQLITE_FILE}.part"
        shutil.copyfile(backup, fresh)
        keys.sync(fresh)
        aside = _aside(standing)
        _settle(fresh, standing)
    except OSError as error:
        raise StoreError(f"{error.filename or data_dir}: {error.strerror}") from error
    return aside


def _aside(standing: Path) -> Path | None:
    found = [path for path in (standing.with_name(standing.name + end) for end in _BESIDE) if path.exists()]
    if not found:
        return None
    number = 1
    while (folder := standing.with_name(f"replaced-{number}")).exists():
        number += 1
    folder.mkdir(mode=0o700)
    for path in found:
        path.rename(folder / path.name)
    keys.sync(folder)
    keys.sync(standing.parent)
    return folder
