"""Bringing a database to the schema of this software."""

import warnings
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from collector.store.backup import copy
from collector.store.engine import Store
from shared.errors import ConfigError, StoreError

MIGRATIONS = Path(__file__).resolve().parent / "migrations"
#: Any constant: two programs that start at once migrate one after the other.
_LOCK = 0x57A77


def migrate(store: Store) -> Path | None:
    """Bring the database to this software's schema; give the backup that was made before an upgrade, if any.

    Raises:
        ConfigError: the database was written by newer software.
        StoreError: the database refuses.
    """
    before = revision(store)
    if before == head():
        return None
    _know(store, before)
    backup = _backup(store, before) if before is not None and store.sqlite else None
    with store.write() as connection:
        _upgrade(connection, store)
    return backup


def head() -> str | None:
    """Return the revision of this software."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def revision(store: Store) -> str | None:
    """Return the revision of the database, None where it is empty."""
    with store.read() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _know(store: Store, before: str | None) -> None:
    if before is None:
        return
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if before not in known:
        raise ConfigError(
            f"{store.name}: schema {before} is newer than this software ({head()}); install the newer software again"
        )


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection, store: Store) -> None:
    if not store.sqlite:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    try:
        with warnings.catch_warnings():
            # Alembic looks for a path separator that a configuration without a file has no place for.
            warnings.filterwarnings("ignore", message="No path_separator found")
            command.upgrade(_config(connection), "head")
    except CommandError as error:
        raise StoreError(f"{store.name}: the schema cannot be upgraded: {error}") from error


def _backup(store: Store, before: str) -> Path:
    """Copy the embedded database as it is before an upgrade; an older copy from the same revision is replaced."""
    target = store.data_dir / "backups" / f"before-upgrade-from-{before}.db"
    target.unlink(missing_ok=True)
    copy(store, target)
    return target
