"""H4: the meter's own load profile says otherwise than the gateway."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.marks import Marks, marks, over, spans


@dataclass(frozen=True, slots=True)
class Recorded(Limits):
    """How far gateway and recorder may differ (vee.md H4)."""

    steps: int = 1  # of the register; with known read times, and the power x their lateness


@RULES.add("H4", "W", limits=Recorded, version=2)
def recorder(block: Block, limit: Recorded) -> Iterator[Marks]:
    """Warn where an interval of the gateway and of the meter's recorder differ by more than the last digit."""
    if "refused" in block.numbers:
        text = "The meter's load profile contradicts its polled registers for {many} from {when}, and is not used."
        yield marks("W", text, spans(block.masks["refused"] & (block.numbers["refused"] != 0)), None, None)
    if "recorder" not in block.numbers:
        return
    profile = block.numbers["recorder"]
    apart = np.abs(block.values - profile)
    allowed = limit.steps * block.step + np.zeros_like(profile)
    if "lateness" in block.numbers:
        late = np.where(block.masks["lateness"], block.numbers["lateness"], 0)
        share = (late[:, 1:] + late[:, :-1]) / (block.length * 1_000_000)
        allowed = allowed + np.floor(np.abs(profile) * share).astype(np.int64)
    found = spans(block.known & block.masks["recorder"] & (apart > allowed))
    text = "{many} from {when}: gateway and the meter's load profile differ by up to {observed}, allowed are {limit}."
    yield marks("W", text, found, over(apart, found), over(allowed, found))
