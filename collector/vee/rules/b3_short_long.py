"""B3: an interval that was shorter or longer than its label says."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import DeviceFlags
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Lasting(Limits):
    """How far the length may be off (vee.md B3)."""

    off_permille: int = 20


@RULES.add("B3", "E", limits=Lasting)
def short_long(block: Block, limit: Lasting) -> Iterator[Marks]:
    """Object to intervals whose true length differs by more than 2 %, or in which the clock was set."""
    if "lasted" in block.numbers:
        lasted = block.numbers["lasted"]
        wrong = np.abs(lasted - block.length * 1_000_000) > block.length * limit.off_permille * 1000
        found = spans(block.known & block.masks["lasted"] & wrong)
        longest = over(lasted, found)
        text = "{many} from {when} lasted up to {lasted} s: the clock was set, or a label is wrong."
        told = np.round(longest / 1e6, 3).astype(str)
        yield marks("E", text, found, longest, block.length * 1_000_000, lasted=told)
    if "flags" in block.numbers:
        set_ = block.masks["flags"] & ((block.numbers["flags"] & int(DeviceFlags.CLOCK_SET)) != 0)
        yield marks("E", "The meter's clock was set within {many} from {when}.", spans(block.known & set_), None, None)
