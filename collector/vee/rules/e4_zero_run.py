"""E4: zero where energy must have passed."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.inputs import Bools
from collector.vee.marks import Marks, Spans, longer, marks, over, spans
from collector.vee.series import DAY


@dataclass(frozen=True, slots=True)
class Zeros(Limits):
    """How long a load may stand at zero (vee.md E4; zeros that are new to a channel: accuracy.md section 3)."""

    longest_s: int = 14_400
    unusual_s: int = 1  # on a channel that is otherwise hardly ever zero
    usual_permille: int = 1  # so much of the rest of its values may be zero
    history_days: int = 7  # so much must be known to tell
    power_percent: int = 5  # of the rating: a zero beside such a mean power is false


@RULES.add("E4", "W", limits=Zeros, kinds=LOAD)
def zero_run(block: Block, limit: Zeros) -> Iterator[Marks]:
    """Warn of four hours at zero on a load, of any zero that is new to it, and of zero while power says load.

    A power outage explains a zero.
    """
    zero = block.known & (block.values == 0)
    if "outage" in block.masks:
        zero &= ~block.masks["outage"]
    if not zero.any():
        return
    found, least = spans(zero), -(-limit.longest_s // block.length)
    count = found.stop - found.first
    long = longer(found, least)
    text = "{hours} h at zero from {when} on a load that runs day and night."
    yield marks("W", text, long, long.stop - long.first, least - 1)
    fresh = (count < least) & _unusual(block, zero, found, limit)
    text = "{hours} h at zero from {when} on a load that is never at zero otherwise."
    yield marks("W", text, found, count, 0).only(fresh)
    yield _beside(block, zero, limit)


def _unusual(block: Block, zero: Bools, found: Spans, limit: Zeros) -> Bools:
    known, zeros = block.known.sum(axis=1)[found.row], zero.sum(axis=1)[found.row]
    count = found.stop - found.first
    enough = known * block.length >= limit.history_days * DAY
    rare = (zeros - count) * 1000 <= (known - count) * limit.usual_permille
    fresh: Bools = enough & rare & (count * block.length >= limit.unusual_s)
    return fresh


def _beside(block: Block, zero: Bools, limit: Zeros) -> Marks:
    name = "statistics.power_active_total_mean"
    if not block.has((name, "rated_power")):
        return marks("W", "", spans(np.zeros_like(zero)), None, None)
    power = np.abs(block.numbers[name])
    false = zero & block.masks[name] & (power * 100 > block.numbers["rated_power"] * limit.power_percent)
    found = spans(false)
    text = "Zero for {many} from {when} while the meter's own power says up to {observed:d} mW."
    return marks("W", text, found, over(power, found), 0)
