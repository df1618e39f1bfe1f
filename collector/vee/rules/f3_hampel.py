"""F3: a value far from the median of the seven around it (Hampel identifier)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.marks import Marks, at, marks, single
from collector.vee.neighbours import middle, sevens

_SIGMA = 1.4826  # from the median absolute deviation to a standard deviation, of a normal distribution


@dataclass(frozen=True, slots=True)
class Hampel(Limits):
    """How far is far (vee.md F3)."""

    deviations: int = 6
    least_percent: int = 20  # of the median: quantised or very steady values have no deviation to speak of


@RULES.add("F3", "W", limits=Hampel, kinds=LOAD)
def hampel(block: Block, limit: Hampel) -> Iterator[Marks]:
    """Warn where a value lies more than 6 scaled median deviations from the median of a window of seven.

    The window is centred; at the ends of the series it is the first or the last seven.
    """
    if block.n < 7:
        return
    columns = sevens(block.values)
    centre = middle(columns)
    spread = middle([np.abs(one - centre) for one in columns])
    whole = np.logical_and.reduce([block.known[:, k : block.n - 6 + k] for k in range(7)])
    window = np.clip(np.arange(block.n) - 3, 0, block.n - 7)
    median = centre[:, window]
    most = np.maximum((spread * (limit.deviations * _SIGMA)).astype(np.int64)[:, window],
                      np.abs(median) // 100 * limit.least_percent)  # fmt: skip
    most = np.maximum(most, 2 * block.step)
    found = single(whole[:, window] & (np.abs(block.values - median) > most))
    text = "The interval at {when} has {observed}; around it the median is {median}."
    yield marks("W", text, found, at(block.values, found), at(most, found), median=at(median, found))
