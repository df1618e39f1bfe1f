"""B5: intervals that stand twice or overlap, as they came; in a series each slot stands once."""

from collections.abc import Iterator

import numpy as np

from collector.vee.arrivals import ordered
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, marks


@RULES.add("B5", "E", needs=("deliveries.starts",), sources=EVERY)
def overlap(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to each interval that begins before an earlier one ends; the same bytes delivered again are none."""
    order = np.argsort(block.numbers["deliveries.starts"], axis=1, kind="stable")
    begin, lasting, digest = (
        ordered(block.numbers[f"deliveries.{name}"], order) for name in ("starts", "lengths", "digests")
    )
    ends = np.maximum.accumulate(begin + lasting, axis=1)
    again = (np.diff(begin, axis=1) == 0) & (np.diff(digest, axis=1) == 0)
    row, at = np.nonzero((begin[:, 1:] < ends[:, :-1]) & ~again)
    first, free = begin[row, at + 1], ends[row, at]
    slot = np.clip((first - block.start) // block.length, 0, block.n - 1)
    twice = begin[row, at] == first
    what = np.where(
        twice, "stands twice", "begins " + (free - first).astype(np.str_) + " s before the one before it ends"
    )
    yield marks("E", "The interval at {when} {what}.", Spans(row, slot, slot + 1), first, free, what=what)
