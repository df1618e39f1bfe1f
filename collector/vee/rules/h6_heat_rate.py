"""H6: fuel and generation that do not go together."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, spans
from collector.vee.series import Bools


@dataclass(frozen=True, slots=True)
class HeatRate(Limits):
    """What a thermal unit burns (vee.md H6)."""

    low_kJ: int = 6000  # noqa: N815 - a kWh; the unit is written as the trade writes it
    high_kJ: int = 16_000  # noqa: N815 - as above
    load_percent: int = 5  # of the rating: below it nothing is said


@RULES.add("H6", "I", limits=HeatRate, kinds=frozenset({"generation"}), needs=("fuel",))
def heat_rate(block: Block, limit: HeatRate) -> Iterator[Marks]:
    """Tell where a unit burns less than 6 or more than 16 MJ for a kWh."""
    fuel = block.numbers["fuel"]
    running = block.known & block.masks["fuel"] & (block.values > block.rated(limit.load_percent, 100))
    running &= block.values > 0
    spent = fuel / np.maximum(block.values, 1) * 1_000_000  # [kJ/kWh]
    yield _marks(running & (spent < limit.low_kJ), spent, limit.low_kJ)
    yield _marks(running & (spent > limit.high_kJ), spent, limit.high_kJ)


def _marks(wrong: Bools, spent: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]", bound: int) -> Marks:
    found = spans(wrong)
    rate = np.floor(spent[found.row, found.first]).astype(np.int64)
    text = "{many} from {when} with {observed:d} kJ of fuel for a kWh, bound {limit:d}; look at fuel and heat value."
    return marks("I", text, found, rate, bound)
