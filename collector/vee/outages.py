"""Power outages as a meter's own voltages tell them. Pure.

A meter that is fed from elsewhere, or bridges the time, goes on counting nothing: its value is true, but the interval
is no end of a line and its day no reference for others (vee.md D1, example E42).
"""

from collections.abc import Sequence

import numpy as np

from collector.vee.inputs import Bools, Column

#: A phase below this part of its usual voltage has none.
LOST_PERCENT = 10


def outages(phases: Sequence[Column]) -> Bools | None:
    """Return the intervals in which all phases had lost their voltage at least once; None where no voltage is known.

    Args:
        phases: The lowest voltage of each interval, for each phase that the meter tells. [mV]
    """
    told = [(low, usual) for low in phases if (usual := _usual(low)) > 0]
    if not told:
        return None
    lost: Bools = np.logical_and.reduce(
        [low.known & (low.values * 100 < usual * LOST_PERCENT) for low, usual in told]
    )  # fmt: skip
    return lost


def _usual(low: Column) -> int:
    known = low.values[low.known]
    return int(np.median(known)) if len(known) else 0
