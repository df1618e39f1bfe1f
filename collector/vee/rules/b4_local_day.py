"""B4: local labels that do not make a local day: 92, 96 or 100 quarter-hours."""

from collections.abc import Iterator

import numpy as np

from collector.vee import days
from collector.vee.arrivals import arrived
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Ints
from collector.vee.localtime import offsets
from collector.vee.marks import Marks, marks
from collector.vee.series import DAY


@RULES.add("B4", "E", needs=("deliveries.labels",), sources=EVERY)
def local_day(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to a complete local day with too many labels, and to a label that is not its interval's local time."""
    labels = block.numbers["deliveries.labels"]
    counted, expected = _counted(block, labels), days.slots(block)
    wrong = (counted > expected) & block.layout.complete
    found, row, day = days.spans_of(block, wrong)
    text = "Local day {date} has {observed:d} labels; it is {limit:d} intervals long."
    yield marks("E", text, found, counted[row, day], expected[day], date=days.dates(block, day))
    starts = block.numbers["deliveries.starts"]
    slot = (starts - block.start) // block.length
    inside = (slot >= 0) & (slot < block.n)
    shift = offsets(block.timezone, block.start, block.length, block.n)[np.clip(slot, 0, block.n - 1)]
    off = inside & (labels != starts + shift)
    bad, (told, begun) = arrived(block, off, "labels", "starts")
    due = begun + shift[off][_order(block, off)]
    text = "The interval at {when} is labelled {apart} s beside its local time; look at the change of summer time."
    yield marks("E", text, bad, told, due, apart=(told - due).astype(str))


def _order(block: Block, mask: "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]") -> Ints:
    """Return the order in which `arrived` gives marked deliveries."""
    row, came = np.nonzero(mask)
    return np.lexsort((came, block.numbers["deliveries.starts"][row, came], row))


def _counted(block: Block, labels: Ints) -> Ints:
    """Return how many labels each local day has. [rows x days]"""
    ordinal = block.layout.ordinal
    day = labels // DAY - ordinal[0]
    here = (day >= 0) & (day < len(ordinal))
    cell = np.arange(block.rows)[:, None] * len(ordinal) + day
    return np.bincount(cell[here], minlength=block.rows * len(ordinal)).reshape(block.rows, -1)
