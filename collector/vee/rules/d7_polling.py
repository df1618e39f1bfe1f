"""D7: too few good polls in an interval."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, at, marks, over, spans


@dataclass(frozen=True, slots=True)
class Polling(Limits):
    """How many of the planned polls must have come (vee.md D7)."""

    warn_percent: int = 90
    fail_percent: int = 50


@RULES.add("D7", "E", limits=Polling, needs=("samples", "planned"))
def polling(block: Block, limit: Polling) -> Iterator[Marks]:
    """Object to intervals with under half of the planned polls; warn below nine tenths."""
    good, planned = block.numbers["samples"], block.numbers["planned"]
    known = block.known & block.masks["samples"] & block.masks["planned"]
    hard = known & (good * 100 < planned * limit.fail_percent)
    soft = known & (good * 100 < planned * limit.warn_percent) & ~hard
    text = "Only {observed:d} of {limit:d} polls came in {many} from {when}; look at the line to the meter."
    found = spans(hard)
    yield marks("E", text, found, over(good, found, np.minimum), at(planned, found))
    found = spans(soft)
    yield marks("W", text, found, over(good, found, np.minimum), at(planned, found))
