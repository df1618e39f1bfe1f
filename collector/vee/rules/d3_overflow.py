"""D3: a pulse counter at its end."""

from collections.abc import Iterator
from dataclasses import dataclass

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import flagged
from collector.vee.inputs import DeviceFlags, Ints
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Pulses(Limits):
    """The last counts of the usual recorders (vee.md D3)."""

    highest: int = 65_535
    highest_wide: int = 4_294_967_295


@RULES.add("D3", "E", limits=Pulses)
def overflow(block: Block, limit: Pulses) -> Iterator[Marks]:
    """Object to an interval whose counter stands at its last number, or that the recorder calls overflown."""
    said = flagged(block, DeviceFlags.OVERFLOW)
    yield marks("E", "The recorder says that it overflowed for {many} from {when}.", spans(said), None, None)
    if "pulses" in block.numbers:
        pulses = block.numbers["pulses"]
        full = block.masks["pulses"] & ((pulses == limit.highest) | (pulses >= limit.highest_wide)) & ~said
        found = spans(full)
        text = "The pulse counter stands at its end, {observed:d}, for {many} from {when}; energy is lost."
        yield marks("E", text, found, over(pulses, found), limit.highest)


def energy(pulses: Ints, worth: int) -> Ints:
    """Return the energy of pulses.

    Args:
        pulses: Counts.
        worth: Of one pulse (the constant Ke). [counts of the unit]
    """
    return pulses * worth
