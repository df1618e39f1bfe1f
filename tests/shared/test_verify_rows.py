"""Rows of a release are believed by their manifest, however many they are, and nothing else is."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from shared import release
from shared.errors import Malformed
from shared.release import Row
from shared.verify_rows import checked

ROW = Row("p", "energy_active_import", "mWh", 0, 900, 5, "VALID", ("VALID",), None, (), 0, ((3, 4),))
#: More than are read at once.
ROWS = [
    replace(ROW, start=900 * at, value=None if at == 7 else at, status="MISSING" if at == 7 else "VALID")
    for at in range(10_003)
]  # fmt: skip


def manifest(rows: Sequence[Row]) -> dict[str, object]:
    octets = release.jsonl(rows)
    return {
        "rows_sha256": release.sha256(octets), "merkle_root": release.root(octets), "counts": release.counts(rows),
        "expected": len(rows),
    }  # fmt: skip


def written(folder: Path, rows: Sequence[Row]) -> tuple[Path, Path]:
    jsonl, table = folder / "rows.jsonl", folder / "rows.csv"
    jsonl.write_bytes(release.jsonl(rows))
    table.write_bytes(release.table(rows))
    return jsonl, table


def test_many_rows_and_their_table_are_believed_and_kept_on_demand(tmp_path: Path) -> None:
    files = written(tmp_path, ROWS)
    found = checked(*files, manifest(ROWS), keep=True)
    assert (found.kept, found.count, found.counts) == (ROWS, 10_003, {"MISSING": 1, "VALID": 10_002})
    assert checked(*files, manifest(ROWS), keep=False).kept == []
    assert checked(files[0], None, manifest(ROWS), keep=False).count == 10_003


def test_no_rows_are_rows_too(tmp_path: Path) -> None:
    assert checked(*written(tmp_path, []), manifest([]), keep=True).count == 0


@pytest.mark.parametrize(
    "changed",
    [
        lambda octets: octets + b"p\n",
        lambda octets: octets[: octets.rindex(b"\n", 0, -1) + 1],
        lambda octets: octets.replace(b",10001,VALID", b",10000,VALID"),
        lambda octets: octets.replace(b"point,", b"place,", 1),
        lambda _: b"",
    ],
)
def test_a_table_that_says_anything_else_is_refused(tmp_path: Path, changed: Callable[[bytes], bytes]) -> None:
    jsonl, table = written(tmp_path, ROWS)
    octets = changed(table.read_bytes())
    assert octets != table.read_bytes()
    table.write_bytes(octets)
    with pytest.raises(Malformed, match=r"rows\.csv does not say the same"):
        checked(jsonl, table, manifest(ROWS), keep=False)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([ROWS[1], ROWS[0]], {}),
        (ROWS[:2], {"expected": 3}),
        (ROWS[:2], {"counts": {"VALID": 3}}),
    ],
)
def test_rows_out_of_order_or_counted_otherwise_are_refused(
    tmp_path: Path, rows: list[Row], told: dict[str, object]
) -> None:
    with pytest.raises(Malformed, match="not sorted, complete and counted"):
        checked(*written(tmp_path, rows), manifest(rows) | told, keep=False)


def test_the_first_row_that_was_changed_is_named_though_the_table_is_cut(tmp_path: Path) -> None:
    jsonl, table = written(tmp_path, ROWS[:4])
    jsonl.write_bytes(release.jsonl([*ROWS[:2], replace(ROWS[2], value=99), ROWS[3]]))
    with pytest.raises(Malformed, match=r"not the file of the manifest; line 3 .* differs from rows\.csv"):
        checked(jsonl, table, manifest(ROWS[:4]), keep=False)
    table.write_bytes(release.table(ROWS[:1]) + b"p,energy\n")
    with pytest.raises(Malformed, match=r"line 2 .* differs"):
        checked(jsonl, table, manifest(ROWS[:4]), keep=False)
    with pytest.raises(Malformed, match=r"not the file of the manifest$"):
        checked(jsonl, None, manifest(ROWS[:4]), keep=False)


def test_a_line_of_another_spelling_is_named(tmp_path: Path) -> None:
    jsonl, table = written(tmp_path, ROWS[:3])
    jsonl.write_bytes(jsonl.read_bytes().replace(b'"start":"1970-01-01T00:30:00Z"', b'"start": "1970-01-01T00:30:00Z"'))
    with pytest.raises(Malformed, match=r"rows\.jsonl line 3: not in its one spelling"):
        checked(jsonl, table, manifest(ROWS[:3]), keep=False)


def test_a_last_line_without_an_end_is_no_line(tmp_path: Path) -> None:
    jsonl, table = written(tmp_path, ROWS[:3])
    octets = jsonl.read_bytes()[:-1]
    jsonl.write_bytes(octets)
    told = manifest(ROWS[:3]) | {"rows_sha256": release.sha256(octets)}
    with pytest.raises(Malformed, match="not the file of the manifest"):
        checked(jsonl, table, told, keep=False)
