"""G3: tariff registers that do not add up to the total register."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Column
from collector.vee.inputs import total as summed
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Tariffs(Limits):
    """How far tariffs and total may differ (vee.md G3)."""

    permille: int = 1
    steps: int = 2  # of each register


@RULES.add("G3", "W", limits=Tariffs, needs=("registers",), sources=EVERY)
def tariffs(block: Block, limit: Tariffs) -> Iterator[Marks]:
    """Warn where the tariff registers together advance otherwise than the total register in an interval."""
    parts = [Column(values, known) for _, values, known in block.group("tariffs")]
    if not parts:
        return
    both = reduce(np.logical_and, [part.known for part in parts], block.masks["registers"])
    advance = np.diff(block.numbers["registers"], axis=1)
    sums = reduce(np.add, [np.diff(part.values, axis=1) for part in parts])
    most = np.maximum(np.abs(advance) // 1000 * limit.permille, limit.steps * block.step * (len(parts) + 1))
    found = spans(both[:, 1:] & both[:, :-1] & (np.abs(sums - advance) > most))
    text = "{many} from {when}: the tariff registers advance by up to {observed} where the total says {limit}."
    yield marks("W", text, found, over(sums, found), over(advance, found))


def total(registers: Mapping[str, Column]) -> Column:
    """Return the total register of a set by OBIS code: the one with tariff 0 if it came, else the sum of the others.

    The total is never summed again with its tariffs (1.8.0 = 1.8.1 + 1.8.2).
    """
    whole = next((one for name, one in registers.items() if name.rpartition(".")[2] == "0"), None)
    return summed(registers.values()) if whole is None else whole
