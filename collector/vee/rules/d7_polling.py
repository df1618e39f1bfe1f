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
    spare: int = 1  # so many may always lack: a poll falls over the edge of its interval


@RULES.add("D7", "E", limits=Polling, needs=("samples", "planned"))
def polling(block: Block, limit: Polling) -> Iterator[Marks]:
    """Object to intervals with under half of the planned polls; warn below nine tenths.

    Where registers at both ends are known the energy does not depend on the polls between them: then it is a warning.
    """
    good, planned = block.numbers["samples"], block.numbers["planned"]
    known = block.known & block.masks["samples"] & block.masks["planned"]
    soft = known & (good * 100 < planned * limit.warn_percent) & (planned - good > limit.spare)
    hard = soft & (good * 100 < planned * limit.fail_percent)
    if "registers" in block.numbers:
        told = block.masks["registers"]
        hard &= ~(told[:, 1:] & told[:, :-1])
    text = "Only {observed:d} of {limit:d} polls came in {many} from {when}; look at the line to the meter."
    for severity, mask in (("E", hard), ("W", soft & ~hard)):
        found = spans(mask)
        yield marks(severity, text, found, over(good, found, np.minimum), at(planned, found))  # type: ignore[arg-type] # the two
