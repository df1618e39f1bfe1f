"""Parquet: the rows of rows.jsonl with their types, for tables of millions."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import duckdb

from collector.settle.formats.handed import Handed
from shared import release
from shared.errors import StoreError
from shared.release import Row

_COLUMNS = {
    "point": "VARCHAR", "quantity": "VARCHAR", "unit": "VARCHAR", "start": "TIMESTAMPTZ", "length_s": "INTEGER",
    "value": "BIGINT", "status": "VARCHAR", "qualities": "VARCHAR[]", "method": "VARCHAR", "flags": "VARCHAR[]",
    "revision": "INTEGER", "evidence": "BIGINT[][]",
}  # fmt: skip


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"{handed.release_id}.parquet"


def write(handed: Handed, way: str | None = None) -> bytes:
    """Return the table; `value` null is a gap, `start` is UTC.

    Args:
        handed: The release.
        way: Folder for files on the way; the machine's own for such without.

    Raises:
        StoreError: the folder for files on the way is full or cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="wattseal-", dir=way) as folder, duckdb.connect() as connection:
            return _written(connection, Path(folder), handed.rows)
    except (duckdb.Error, OSError) as error:
        raise StoreError(
            f"{handed.release_id} as Parquet, by way of {way or tempfile.gettempdir()}: {error}"
        ) from error


def _written(connection: duckdb.DuckDBPyConnection, folder: Path, rows: Iterable[Row]) -> bytes:
    source, target = folder / "rows.jsonl", folder / "rows.parquet"
    with source.open("w", encoding="ascii") as file:
        file.writelines(f"{release.line(row)}\n" for row in rows)
    connection.execute("SET threads = 1")  # the same bytes each time
    connection.execute("SET TimeZone = 'UTC'")
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
    connection.execute(
        f"COPY (SELECT * FROM read_json({_quoted(source)}, format = 'newline_delimited', columns = {{{columns}}}))"  # noqa: S608 - names of our own
        f" TO {_quoted(target)} (FORMAT parquet, COMPRESSION zstd)"
    )
    return target.read_bytes()


def _quoted(path: Path) -> str:
    text = str(path).replace("'", "''")
    return f"'{text}'"
