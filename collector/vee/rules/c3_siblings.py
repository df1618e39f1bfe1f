"""C3: a channel of the same meter has nothing where this one has a value."""

from collections.abc import Iterator

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, spans


@RULES.add("C3", "W")
def siblings(block: Block, _: Limits) -> Iterator[Marks]:
    """Warn where another channel of the meter (export, reactive energy) lacks values that this one has."""
    for name, _values, known in block.group("siblings"):
        found = spans(block.known & ~known)
        count = found.stop - found.first
        text = "{many} from {when} without {name}, which the same meter gives."
        yield marks("W", text, found, count, 0, name=np.full(len(count), name))
