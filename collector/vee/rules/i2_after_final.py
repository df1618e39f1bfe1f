"""I2: another value for an interval that a final release has gone out with."""

from collections.abc import Iterator

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, at, marks, single


@RULES.add("I2", "W", needs=("before", "before_final"), sources=EVERY)
def after_final(block: Block, _: Limits) -> Iterator[Marks]:
    """Warn of late data after a final release: a person proposes a correction, nothing is overwritten."""
    old = block.numbers["before"]
    late = block.known & block.masks["before"] & block.masks["before_final"] & (block.values != old)
    found = single(late)
    text = "The interval at {when} was released as {limit}; now {observed} is known: propose a correction."
    yield marks("W", text, found, at(block.values, found), at(old, found))
