"""E8: less apparent energy than active and reactive make."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.energies import active, both_ways
from collector.vee.marks import Marks, at, marks, over, spans

_APPARENT, _REACTIVE = "siblings.energy_apparent", "siblings.energy_reactive_import"


@dataclass(frozen=True, slots=True)
class Apparent(Limits):
    """How far the identity may be missed (vee.md E8)."""

    least_permille: int = 990
    steps: int = 2


@RULES.add("E8", "W", limits=Apparent, needs=(_APPARENT, _REACTIVE))
def apparent(block: Block, limit: Apparent) -> Iterator[Marks]:
    """Warn where kVAh lies below 0.99 x the root of kWh^2 + kvarh^2, by more than two register steps."""
    q, told = both_ways(block, "energy_reactive")
    known = block.known & block.masks[_APPARENT] & told
    least = np.ceil(np.hypot(active(block), q) * (limit.least_permille / 1000)).astype(np.int64)
    least = least - limit.steps * block.step
    found = spans(known & (block.numbers[_APPARENT] < least))
    text = "{many} from {when} with too little apparent energy: {observed:d} mVAh, at least {limit:d}."
    yield marks("W", text, found, over(block.numbers[_APPARENT], found, np.minimum), at(least, found))


def of(active: int, reactive: int) -> tuple[float, float]:
    """Return apparent energy and power factor of active and reactive energy. [counts, 1]

    >>> of(400, 300)
    (500.0, 0.8)
    """
    whole = math.hypot(active, reactive)
    return whole, active / whole
