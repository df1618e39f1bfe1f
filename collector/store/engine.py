"""Opening the one database, and the two ways to speak to it.

Rules of this file: a write transaction is alone from its first statement on (SQLite: BEGIN IMMEDIATE; PostgreSQL:
by the row locks that its statements take), and durable when `write` returns (SQLite: WAL with synchronous=FULL,
measured to lose nothing in power cuts). No error of a library leaves it.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SqliteConnection

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError, SQLAlchemyError

from collector.store import prepared
from shared.errors import ConfigError, StoreError

SQLITE_FILE = "collector.db"
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "busy_timeout=10000",
    "journal_size_limit=67108864",
    "mmap_size=0",
    "trusted_schema=OFF",
    "cell_size_check=ON",
)
_WRITE = "wattseal_write"


class Store:
    """The collector's database; `name` is how people know it (never with a password)."""

    def __init__(self, engine: Engine, name: str, data_dir: Path) -> None:
        self.engine, self.name, self.data_dir = engine, name, data_dir
        self._writing = engine.execution_options(**{_WRITE: True})
        self._one_writer = threading.RLock()

    @property
    def sqlite(self) -> bool:
        """Return whether it is the embedded database."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose statements are all durable at the end, or none of them.

        Raises:
            StoreError: the database refuses.
        """
        with self._one_writer, self._translated(), self._writing.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one state of the database throughout.

        Raises:
            StoreError: the database refuses.
        """
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, UnicodeDecodeError) as error:
            raise StoreError(f"{self.name}: {_said(error)}") from error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _said(error: SQLAlchemyError | UnicodeDecodeError) -> str:
    """Return one line of what the database said, and what to do where that is known."""
    if isinstance(error, UnicodeDecodeError):  # text that SQLite gives as it stands in a damaged file
        return "the file is damaged (a text in it is no UTF-8); restore it from a backup"
    said = str(error.orig if isinstance(error, DBAPIError) else error).strip().splitlines()
    line = said[0] if said else type(error).__name__
    if "malformed" in line or "not a database" in line or "disk image" in line:
        return f"the file is damaged or no database ({line}); restore it from a backup"
    if "locked" in line:
        return "another program holds the database; stop it, or wait and try again"
    if "full" in line:
        return f"the disk is full ({line}); make room, then start again"
    return line


def open_store(url: str, data_dir: Path) -> Store:
    """Return the store at a URL, or the embedded one in the data directory for `sqlite`.

    Args:
        url: `sqlite`, or `postgresql://user:password@host/database`.
        data_dir: Folder for the embedded database and for backups; it is made if it is not there.

    Raises:
        ConfigError: the URL names no database that Wattseal uses.
        StoreError: it cannot be opened.
    """
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{data_dir}: the data directory cannot be made: {error.strerror}") from error
    opened = _sqlite(data_dir) if url == "sqlite" else _postgresql(url, data_dir)
    _try(opened)
    return opened


def _try(store: Store) -> None:
    try:
        with store.engine.connect() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM sqlite_master" if store.sqlite else "SELECT 1")
    except (SQLAlchemyError, UnicodeDecodeError) as error:
        store.close()
        known = isinstance(error, OperationalError) and not store.sqlite
        hint = (
            "; check that the server runs and that `store` names it with the right user and password" if known else ""
        )
        raise StoreError(f"{store.name}: cannot be opened: {_said(error)}{hint}") from error


def _sqlite(data_dir: Path) -> Store:
    target = data_dir / SQLITE_FILE
    if target.exists() and not target.stat().st_size:  # SQLite would take it for new, and drop its WAL
        hint = "restore it from a backup, or delete it if nothing was ever in it"
        raise StoreError(f"{target}: the database is empty, so it was cut; {hint}")
    engine = create_engine(f"sqlite+pysqlite:///{target}", pool_size=8, max_overflow=16)
    return Store(embedded(engine), str(target), data_dir)


def embedded(engine: Engine) -> Engine:
    """Let an engine of SQLite keep the rules of this file."""
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: SqliteConnection, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself; `_begin` does
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    alone = connection.get_execution_options().get(_WRITE, False)
    prepared.plain(connection, "BEGIN IMMEDIATE" if alone else "BEGIN")


def _postgresql(url: str, data_dir: Path) -> Store:
    try:
        parsed = make_url(url)
        if parsed.drivername not in ("postgresql", "postgres", "postgresql+psycopg"):
            raise ConfigError(f'store = "{parsed.drivername}://...": write "sqlite" or "postgresql://..."')
        parsed = parsed.set(drivername="postgresql+psycopg")
        engine = create_engine(parsed, pool_size=8, max_overflow=16, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ConfigError('store: not a database URL; write "sqlite" or "postgresql://..."') from error
    # A reader sees one state throughout; a writer is ordered by the lock on log_head and must see what came before.
    event.listen(engine, "begin", _isolate)
    return Store(engine, parsed.render_as_string(hide_password=True), data_dir)


def _isolate(connection: Connection) -> None:
    if not connection.get_execution_options().get(_WRITE, False):
        prepared.plain(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
