"""Parquet: the rows of rows.jsonl with their types, for tables of millions."""

import tempfile
from pathlib import Path

import duckdb

from collector.settle.formats.handed import Handed
from shared import release

_COLUMNS = {
    "point": "VARCHAR", "quantity": "VARCHAR", "unit": "VARCHAR", "start": "TIMESTAMPTZ", "length_s": "INTEGER",
    "value": "BIGINT", "status": "VARCHAR", "qualities": "VARCHAR[]", "method": "VARCHAR", "flags": "VARCHAR[]",
    "revision": "INTEGER", "evidence": "BIGINT[][]",
}  # fmt: skip


def name(handed: Handed) -> str:
    """Return the file's name."""
    return f"{handed.release_id}.parquet"


def write(handed: Handed) -> bytes:
    """Return the table; `value` null is a gap, `start` is UTC."""
    with tempfile.TemporaryDirectory(prefix="wattseal-") as folder, duckdb.connect() as connection:
        source, target = Path(folder) / "rows.jsonl", Path(folder) / "rows.parquet"
        source.write_bytes(release.jsonl(handed.rows))
        connection.execute("SET threads = 1")  # the same bytes each time
        connection.execute("SET TimeZone = 'UTC'")
        columns = ", ".join(f"'{name}': '{kind}'" for name, kind in _COLUMNS.items())
        connection.execute(
            f"COPY (SELECT * FROM read_json('{source}', format = 'newline_delimited', columns = {{{columns}}}))"  # noqa: S608 - names of our own
            f" TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )
        return target.read_bytes()
