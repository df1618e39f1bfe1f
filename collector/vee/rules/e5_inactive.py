"""E5: energy on a channel that is out of use."""

from collections.abc import Iterator

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@RULES.add("E5", "E", needs=("active",), sources=EVERY)
def inactive(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to energy on a disconnected, not yet installed or given-up channel."""
    found = spans(block.known & (block.values != 0) & ~block.masks["active"])
    most = over(np.abs(block.values), found)
    text = "{many} from {when} with energy, up to {observed}, on a channel that is out of use."
    yield marks("E", text, found, most, 0)
