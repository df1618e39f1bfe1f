"""E2: more energy than the rating of the circuit can pass."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, at, marks, over, spans
from collector.vee.series import Severity


@dataclass(frozen=True, slots=True)
class Rating(Limits):
    """How far above its rating a circuit can be (vee.md E2)."""

    hard_percent: int = 120  # beyond it no meter can be right
    soft_percent: int = 110  # beyond it one looks


@RULES.add("E2", "E", limits=Rating, needs=("rated_power",), sources=EVERY)
def limit(block: Block, rating: Rating) -> Iterator[Marks]:
    """Object to energy, in either direction, above 1.2 x rating x hours; warn above 1.1 x."""
    hard, soft = block.rated(rating.hard_percent, 100), block.rated(rating.soft_percent, 100)
    beyond = block.known & ((block.values > soft) | (block.values < -soft))
    if not beyond.any():
        return
    over_hard = beyond & ((block.values > hard) | (block.values < -hard))
    yield _marks(block, over_hard, hard, "E")
    yield _marks(block, beyond & ~over_hard, soft, "W")


def _marks(block: Block, mask: Bools, most: Ints, severity: Severity) -> Marks:
    found = spans(mask)
    high, low = over(block.values, found), over(block.values, found, np.minimum)
    worst = np.maximum(high, -np.maximum(low, -(2**63 - 1)))
    text = "{many} from {when} above what the rating allows: {observed}, at most {limit}."
    return marks(severity, text, found, worst, at(most, found))
