"""E7: active and reactive energy that do not go together (CA kVARh check)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.energies import active, both_ways
from collector.vee.marks import Marks, at, marks, over, spans

_APPARENT = "siblings.energy_apparent"


@dataclass(frozen=True, slots=True)
class Reactive(Limits):
    """What a load's power factor may be (vee.md E7)."""

    load_percent: int = 5  # of the rating: below it nothing is said
    factor_permille: int = 500
    steps: int = 20  # of the register: energy of fewer may leave a coarse reactive register where it was


@RULES.add("E7", "W", limits=Reactive, needs=("siblings.energy_reactive_import",))
def reactive(block: Block, limit: Reactive) -> Iterator[Marks]:
    """Warn of active without reactive energy or the reverse, and of a power factor below 0.5 or above 1."""
    q, known = both_ways(block, "energy_reactive")
    p, floor = active(block), block.rated(limit.load_percent, 100)
    known = known & block.known
    floor = np.maximum(floor, limit.steps * block.step)
    loaded = known & (p > floor)
    lone = spans(loaded & (q == 0))
    yield marks(
        "W", "{many} from {when} without reactive energy beside {observed}.", lone, over(p, lone), at(floor, lone)
    )
    bare = spans(known & (p == 0) & (q > floor))
    yield marks(
        "W", "{many} from {when} without active energy beside {observed:d} mvarh.", bare, over(q, bare), at(floor, bare)
    )
    ratio = limit.factor_permille / 1000
    poor = spans(loaded & (p < ratio * np.hypot(p, q)))
    text = f"Power factor below {ratio:g} for {{many}} from {{when}}: {{observed:d}} mvarh reactive."
    yield marks("W", text, poor, over(q, poor), at(p, poor))
    if _APPARENT in block.numbers:
        s = block.numbers[_APPARENT]
        odd = spans(loaded & block.masks[_APPARENT] & (s < p) & (s > 0))
        text = "Power factor above 1 for {many} from {when}: {limit:d} mVAh apparent beside {observed}."
        yield marks("W", text, odd, over(p, odd), at(s, odd))
