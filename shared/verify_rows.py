"""The rows of a release folder against its manifest, line by line: a file of any size takes little memory.

Rule of this file: every line is read and spelled again by `shared.release`, and rows.csv is written again from that.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from shared.errors import Malformed
from shared.merkle import Rising, leaf_hash
from shared.release import COLUMNS, Row, instant, line, parse, table

_AT_ONCE = 10_000  # rows
_SHOWN = ("value", "status")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a folder's rows are."""

    counts: dict[str, int]  # by status, in alphabetical order
    kept: list[Row]  # none unless they were asked for

    @property
    def count(self) -> int:
        """Return how many they are."""
        return sum(self.counts.values())


def checked(rows: Path, cells: Path | None, manifest: Mapping[str, object], *, keep: bool) -> Rows:
    """Return the rows of a release, which are those of its manifest.

    Args:
        rows: Their file.
        cells: The same as a table; None where there is none.
        manifest: Believed already.
        keep: Whether the rows themselves are given back.

    Raises:
        Malformed: they are not those of the manifest, or the table says something else.
        OSError: a file cannot be read.
    """
    seen = _Seen(keep=keep)
    with rows.open("rb") as lines, nullcontext() if cells is None else cells.open("rb") as table_:
        seen.take(lines, table_)
    if (seen.digest.hexdigest(), seen.tree.root().hex()) != (manifest["rows_sha256"], manifest["merkle_root"]):
        raise Malformed(f"rows.jsonl is not the file of the manifest{_changed(rows, cells)}")
    found = Rows(dict(sorted(seen.counts.items())), seen.kept)
    if not seen.sorted or found.counts != manifest["counts"] or found.count != manifest["expected"]:
        raise Malformed("the rows are not sorted, complete and counted as the manifest says")
    if not seen.tabled:
        raise Malformed("rows.csv does not say the same as rows.jsonl")
    return found


class _Seen:
    """What has been read of the rows so far."""

    def __init__(self, *, keep: bool) -> None:
        self._keep, self._number = keep, 0
        self.digest, self.tree, self.counts = hashlib.sha256(), Rising(), Counter[str]()
        self.kept, self.sorted, self.tabled = list[Row](), True, True
        self._last: tuple[str, str, int] | None = None

    def take(self, lines: BinaryIO, cells: BinaryIO | None) -> None:
        """Read both files to their ends."""
        head = table(())
        self.tabled = cells is None or cells.read(len(head)) == head
        while octets := list(islice(lines, _AT_ONCE)):
            rows = [self._row(one) for one in octets]
            if cells is not None:
                told = table(rows)[len(head) :]
                self.tabled = self.tabled and cells.read(len(told)) == told
            self.digest.update(b"".join(octets))
            self.tree.add(leaf_hash(one[:-1]) for one in octets if one.endswith(b"\n"))  # else it is no line
            self.counts.update(row.status for row in rows)
            self.kept += rows if self._keep else []
        self.tabled = self.tabled and (cells is None or not cells.read(1))

    def _row(self, octets: bytes) -> Row:
        self._number += 1
        text = octets.decode("ascii", errors="replace").removesuffix("\n")
        row = parse(text)
        if line(row) != text:
            raise Malformed(f"rows.jsonl line {self._number}: not in its one spelling")
        place = row.point, row.quantity, row.start
        self.sorted = self.sorted and (self._last is None or self._last <= place)
        self._last = place
        return row


def _changed(rows: Path, cells: Path | None) -> str:
    """Return where rows and table part, as a hint at the first changed row."""
    if cells is None:
        return ""
    with (
        rows.open(encoding="ascii", errors="replace") as lines,
        cells.open(encoding="ascii", errors="replace", newline="") as table_,
    ):
        listed = islice(csv.reader(table_), 1, None)
        for number, text in enumerate(lines, start=1):
            row, told = parse(text.removesuffix("\n")), next(listed, None)
            shown = ["" if row.value is None else str(row.value), row.status]
            if told is None or [dict(zip(COLUMNS, told, strict=False)).get(name) for name in _SHOWN] != shown:
                return f"; line {number} (point {row.point} at {instant(row.start)}) differs from rows.csv"
    return ""
