"""Rows of a release, column by column: the lines of rows.jsonl without a value type for each. Pure.

Rule of this file: a line is spelled by `shared.release`, like any other.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from shared import release
from shared.quantity import QUANTITIES
from shared.release import Row
from shared.status import Flags, Status, names

Runs = tuple[tuple[int, int], ...]
Key = tuple[str, str, int]  # point, quantity and start [UTC s]
_NAMES = [status.name for status in Status]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Columns:
    """The rows of a point over a part of a period, in order of time."""

    point: str
    quantity: str
    length: int  # [s]
    starts: range  # [UTC s]
    values: Sequence[int | None]  # [counts]
    status: Sequence[int]
    sets: Sequence[int]  # bit 1 << status of each interval below
    methods: Sequence[int]  # bit 1 << method of each interval below
    flags: Sequence[int]
    behind: Sequence[Runs]
    revisions: Sequence[int]
    names: Mapping[int, str]  # of methods

    def rows(self) -> Iterator[Row]:
        """Give the rows as values."""
        unit = QUANTITIES[self.quantity].unit
        columns = zip(self.starts, self.values, *self._worth(), self.revisions, self.behind, strict=True)
        for start, value, status, sets, methods, flags, revision, behind in columns:
            yield Row(
                self.point, self.quantity, unit, start, self.length, value, _NAMES[status], _qualities(sets),
                method_of(methods, self.names), _flags(flags), revision, behind,
            )  # fmt: skip

    def lines(self) -> Iterator[str]:
        """Give the rows as lines, without their line feeds."""
        head, length = release.named(self.point, self.quantity, QUANTITIES[self.quantity].unit), self.length
        worth, texts = dict[tuple[int, int, int, int], str](), dict[int, str]()
        kinds = zip(*self._worth(), strict=True)
        columns = zip(self.starts, self.values, kinds, self.revisions, self.behind, strict=True)
        for start, value, kind, revision, behind in columns:
            told, text = worth.get(kind), texts.get(id(behind))  # few are unlike those before
            if told is None:
                told = worth[kind] = self._judged(*kind)
            if text is None:
                text = texts[id(behind)] = release.runs(behind)
            yield release.spelled(head, start, length, value, told, revision, text)

    def _worth(self) -> tuple[Sequence[int], ...]:
        return self.status, self.sets, self.methods, self.flags

    def _judged(self, status: int, sets: int, methods: int, flags: int) -> str:
        return release.judged(_NAMES[status], _qualities(sets), method_of(methods, self.names), _flags(flags))


def method_of(bits: int, names: Mapping[int, str]) -> str | None:
    """Return the names of methods as a row has them, None where none was used.

    >>> method_of(0b110, {1: "ridge", 2: "linear"})
    'linear+ridge'
    """
    return "+".join(sorted(name for code, name in names.items() if bits >> code & 1)) if bits else None


@cache  # of the few sets that occur
def _qualities(bits: int) -> tuple[str, ...]:
    return tuple(sorted(status.name for status in Status if bits >> status & 1))


@cache
def _flags(bits: int) -> tuple[str, ...]:
    return tuple(names(Flags(bits)))
