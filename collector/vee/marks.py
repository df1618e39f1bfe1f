"""What rules find, as columns: findings of a whole block of channels, made into sentences only when they are read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from collector.vee.inputs import Bools, Ints
from collector.vee.runs import many
from collector.vee.series import Severity
from shared.quantity import UNITS

Number = TypeVar("Number", np.int64, np.bool_)
NONE = np.zeros(0, dtype=np.int64)
#: Of a count in a unit: the unit that a person reads, and how many counts make one of it.
_READABLE = {count: (unit, 10**power) for unit, (count, power) in UNITS.items() if unit.startswith("k")}


class Spans(NamedTuple):
    """Half-open spans of slots, each of one row of a block."""

    row: Ints
    first: Ints
    stop: Ints


def spans(mask: Bools) -> Spans:
    """Return the spans of each row in which a mask holds, by row and time.

    >>> [one.tolist() for one in spans(np.array([[True, True, False], [False, True, True]]))]
    [[0, 1], [0, 1], [2, 3]]
    """
    if not mask.any():
        return Spans(NONE, NONE, NONE)
    rows, n = mask.shape
    framed = np.zeros((rows, n + 1), dtype=np.bool_)
    framed[:, :-1] = mask
    flat = framed.reshape(-1)
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat[0]:
        edges = np.concatenate([[0], edges])
    first, stop = edges[0::2], edges[1::2]
    row = first // (n + 1)
    return Spans(row, first - row * (n + 1), stop - row * (n + 1))


def longer(found: Spans, least: int) -> Spans:
    """Return the spans of at least so many slots."""
    keep = found.stop - found.first >= least
    return Spans(found.row[keep], found.first[keep], found.stop[keep])


def single(mask: Bools) -> Spans:
    """Return each slot in which a mask holds as a span of its own."""
    row, first = np.divmod(np.flatnonzero(mask), mask.shape[1])
    return Spans(row, first, first + 1)


def over(values: NDArray[Number], found: Spans, best: np.ufunc = np.maximum) -> NDArray[Number]:
    """Return the best (by default the highest) value of each span."""
    if not len(found.row):
        return values[:0, 0]
    n = values.shape[1]
    flat = values.reshape(-1)
    bounds = np.stack([found.row * n + found.first, found.row * n + found.stop], axis=1).reshape(-1)
    if bounds[-1] == len(flat):  # the last span ends with the last row, which is an end without a beginning
        bounds = bounds[:-1]
    best_of: NDArray[Number] = best.reduceat(flat, bounds)[::2]
    return best_of


def at(values: Ints, found: Spans) -> Ints:
    """Return the value at the beginning of each span; values of one column hold for the whole row."""
    if not len(found.row):
        return NONE
    there: Ints = values[found.row, 0 if values.shape[1] == 1 else found.first]
    return there


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What one rule objects to, in one tone; observed and limit are None where there is no number."""

    severity: Severity
    text: str  # a sentence with {many} {when} {until} {day} {observed} {limit} and the names of `more`
    spans: Spans
    observed: Ints | None
    limit: Ints | None
    more: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.spans.row)

    def only(self, keep: Bools) -> "Marks":
        """Return some of them."""
        return Marks(
            self.severity, self.text, Spans(*(one[keep] for one in self.spans)),
            None if self.observed is None else self.observed[keep], None if self.limit is None else self.limit[keep],
            {name: one[keep] for name, one in self.more.items()},
        )  # fmt: skip


def marks(
    severity: Severity, text: str, found: Spans, observed: Ints | int | None, limit: Ints | int | None,
    **more: NDArray[np.generic],
) -> Marks:  # fmt: skip
    """Return marks; a single number stands for all of them."""
    n = len(found.row)
    return Marks(severity, text, found, _filled(observed, n), _filled(limit, n), more)


def _filled(numbers: Ints | int | None, n: int) -> Ints | None:
    return np.full(n, numbers, dtype=np.int64) if isinstance(numbers, int) else numbers


class Amount(int):
    """A number that a sentence shows in the unit that a person reads; with `:d`, plain."""

    unit: str

    def __new__(cls, count: int, unit: str) -> Self:
        """Return the number with the unit of one count."""
        made = super().__new__(cls, count)
        made.unit = unit
        return made

    def __format__(self, spec: str) -> str:
        """Return it in words.

        >>> f"{Amount(12_500_000, 'mWh')}, {Amount(3, '')}, {Amount(12_500_000, 'mWh'):d}"
        '12.5 kWh, 3, 12500000'
        """
        if spec:
            return int.__format__(self, spec)
        name, power = _READABLE.get(self.unit, (self.unit, 1))
        whole, rest = divmod(abs(int(self)), power)
        part = f".{rest:0{len(str(power)) - 1}d}".rstrip("0") if rest else ""
        return f"{'-' if self < 0 else ''}{whole}{part} {name}".rstrip()


def stamp(second: int) -> str:
    """Return RFC 3339 text of a second. [UTC s]"""
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Words(dict[str, object]):
    """What the sentence of one mark may name; worked out when it is asked for."""

    def __init__(self, found: Marks, index: int, grid: tuple[int, int, str]) -> None:
        """Start with a mark, and with start, length and unit of its series."""
        super().__init__()
        self.found, self.index, self.grid = found, index, grid

    def __missing__(self, name: str) -> object:
        """Return what a name stands for."""
        one, (start, length, unit) = self.found, self.grid
        first, stop = int(one.spans.first[self.index]), int(one.spans.stop[self.index])
        if name == "many":
            return many(stop - first)
        if name in ("when", "until"):
            return stamp(start + (first if name == "when" else stop) * length)
        if name == "hours":
            return np.format_float_positional((stop - first) * length / 3600, trim="-")
        column = {"observed": one.observed, "limit": one.limit}.get(name) if name not in one.more else one.more[name]
        if column is None:
            raise KeyError(name)
        value = column[self.index]
        return Amount(int(value), unit) if isinstance(value, np.integer) else str(value)


def sentences(found: Marks, grid: tuple[int, int, str]) -> Iterator[str]:
    """Give the sentence of each mark."""
    for index in range(len(found)):
        yield found.text.format_map(Words(found, index, grid))
