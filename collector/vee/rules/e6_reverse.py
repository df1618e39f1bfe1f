"""E6: energy flows out of a load."""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.marks import Marks, at, marks, over, spans

_EXPORT = "siblings.energy_active_export"


@dataclass(frozen=True, slots=True)
class Reverse(Limits):
    """How much may flow back (vee.md E6)."""

    permille: int = 5  # of the rating; without one, nothing


@RULES.add("E6", "W", limits=Reverse, kinds=LOAD, needs=(_EXPORT,))
def reverse(block: Block, limit: Reverse) -> Iterator[Marks]:
    """Warn of export beside a load that has no generation of its own: a swapped wire, or an unknown source."""
    most, export = block.rated(limit.permille, 1000), block.numbers[_EXPORT]
    found = spans(block.masks[_EXPORT] & (export > most))
    text = "{many} from {when} with energy out of a load, up to {observed}: a wire is swapped or a source unknown."
    yield marks("W", text, found, over(export, found), at(most, found))
