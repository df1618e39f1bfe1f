"""B2: the meter's own clock is off, or drifts."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee.block import EVERY, Block
from collector.vee.catalogue import RULES, Limits
from collector.vee.inputs import Bools, Ints
from collector.vee.marks import Marks, marks, over, spans
from collector.vee.series import DAY, Severity


@dataclass(frozen=True, slots=True)
class MeterClock(Limits):
    """How right a meter's clock must be (vee.md B2; the three minutes are California style)."""

    warn_s: int = 5
    fail_s: int = 180  # or one interval, if that is shorter
    drift_ms: int = 1000  # a day
    drift_days: int = 3  # over which it is looked at: many meters tell whole seconds


@RULES.add("B2", "E", limits=MeterClock, needs=("meter",), sources=EVERY)
def meter_clock(block: Block, limit: MeterClock) -> Iterator[Marks]:
    """Object to a meter clock three minutes or an interval off the gateway's; warn of seconds, and of drift."""
    known = block.masks["meter"]
    ahead = block.numbers["meter"]
    off = np.where(known, np.abs(ahead), 0)
    hard, soft = min(limit.fail_s, block.length) * 1_000_000, limit.warn_s * 1_000_000
    text = "The meter's clock was {off} s off the gateway's for {many} from {when}."
    yield _off(text, "E", off > hard, off, hard)
    yield _off(text, "W", (off > soft) & (off <= hard), off, soft)
    lag, bound = limit.drift_days * DAY // block.length, limit.drift_ms * limit.drift_days * 1000
    drift = np.zeros_like(off)
    drift[:, lag:] = np.where(known[:, lag:] & known[:, :-lag], np.abs(ahead[:, lag:] - ahead[:, :-lag]), 0)
    text = f"The meter's clock has moved by {{off}} s within {limit.drift_days} days, for {{many}} from {{when}}."
    yield _off(text, "W", (drift > bound) & (off <= soft), drift, bound)


def _off(text: str, severity: Severity, mask: Bools, off: Ints, limit: int) -> Marks:
    found = spans(mask)
    worst = over(off, found)
    return marks(severity, text, found, worst, limit, off=np.round(worst / 1e6, 3).astype(str))
