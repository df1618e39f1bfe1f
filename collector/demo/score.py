"""Holds the demo's result against its promises: ledger against outbox, release against truth, sources against uses."""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.demo.files import SOURCES, USES
from shared import release
from shared.errors import ConfigError
from shared.release import Row
from shared.status import Status


@dataclass(frozen=True, slots=True)
class Score:
    """What the released rows say."""

    intervals: int
    estimated: int
    missing: int
    identity_residual: int  # all sources less all uses [mWh]
    true_difference: int  # the largest of any channel, over the whole period [mWh]


def rows(folder: Path) -> list[Row]:
    """Return the rows of a release folder."""
    return [release.parse(line) for line in (folder / "rows.jsonl").read_text(encoding="ascii").splitlines()]


def truth(path: Path) -> dict[tuple[str, str, int], int]:
    """Return the true energies that the simulator wrote: by meter, quantity and start. [mWh]"""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            (row["meter"], row["quantity"], int(row["start"])): int(row["value"]) for row in csv.DictReader(file)
        }  # fmt: skip


def read_edges(found: Sequence[Row], start: int) -> tuple[int, int]:
    """Return the first and the last instant, from `start` on, at which every meter was read. [UTC s]

    A boundary was read where a point is measured to one side of it: rows before `start` say that, too.

    Raises:
        ConfigError: there are none.
    """
    length = found[0].length_s
    measured: dict[str, set[int]] = {row.point: set() for row in found}
    for row in found:
        if row.value is not None and row.status != Status.ESTIMATED.name:
            measured[row.point] |= {row.start, row.start + length}
    read = sorted(at for at in set.intersection(*measured.values()) if at >= start)
    if len(read) < 2:
        raise ConfigError("no two boundaries were read at all meters: this machine has no time for the demo; try again")
    return read[0], read[-1]


def score(found: Sequence[Row], true: Mapping[tuple[str, str, int], int]) -> Score:
    """Return how the released rows hold against each other and against the truth."""
    totals: dict[str, int] = defaultdict(int)
    for row in found:
        totals[row.point] += row.value or 0
    residual = sum(totals[name] for name, _, _ in SOURCES) - sum(totals[name] for name, _, _ in USES)
    return Score(
        intervals=len(found),
        estimated=sum(row.status == Status.ESTIMATED.name for row in found),
        missing=sum(row.value is None for row in found),
        identity_residual=residual,
        true_difference=max((abs(one) for one in _differences(found, totals, true)), default=0),
    )


def _differences(
    found: Sequence[Row], totals: Mapping[str, int], true: Mapping[tuple[str, str, int], int]
) -> Iterable[int]:
    starts = {row.start for row in found}
    for name, _, formula in (*SOURCES, *USES):
        meter, _, quantity = formula.removeprefix("demo/").partition(".")
        yield totals[name] - sum(true[meter, quantity, start] for start in starts)
