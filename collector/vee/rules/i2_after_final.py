"""I2: another value for an interval that a final release has gone out with."""

from collections.abc import Iterator

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@RULES.add("I2", "W", needs=("before", "before_final"), sources=EVERY, version=2)
def after_final(block: Block, _: Limits) -> Iterator[Marks]:
    """Warn of late data after a final release: a person makes a correction, nothing is overwritten."""
    old, told = block.numbers["before"], block.masks["before"]
    late = block.known & block.masks["before_final"]
    found = spans(late & told & (block.values != old))
    now, then = (over(one, found, np.add) for one in (block.values, old))
    text = "{many} from {when} were released as {limit}; now {observed} are known: make a correction."
    yield marks("W", text, found, now, then)
    found = spans(late & ~told)
    text = "{many} from {when} were released without a value; now {observed} are known: make a correction."
    yield marks("W", text, found, over(block.values, found, np.add), None)
