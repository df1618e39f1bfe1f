"""The way of Elexon (Great Britain): actual data of the same weekday, at most a month before or after (CP0759)."""

import numpy as np

from collector.vee.estimators import same_days
from collector.vee.frame import SUNDAY, Frame, Shapes, Window
from collector.vee.profile import distance
from collector.vee.registry import ESTIMATORS

MONTH = 31  # [days]


@ESTIMATORS.add("elexon")
def elexon(seen: Frame, view: Window) -> Shapes:
    """Return the mean of the same settlement period on whole days of the same weekday; a holiday counts as a Sunday.

    A known meter advance scales it (CP0638), as it does every method here. BSCP502 itself was not at hand.
    """
    apart = distance(view)
    weekday = np.where(seen.daytype == SUNDAY, 6, seen.weekday)
    fits = (weekday[view.days][:, :, None] == weekday) & seen.whole & (np.abs(apart) <= MONTH)
    cost = np.where(fits, np.abs(apart), np.inf)
    return same_days.of(seen, view, cost, 2 * MONTH, "no whole day of this weekday lies within a month")
