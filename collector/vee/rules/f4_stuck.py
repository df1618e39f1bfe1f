"""F4: the same value again and again."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import ONE_WAY, RULES, Limits
from collector.vee.marks import Marks, Spans, at, marks, spans


@dataclass(frozen=True, slots=True)
class Stuck(Limits):
    """How often a value may repeat (vee.md F4)."""

    least: int = 8  # equal intervals
    more: int = 2  # than the longest run elsewhere in the series
    steps: int = 50  # a value of fewer register steps repeats by its resolution


@RULES.add("F4", "W", limits=Stuck, kinds=ONE_WAY)
def stuck(block: Block, limit: Stuck) -> Iterator[Marks]:
    """Warn of eight or more equal values, not zero, where the channel does not repeat itself so anyway."""
    same = np.zeros(block.values.shape, dtype=np.bool_)
    pairs = block.known[:, 1:] & block.known[:, :-1] & (block.values[:, 1:] == block.values[:, :-1])
    same[:, :-1] = pairs & (block.values[:, 1:] > limit.steps * block.step)
    found = spans(same)  # one shorter than the run of equal values
    count = found.stop - found.first + 1
    longest = np.zeros((2, block.rows), dtype=np.int64)  # the longest run of each row, and the second
    order = np.argsort(count, kind="stable")
    longest[0][found.row[order]] = count[order]
    rest = count < longest[0][found.row]
    ties = np.bincount(found.row[~rest], minlength=block.rows) > 1
    np.maximum.at(longest[1], found.row[rest], count[rest])
    elsewhere = np.where(ties, longest[0], longest[1])
    usual = np.where(count == longest[0][found.row], elsewhere[found.row], longest[0][found.row])
    keep = (count >= limit.least) & (count >= usual + limit.more)
    runs = Spans(found.row[keep], found.first[keep], found.stop[keep] + 1)
    text = "{many} from {when} with the very same value {value}; a register or a gateway stands still."
    yield marks(
        "W",
        text,
        runs,
        count[keep],
        np.maximum(usual[keep] + limit.more, limit.least) - 1,
        value=at(block.values, runs),
    )
