"""E9: a register stood still, and then made up for it at once.

Our own rule beside the catalogue (facts/accuracy.md section 3, "catch-up"): the energy is right, its intervals are not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, marks, spans


@dataclass(frozen=True, slots=True)
class CatchUp(Limits):
    """What a jump after a standstill is (accuracy.md section 3)."""

    percent: int = 150  # of the larger of the values before the standstill and after the jump
    least_percent: int = 2  # of the rating
    steps: int = 20  # of the register: a coarse one stands still in between anyway
    usual_permille: int = 50  # more zeros elsewhere, and the channel stands still by its nature
    fitting_percent: int = (
        250  # the jump is the standstill's energy, judged by its neighbours, times or by at most this
    )


@RULES.add("E9", "W", limits=CatchUp)
def catch_up(block: Block, limit: CatchUp) -> Iterator[Marks]:
    """Warn where zeros are followed by far more than flowed before and flows after: to be spread over them."""
    zero = block.known & (block.values == 0)
    found = spans(zero)
    inside = (found.first > 0) & (found.stop + 1 < block.n)
    row, first, stop = (one[inside] for one in found)
    told = block.known[row, first - 1] & block.known[row, stop] & block.known[row, stop + 1]
    before, jump, after = (np.abs(block.values[row, at]) for at in (first - 1, stop, stop + 1))
    elsewhere = zero.sum(axis=1)[row] - (stop - first)
    rare = elsewhere * 1000 <= block.known.sum(axis=1)[row] * limit.usual_permille
    energy = (before + after) * (stop - first + 1) // 2
    fits = (jump * 100 <= energy * limit.fitting_percent) & (energy * 100 <= jump * limit.fitting_percent)
    beside = np.maximum(before, after)
    most = np.maximum(beside // 100 * limit.percent, limit.steps * block.step[row, 0])
    most = np.maximum(most, block.rated(limit.least_percent, 100)[row, 0])
    text = (
        "The register stood still from {when} and then jumped by {observed}, until {until}; spread it over the whole."
    )
    yield marks("W", text, Spans(row, first, stop + 1), jump, most).only(
        told & rare & (fits | (not block.one_way)) & (jump > most)
    )
