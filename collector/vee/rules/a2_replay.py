"""A2: the same batch number came twice, with other bytes."""

from collections.abc import Iterator

import numpy as np

from collector.vee.arrivals import ordered
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, marks


@RULES.add("A2", "E", needs=("deliveries.batches",), sources=EVERY)
def replay(block: Block, _: Limits) -> Iterator[Marks]:
    """Object to a delivery whose bytes differ from those that came first under its number; the same bytes are none."""
    batches, digests = block.numbers["deliveries.batches"], block.numbers["deliveries.digests"]
    order = np.argsort(batches, axis=1, kind="stable")
    sorted_, bytes_ = ordered(batches, order), ordered(digests, order)
    same = sorted_[:, 1:] == sorted_[:, :-1]
    odd = same & (bytes_[:, 1:] != bytes_[:, :-1])
    if not odd.any():
        return
    begins = np.zeros(sorted_.shape, dtype=np.int64)
    begins[:, 1:] = np.where(same, 0, np.arange(1, sorted_.shape[1]))
    first = np.maximum.accumulate(begins, axis=1)
    row, at = np.nonzero(bytes_ != ordered(bytes_, first))
    came = order[row, at]
    slot = np.clip((block.numbers["deliveries.starts"][row, came] - block.start) // block.length, 0, block.n - 1)
    text = "The interval at {when} came again in batch {observed:d} with other bytes than before; one of them is false."
    yield marks("E", text, Spans(row, slot, slot + 1), batches[row, came], None)
