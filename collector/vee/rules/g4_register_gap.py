"""G4: no register has been read for long, so that nothing ties the intervals to the meter."""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, Spans, longer, marks, spans


@dataclass(frozen=True, slots=True)
class Unread(Limits):
    """How long a register may go unread (vee.md G4)."""

    longest_s: int = 86_400


@RULES.add("G4", "W", limits=Unread, needs=("registers",), sources=EVERY)
def register_gap(block: Block, limit: Unread) -> Iterator[Marks]:
    """Warn of more than a day of boundaries without a register read."""
    bare = longer(spans(~block.masks["registers"]), limit.longest_s // block.length)
    found = Spans(bare.row, (bare.first - 1).clip(0), bare.stop.clip(None, block.n))
    text = "No register was read for {hours} h from {when}; nothing proves these intervals."
    yield marks("W", text, found, found.stop - found.first, limit.longest_s // block.length)
