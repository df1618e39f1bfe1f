"""Local days of a block: sums over them, and days as spans of slots."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from collector.vee.block import Block
from collector.vee.inputs import Bools, Ints
from collector.vee.localtime import layout
from collector.vee.marks import Spans

Texts = NDArray[np.str_]


def sums(block: Block, values: Ints) -> Ints:
    """Return the sum of each local day. [rows x days]"""
    return np.add.reduceat(values, block.layout.starts, axis=1)


def counts(block: Block, mask: Bools) -> Ints:
    """Return in how many slots of each local day a mask holds. [rows x days]"""
    return np.add.reduceat(mask, block.layout.starts, axis=1, dtype=np.int64)


def highest(block: Block, values: Ints) -> Ints:
    """Return the highest value of each local day. [rows x days]"""
    return np.maximum.reduceat(values, block.layout.starts, axis=1)


def slots(block: Block) -> Ints:
    """Return how many slots of each local day are in the block. [days]"""
    return np.diff(block.layout.starts, append=block.n)


def whole(block: Block, mask: Bools) -> Bools:
    """Return the local days that lie in the block from end to end, and in all of whose slots a mask holds."""
    full: Bools = (counts(block, mask) == slots(block)) & block.layout.complete
    return full


def spans_of(block: Block, days: Bools) -> tuple[Spans, Ints, Ints]:
    """Return marked days as spans of slots, and their rows and day indices."""
    row, day = np.divmod(np.flatnonzero(days), days.shape[1])
    stops = np.append(block.layout.starts[1:], block.n)
    return Spans(row, block.layout.starts[day], stops[day]), row, day


def dates(block: Block, day: Ints) -> Texts:
    """Return day indices as ISO dates."""
    found: Texts = _dates(block.timezone, block.start, block.length, block.n)[day]
    return found


@lru_cache(maxsize=64)
def _dates(timezone: str, start: int, length: int, n: int) -> Texts:
    where = layout(timezone, start, length, n)
    return np.array([where.date(at).isoformat() for at in range(len(where.ordinal))], dtype=np.str_)


def trailing(daily: Ints, days: int) -> Ints:
    """Return at each day the sum over it and the days before it, `days` in all; fewer at the beginning."""
    running = np.cumsum(daily, axis=1)
    before = np.zeros_like(running)
    before[:, days:] = running[:, :-days]
    return running - before
