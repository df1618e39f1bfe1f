"""Active and reactive energy of a meter whatever their direction, for rules about both."""

import numpy as np

from collector.vee.block import Block
from collector.vee.inputs import Bools, Ints


def active(block: Block) -> Ints:
    """Return the channel's own energy and, where it is known, that of the other direction."""
    own = np.abs(block.values)
    for name in ("siblings.energy_active_export", "siblings.energy_active_import"):
        if name in block.numbers:
            own = own + np.where(block.masks[name], block.numbers[name], 0)
    return own


def both_ways(block: Block, what: str) -> tuple[Ints, Bools]:
    """Return import and, where the meter has it, export of an energy together, and where both are known."""
    name = f"siblings.{what}_import"
    both, known = block.numbers[name], block.masks[name]
    name = f"siblings.{what}_export"
    return (both + block.numbers[name], known & block.masks[name]) if name in block.numbers else (both, known)
