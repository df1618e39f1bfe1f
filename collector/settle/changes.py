"""What a release changes in the one before: rows side by side, both in the order of a release. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import merge
from itertools import groupby
from operator import attrgetter, itemgetter
from typing import Any

from collector.settle.columns import Columns, Key
from collector.settle.rows import Older
from shared.release import Row, instant

#: What is the same in a row that has not changed.
_shown = attrgetter("point", "quantity", "start", "value", "status", "qualities", "method", "flags")


class Changes:
    """The rows of a new release against those of the one before, point by point.

    Args:
        older: The rows of the release before; None where there is none.
    """

    def __init__(self, older: Iterator[Row] | None) -> None:
        self.delta: list[dict[str, Any]] = []
        self._older, self._alike = older, True
        self._next = None if older is None else next(older, None)
        self._was: dict[Key, Row] = {}

    def older(self, point: str) -> Older:
        """Return the rows that a point had; points are asked for in order."""
        self._was = {}
        while self._older is not None and self._next is not None and self._next.point <= point:
            self._was[_key(self._next)] = self._next
            self._next = next(self._older, None)
        return self._was

    def add(self, found: Sequence[Columns]) -> None:
        """Take the rows that the point has now which was asked for last."""
        if self._older is None:
            return
        was, now = [*self._was.values()], [row for told in found for row in told.rows()]
        if [*map(_shown, was)] != [*map(_shown, now)]:
            self._alike = False
            self.delta += compare(was, now)

    @property
    def none(self) -> bool:
        """Return whether all rows are what they were, in all but revision and evidence."""
        return self._alike and self._next is None


def compare(older: Iterable[Row], newer: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows whose value or status differs, with both; each is given in the order of a release."""
    sides = ((_key(row), 0, row) for row in older), ((_key(row), 1, row) for row in newer)
    found = []
    for key, both in groupby(merge(*sides), key=itemgetter(0)):
        pair: dict[int, Row] = {side: row for _, side, row in both}
        old, new = pair.get(0), pair.get(1)
        if old is None or new is None or (old.value, old.status) != (new.value, new.status):
            values = {"old": old.value if old else None, "new": new.value if new else None}
            found.append({"point": key[0], "quantity": key[1], "start": instant(key[2])} | values)
    return found


def delta(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Return the exact difference by point of what `compare` gives; a row without a value counts nothing. [counts]"""
    found: dict[str, int] = {}
    for row in rows:
        found[row["point"]] = found.get(row["point"], 0) + (row["new"] or 0) - (row["old"] or 0)
    return found


def _key(row: Row) -> Key:
    return row.point, row.quantity, row.start
