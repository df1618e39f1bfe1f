"""D6: a phase without voltage or without current."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.flags import flagged
from collector.vee.inputs import Bools, DeviceFlags, Ints
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Phases(Limits):
    """How far a phase may fall behind the others (vee.md D6)."""

    voltage_percent: int = 80  # of the middle one of the three
    current_percent: int = 20  # of the rated current, in the two others


@RULES.add("D6", "E", limits=Phases)
def phase_loss(block: Block, limit: Phases) -> Iterator[Marks]:
    """Object where a phase has under 80 % of the voltage of the middle one, or no current while the others run."""
    yield marks("E", "The meter reports a lost phase for {many} from {when}.",
                spans(flagged(block, DeviceFlags.PHASE_LOSS)), None, None)  # fmt: skip
    voltage = _three(block, [f"voltage_l{phase}n_mean" for phase in (1, 2, 3)])
    if voltage is not None:
        (lowest, middle, _), known = voltage
        found = spans(known & (lowest * 100 < middle * limit.voltage_percent))
        text = "A phase has lost its voltage for {many} from {when}: {observed:d} mV, the others {limit:d} mV and more."
        yield marks("E", text, found, over(lowest, found, np.minimum), over(middle, found))
    current = _three(block, [f"current_l{phase}_mean" for phase in (1, 2, 3)])
    if current is not None and "rated_current" in block.numbers:
        (lowest, middle, _), known = current
        running = middle * 100 > block.numbers["rated_current"] * limit.current_percent
        found = spans(known & (lowest == 0) & running)
        text = "A phase carries no current for {many} from {when}, while the others carry {limit:d} mA and more."
        yield marks("E", text, found, over(lowest, found), over(middle, found))


def _three(block: Block, names: list[str]) -> tuple[tuple[Ints, Ints, Ints], Bools] | None:
    """Return three statistics from the lowest to the highest, and where all are known; None where one is absent."""
    full = [f"statistics.{name}" for name in names]
    if not block.has(full):
        return None
    one, two, three = (block.numbers[name] for name in full)
    low, high = np.minimum(one, two), np.maximum(one, two)
    known: Bools = np.logical_and.reduce([block.masks[name] for name in full])
    return (np.minimum(low, three), np.maximum(low, np.minimum(high, three)), np.maximum(high, three)), known
