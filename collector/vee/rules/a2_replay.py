"""A2: the same batch number came twice, with other bytes."""

from collections.abc import Iterator

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, marks


@RULES.add("A2", "E", needs=("deliveries.batches",), sources=EVERY)
def replay(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to a delivery whose bytes differ from those that came first under its number; the same bytes are none."""
    batches, digests = block.numbers["deliveries.batches"], block.numbers["deliveries.digests"]
    order = np.argsort(batches, axis=1, kind="stable")
    sorted_, bytes_ = (np.take_along_axis(one, order, axis=1) for one in (batches, digests))
    fresh = np.diff(sorted_, axis=1, prepend=sorted_[:, :1] - 1) != 0
    first = np.maximum.accumulate(np.where(fresh, np.arange(sorted_.shape[1]), 0), axis=1)
    row, at = np.nonzero(bytes_ != np.take_along_axis(bytes_, first, axis=1))
    came = order[row, at]
    slot = np.clip((block.numbers["deliveries.starts"][row, came] - block.start) // block.length, 0, block.n - 1)
    text = "The interval at {when} came again in batch {observed:d} with other bytes than before; one of them is false."
    yield marks("E", text, Spans(row, slot, slot + 1), batches[row, came], None)
