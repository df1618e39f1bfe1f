"""G1: a register that only counts up has fallen: a rollover where that is possible, else a reset or an exchange."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.boundaries import Pairs, far, near
from collector.vee.catalogue import ONE_WAY, RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks


@dataclass(frozen=True, slots=True)
class Rollover(Limits):
    """How much may have passed in a rollover (vee.md G1)."""

    rating_percent: int = 120


@RULES.add("G1", "E", limits=Rollover, kinds=ONE_WAY, needs=("registers",), sources=EVERY)
def monotone(block: Block, limit: Rollover) -> Iterator[Marks]:
    """Object to a fall between two known boundaries that no rollover explains; inform of a rollover.

    A rollover is believed where modulus and rating are known and the rating allows the advance that it makes.
    """
    registers = block.numbers["registers"]
    apart = far(block)
    for fall in (near(block, registers[:, 1:] < registers[:, :-1]), apart.only(apart.after < apart.before)):
        yield from _marks(block, fall, limit)


def _marks(block: Block, fall: Pairs, limit: Rollover) -> Iterator[Marks]:
    wrapped, possible = _wrapped(block, fall, limit)
    text = "The register rolled over between {when} and {until}: from {before} to {after}, an advance of {observed}."
    yield marks("I", text, fall.spans, wrapped, fall.before, before=fall.before, after=fall.after).only(possible)
    text = (
        "The register falls from {limit} at {when} to {observed} at {until}; no reset, exchange or rollover is named."
    )
    yield marks("E", text, fall.spans, fall.after, fall.before).only(~possible)


def _wrapped(block: Block, fall: Pairs, limit: Rollover) -> tuple[Ints, Bools]:
    """Return the advance over a rollover, and where the rating allows it."""
    if not block.has(("modulus", "rated_power")):
        return np.zeros_like(fall.before), np.zeros(fall.before.shape, dtype=np.bool_)
    advance = fall.after - fall.before + block.numbers["modulus"][fall.row, 0]
    most = block.rated(limit.rating_percent, 100)[fall.row, 0] * (fall.stop - fall.first)
    return advance, (advance >= 0) & (advance <= most)
