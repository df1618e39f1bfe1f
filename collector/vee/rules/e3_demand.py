"""E3: demand outside the limits that a site has set."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Demand(Limits):
    """Demand limits; none are set by default (vee.md E3)."""

    high_kW: int | None = None  # noqa: N815 - the unit is written as the trade writes it
    low_kW: int | None = None  # noqa: N815 - as above


@RULES.add("E3", "W", limits=Demand)
def demand(block: Block, limit: Demand) -> Iterator[Marks]:
    """Warn of an interval whose mean power lies above the high or below the low limit of the site."""
    if limit.high_kW is not None:
        most = limit.high_kW * 1_000_000 * block.length // 3600
        found = spans(block.known & (block.values > most))
        text = "{many} from {when} above the demand limit: {observed}, at most {limit} in an interval."
        yield marks("W", text, found, over(block.values, found), most)
    if limit.low_kW is not None:
        least = limit.low_kW * 1_000_000 * block.length // 3600
        found = spans(block.known & (block.values < least))
        text = "{many} from {when} below the demand limit: {observed}, at least {limit} in an interval."
        yield marks("W", text, found, over(block.values, found, np.minimum), least)
