"""F2: a step against the last value that stands."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.marks import Marks, at, marks, single
from collector.vee.neighbours import last


@dataclass(frozen=True, slots=True)
class Step(Limits):
    """How far a value may differ from the one before it (vee.md F2)."""

    percent: int = 300
    least_percent: int = 10  # of the rating


@RULES.add("F2", "W", limits=Step, kinds=LOAD)
def step(block: Block, limit: Step) -> Iterator[Marks]:
    """Warn where a value differs from the last known one by more than 300 % of it and 10 % of the rating."""
    before, there = last(block.values, block.known)
    most = np.maximum(np.abs(before) // 100 * limit.percent + np.abs(before) % 100 * limit.percent // 100,
                      block.rated(limit.least_percent, 100))  # fmt: skip
    found = single(block.known & there & (np.abs(block.values - before) > most))
    text = "The interval at {when} has {value}, the one before it {earlier}: a step of {observed}."
    value, earlier = at(block.values, found), at(before, found)
    yield marks("W", text, found, np.abs(value - earlier), at(most, found), value=value, earlier=earlier)
