"""Delivered intervals as slots: which slot an arrival belongs to, also when it fits none exactly."""

import numpy as np

from collector.vee.block import Block
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Spans


def ordered(values: Ints, order: Ints) -> Ints:
    """Return the values of each row in an order of its own (`take_along_axis`, at a third of its cost)."""
    taken: Ints = np.take(values.reshape(-1), order + np.arange(len(values))[:, None] * values.shape[1])
    return taken


def arrived(block: Block, mask: Bools, *names: str) -> tuple[Spans, list[Ints]]:
    """Return the slots of marked deliveries in order of time, and some columns of them.

    Args:
        block: The channels.
        mask: Which deliveries. [rows x deliveries]
        names: Columns wanted: starts, lengths, batches, digests, labels.
    """
    row, came = np.nonzero(mask)
    starts = block.numbers["deliveries.starts"][row, came]
    order = np.lexsort((came, starts, row))
    row, came, starts = row[order], came[order], starts[order]
    slot = np.clip((starts - block.start) // block.length, 0, block.n - 1)
    columns: list[Ints] = [block.numbers[f"deliveries.{name}"][row, came] for name in names]
    return Spans(row, slot, slot + 1), columns
