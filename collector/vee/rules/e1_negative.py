"""E1: negative energy on a channel that energy passes in one direction only."""

from collections.abc import Iterator

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import ONE_WAY, RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@RULES.add("E1", "E", kinds=ONE_WAY, sources=EVERY)
def negative(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to values below zero."""
    found = spans(block.known & (block.values < 0))
    text = f"{{many}} from {{when}} below zero on a {block.kind} channel, down to {{observed}}."
    yield marks("E", text, found, over(block.values, found, np.minimum), 0)
