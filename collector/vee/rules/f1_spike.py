"""F1: one interval stands out of its local day (California style; Oracle D2-INTSPKCHK)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, Spans, marks

LARGEST = 2**52  # a third-highest value is taken at most so high, so that its multiple stays an int64
_CHUNKS = 8


@dataclass(frozen=True, slots=True)
class Spike(Limits):
    """How far the highest may stand above the third highest (vee.md F1)."""

    percent: int = 180
    least_percent: int = 5  # of the rating: smaller values are no spike


@RULES.add("F1", "W", limits=Spike, kinds=LOAD)
def spike(block: Block, limit: Spike) -> Iterator[Marks]:
    """Warn where (highest - third highest) / third highest of a local day is strictly above 1.80.

    Compared in integers. A day with fewer than three values above zero says nothing.
    """
    known = np.where(block.known, block.values, 0)
    highest, least = _tops(block, known)
    loud = (highest > block.rated(limit.least_percent, 100)) & (highest > _bound(least, limit))
    if not loud.any():
        return
    third = np.where(loud, np.clip(_third(block, known, loud), 0, LARGEST), 0)
    bound = _bound(third, limit)
    _, row, day = days.spans_of(block, loud & (third > 0) & (highest > bound))
    slot = _slots(block, row, day, highest[row, day])
    text = "The interval at {when} is the highest of local day {date}: {observed}; the third highest is {third}."
    yield marks("W", text, Spans(row, slot, slot + 1), highest[row, day], bound[row, day],
                date=days.dates(block, day), third=third[row, day])  # fmt: skip


def _bound(third: Ints, limit: Spike) -> Ints:
    return third + third * limit.percent // 100


def _tops(block: Block, known: Ints) -> tuple[Ints, Ints]:
    """Return the highest of each day, and what the third highest is at least: the third of the maxima of its parts."""
    starts, longest = block.layout.starts, max(1, block.layout.slots // _CHUNKS)
    cuts = np.unique(np.concatenate([starts, np.arange(0, block.n, longest)]))
    tops = np.maximum.reduceat(known, cuts, axis=1)
    day = np.searchsorted(starts, cuts, side="right") - 1
    third = np.zeros((3, block.rows, len(starts)), dtype=np.int64)
    for at in range(len(cuts)):  # parts of a day, not intervals
        top = np.maximum(tops[:, at], 0)
        one, two, three = third[:, :, day[at]]
        third[:, :, day[at]] = (
            np.maximum(one, top), np.maximum(two, np.minimum(one, top)),
            np.maximum(three, np.minimum(two, top)),
        )  # fmt: skip
    return third[0], np.clip(third[2], 0, LARGEST)


def _third(block: Block, known: Ints, wanted: Bools) -> Ints:
    """Return the third highest value of the wanted days, zero where a day has fewer slots."""
    third = np.zeros(wanted.shape, dtype=np.int64)
    stops = np.append(block.layout.starts[1:], block.n)
    for day in np.flatnonzero(wanted.any(axis=0)):
        rows = np.flatnonzero(wanted[:, day])
        part = known[rows, block.layout.starts[day] : stops[day]]
        if part.shape[1] >= 3:
            third[rows, day] = np.partition(part, -3, axis=1)[:, -3]
    return third


def _slots(block: Block, row: Ints, day: Ints, highest: Ints) -> Ints:
    """Return the first slot of each day that has its highest value."""
    starts, stops = block.layout.starts, np.append(block.layout.starts[1:], block.n)
    found = [
        int(
            starts[d] + np.argmax(block.known[r, starts[d] : stops[d]] & (block.values[r, starts[d] : stops[d]] == top))
        )
        for r, d, top in zip(row, day, highest, strict=True)
    ]
    return np.array(found, dtype=np.int64)
