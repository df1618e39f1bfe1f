"""H2: what flows into a node and out of it is not the same."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Balance(Limits):
    """How far a node may be from balance (vee.md H2)."""

    interval_permille: int = 30
    day_permille: int = 10
    steps: int = 4


@RULES.add("H2", "W", limits=Balance, needs=("sources", "uses"), sources=EVERY)
def node(block: Block, limit: Balance) -> Iterator[Marks]:
    """Warn where generation and import differ from load, export, storage and losses: 3 % an interval, 1 % a day."""
    into, out = block.numbers["sources"], block.numbers["uses"]
    known = block.masks["sources"] & block.masks["uses"]
    flow = np.maximum(np.abs(into), np.abs(out))
    allowed = flow * limit.interval_permille // 1000 + limit.steps * block.step
    rest = into - out
    found = spans(known & (np.abs(rest) > allowed))
    text = "{many} from {when}: the node is out of balance by up to {observed}, allowed are {limit}."
    yield marks("W", text, found, over(np.abs(rest), found), over(allowed, found))
    yield _daily(block, limit)


def _daily(block: Block, limit: Balance) -> Marks:
    known = block.masks["sources"] & block.masks["uses"]
    into, out = (days.sums(block, np.where(known, block.numbers[name], 0)) for name in ("sources", "uses"))
    allowed = np.maximum(np.abs(into), np.abs(out)) * limit.day_permille // 1000 + limit.steps * block.step
    wrong = days.whole(block, known) & (np.abs(into - out) > allowed)
    found, row, day = days.spans_of(block, wrong)
    text = "Local day {date}: {into} flow into the node, {out} out of it; allowed are {limit} between them."
    return marks("W", text, found, np.abs(into - out)[row, day], allowed[row, day],
                 date=days.dates(block, day), into=into[row, day], out=out[row, day])  # fmt: skip


def residual(sources: int, uses: int) -> tuple[int, float]:
    """Return what is left over at a node, and which part of what flows in that is. [counts, 1]

    >>> [round(one, 6) for one in residual(5400, 3004 + 2389)]
    [7, 0.001296]
    """
    return sources - uses, (sources - uses) / sources
