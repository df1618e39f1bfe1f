"""Channels beside each other, a row each: what rules work on, so that one call looks at a hundred channels.

Rules of this file: all rows have the same span, length, kind and inputs; nothing is copied for a single channel.
About 100 rows fit the processor's cache (facts/performance.md G).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from collector.vee.inputs import Bools, Codes, Ints, Told
from collector.vee.localtime import Layout, layout
from collector.vee.series import HAS_VALUE, ONE_WAY, Series
from shared.status import Status

#: Where a value comes from: which rules look at it depends on that (vee.md section 4, rule engine).
READ, EDIT, ESTIMATE = "read", "edit", "estimate"
EVERY = frozenset({READ, EDIT, ESTIMATE})
_SOURCES = {
    EDIT: (Status.EDITED,),
    ESTIMATE: (Status.ESTIMATED, Status.SUBSTITUTED, Status.FORECAST),
}
_OTHERS = {int(one) for group in _SOURCES.values() for one in group}
#: Inputs that are one number for the whole row.
_SCALARS = ("rated_power", "rated_current", "modulus", "now")
_MASKS = ("outage", "active", "doubted")


def _table(sources: frozenset[str]) -> Bools:
    """Return by status code whether a value of these sources stands there."""
    table = HAS_VALUE.copy()
    for source, group in _SOURCES.items():
        if source not in sources:
            table[[int(one) for one in group]] = False
    if READ not in sources:
        table[[code for code in range(len(table)) if code not in _OTHERS]] = False
    return table


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Block:
    """c channels over the same n slots; arrays are [c, n], of boundaries [c, n + 1], of one number [c, 1]."""

    start: int  # [UTC s]
    length: int  # [s]
    timezone: str
    kind: str
    unit: str
    values: Ints
    status: Codes
    known: Bools  # a value stands there, and comes from where the rule looks
    step: Ints  # [c, 1]
    numbers: Mapping[str, Ints] = field(default_factory=dict)  # by the names of `Series`
    masks: Mapping[str, Bools] = field(default_factory=dict)  # where those are known, and what is only a mask
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of what was told, by index

    @property
    def n(self) -> int:
        """Return the number of slots."""
        return int(self.values.shape[1])

    @property
    def rows(self) -> int:
        """Return the number of channels."""
        return int(self.values.shape[0])

    @property
    def one_way(self) -> bool:
        """Return whether energy can only pass in one direction."""
        return self.kind in ONE_WAY

    @property
    def layout(self) -> Layout:
        """Return where the slots lie in local time."""
        return layout(self.timezone, self.start, self.length, self.n)

    @property
    def grid(self) -> tuple[int, int, str]:
        """Return start, length and unit."""
        return self.start, self.length, self.unit

    def has(self, names: Sequence[str]) -> bool:
        """Return whether all these inputs are there."""
        return all(name in self.numbers or name in self.masks for name in names)

    def seeing(self, sources: frozenset[str]) -> "Block":
        """Return the block with what comes from some sources known."""
        if sources == EVERY:
            return self
        others = ~_table(sources) & HAS_VALUE
        return replace(self, known=self.known & ~others[self.status])

    def rated(self, parts: int, whole: int) -> Ints:
        """Return a part of the rating as energy of an interval, zero where no rating is known. [c, 1, counts]"""
        power = self.numbers.get("rated_power")
        if power is None:
            return np.zeros((self.rows, 1), dtype=np.int64)
        return power * parts * self.length // (whole * 3600)

    def group(self, name: str) -> Iterator[tuple[str, Ints, Bools]]:
        """Give name, values and mask of each input of a mapping: statistics, siblings, tariffs."""
        for full, values in self.numbers.items():
            group, _, rest = full.partition(".")
            if group == name:
                yield rest, values, self.masks[full]


def single(series: Series) -> Block:
    """Return one channel as a block of one row; the arrays are not copied."""
    numbers: dict[str, Ints] = {}
    masks: dict[str, Bools] = {}
    for name in _SCALARS:
        value = getattr(series, name)
        if value is not None:
            numbers[name] = np.array([[value]], dtype=np.int64)
    for name in _MASKS:
        mask = getattr(series, name)
        if mask is not None:
            masks[name] = mask[None]
    for name in ("registers", "check"):
        if getattr(series, name) is not None:
            numbers[name], masks[name] = getattr(series, name)[None], getattr(series, f"{name}_known")[None]
    if series.register_runs is not None:
        numbers["register_runs"] = series.register_runs[None]
    for name, one in series.columns():
        numbers[name], masks[name] = one.values[None], one.known[None]
    _rest(series, numbers, masks)
    return Block(
        start=series.start, length=series.length, timezone=series.timezone, kind=series.kind, unit=series.unit,
        values=series.values[None], status=series.status[None], known=HAS_VALUE[series.status][None],
        step=np.array([[series.step]], dtype=np.int64), numbers=numbers, masks=masks,
        names={f"told.{name}": one.names for name, one in series.told.items()},
    )  # fmt: skip


def _rest(series: Series, numbers: dict[str, Ints], masks: dict[str, Bools]) -> None:
    if series.before is not None:
        for name in ("estimated", "final", "approved"):
            masks[f"before_{name}"] = getattr(series.before, name)[None]
    came = series.deliveries
    if came is not None:
        columns = {"starts": came.starts, "lengths": came.lengths, "batches": came.batches, "digests": came.digests}
        numbers |= {f"deliveries.{name}": one[None] for name, one in columns.items()}
        if came.labels is not None:
            numbers["deliveries.labels"] = came.labels[None]


def stacked(rows: Sequence[Series]) -> Block:
    """Return channels as one block.

    Raises:
        ValueError: they differ in span, kind or inputs; the text names the first that differs.
    """
    parts = [single(_renamed(one, rows[0])) for one in rows]
    head = parts[0]
    for other in parts[1:]:
        for name in ("start", "length", "timezone", "kind", "unit", "n"):
            if getattr(head, name) != getattr(other, name):
                raise ValueError(f"{name}: {getattr(other, name)!r} beside {getattr(head, name)!r} in one block")
        if head.numbers.keys() != other.numbers.keys() or head.masks.keys() != other.masks.keys():
            odd = (head.numbers.keys() ^ other.numbers.keys()) | (head.masks.keys() ^ other.masks.keys())
            raise ValueError(f"{', '.join(sorted(odd))}: not given for every channel of the block")
        for name, one in head.numbers.items():
            if one.shape != other.numbers[name].shape:
                raise ValueError(f"{name}: {other.numbers[name].shape[1]} beside {one.shape[1]} in one block")
    return replace(
        head,
        values=np.concatenate([one.values for one in parts]),
        status=np.concatenate([one.status for one in parts]),
        known=np.concatenate([one.known for one in parts]),
        step=np.concatenate([one.step for one in parts]),
        numbers={name: np.concatenate([one.numbers[name] for one in parts]) for name in head.numbers},
        masks={name: np.concatenate([one.masks[name] for one in parts]) for name in head.masks},
    )


def _renamed(series: Series, head: Series) -> Series:
    """Return a channel whose told names are those of the first of its block."""
    told = {
        name: _aligned(one, head.told[name].names) if name in head.told and head.told[name].names != one.names else one
        for name, one in series.told.items()
    }
    return replace(series, told=told) if series.told else series


def _aligned(one: Told, names: tuple[str, ...]) -> Told:
    if not set(one.names) <= set(names):
        raise ValueError(f"{', '.join(sorted(set(one.names) - set(names)))}: not among the names of the block's first")
    table = np.array([names.index(name) for name in one.names], dtype=np.int64)
    seen, expected = (replace(part, values=table[part.values]) for part in (one.seen, one.expected))
    return Told(names, seen, expected)
