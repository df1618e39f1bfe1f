"""H5: the control system says otherwise than the meter."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Scada(Limits):
    """How far meter and control system may differ (vee.md H5)."""

    permille: int = 20
    load_percent: int = 5  # of the rating: below it nothing is said
    steps: int = 2


@RULES.add("H5", "W", limits=Scada, needs=("scada",))
def scada(block: Block, limit: Scada) -> Iterator[Marks]:
    """Warn where meter and control system differ by more than 2 %."""
    other = block.numbers["scada"]
    size = np.maximum(np.abs(block.values), np.abs(other))
    allowed = size // 1000 * limit.permille + limit.steps * block.step
    apart = np.abs(block.values - other)
    loaded = size > block.rated(limit.load_percent, 100)
    found = spans(block.known & block.masks["scada"] & loaded & (apart > allowed))
    text = "{many} from {when}: meter and control system differ by up to {observed}, allowed are {limit}."
    yield marks("W", text, found, over(apart, found), over(allowed, found))
