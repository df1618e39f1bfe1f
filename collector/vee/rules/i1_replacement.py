"""I1: what came again changes a value that stands, or only its last digits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Trivial(Limits):
    """What is too small to be a new version (vee.md section 6; Oracle final measurement replacement)."""

    least: int = 1000  # [counts]: 1 Wh
    permille: int = 1


def trivial(new: Ints, old: Ints, limit: Trivial) -> Bools:
    """Return where a change is below both bounds."""
    apart = np.abs(new - old)
    small: Bools = (apart > 0) & (apart < limit.least) & (apart * 1000 < np.abs(old) * limit.permille)
    return small


@RULES.add("I1", "I", limits=Trivial, needs=("before", "before_estimated", "before_final"), sources=EVERY, version=2)
def replacement(block: Block, limit: Trivial) -> Iterator[Marks]:
    """Tell of values that replace others, a trivial difference apart; real ones discharge an estimate."""
    old, both = block.numbers["before"], block.known & block.masks["before"]
    open_ = both & ~block.masks["before_final"]
    small = open_ & trivial(block.values, old, limit) & ~block.masks["before_estimated"]
    yield _changed(block, small, "{many} from {when}: {observed} now, {limit} before; the difference is trivial.")
    moved = open_ & (block.values != old) & ~small
    yield _changed(block, moved, "{many} from {when}: {observed} now, {limit} before: a change of {change}.")


def _changed(block: Block, mask: Bools, text: str) -> Marks:
    found = spans(mask)
    now, then = (over(one, found, np.add) for one in (block.values, block.numbers["before"]))
    return marks("I", text, found, now, then, change=now - then)
