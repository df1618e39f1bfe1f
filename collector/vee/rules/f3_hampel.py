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
    least_percent: int = 50  # of the median: six deviations of seven steady values are next to nothing


@RULES.add("F3", "W", limits=Hampel, kinds=LOAD)
def hampel(block: Block, limit: Hampel) -> Iterator[Marks]:
    """Warn where a value lies more than 6 scaled median deviations from the median of a window of seven.

    The window is centred; at the ends of the series it is the first or the last seven.
    """
    if block.n < 7:
        return
    centre = middle(sevens(block.values))
    median = np.concatenate([centre[:, :1]] * 3 + [centre] + [centre[:, -1:]] * 3, axis=1)
    least = np.maximum(np.abs(median) // 100 * limit.least_percent, 2 * block.step)
    far = single(block.known & (np.abs(block.values - median) > least))
    begin = np.clip(far.first - 3, 0, block.n - 7)
    seven = far.row[:, None], begin[:, None] + np.arange(7)
    middles = at(median, far)
    spread = np.sort(np.abs(block.values[seven] - middles[:, None]), axis=1)[:, 3]
    most = np.maximum((spread * (limit.deviations * _SIGMA)).astype(np.int64), at(least, far))
    odd = block.known[seven].all(axis=1) & (np.abs(at(block.values, far) - middles) > most)
    text = "The interval at {when} has {observed}; around it the median is {median}."
    yield marks("W", text, far, at(block.values, far), most, median=middles).only(odd)
