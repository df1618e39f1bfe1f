"""Average of three like days before the gap: the like-day branch of the California and EEI rule books."""

import numpy as np

from collector.vee.frame import SUNDAY, Frame, Shapes, Window
from collector.vee.profile import (
    REACH,
    bridged_holes,
    candidates,
    distance,
    mean,
    named,
    nearest,
    served,
)
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Floats

DAYS = 3


@ESTIMATORS.add("like_day_avg")
def like_day_avg(seen: Frame, view: Window) -> Shapes:
    """Return per slot the mean of the three nearest earlier days of the same day type, fewer where fewer exist.

    A reference day is whole: no estimate, outage or missing interval. Days lie at most 35 days back; for a holiday
    earlier holidays at any distance come first, then Sundays (CPUC working group, dai3 msg00165).
    """
    refs = nearest(_cost(seen, view), DAYS)
    profile = bridged_holes(mean(candidates(seen, view, refs)))[:, 1:-1]
    usable = served(view, refs) & ~np.isnan(profile).any(axis=1)
    why = "" if usable[0] else "no whole like day lies in the 35 days before"
    return Shapes(profile, usable, why, {"days": named(seen, view, refs)})


def _cost(seen: Frame, view: Window) -> Floats:
    back = -distance(view)
    holiday = seen.holiday[view.days][:, :, None]
    plain = ~holiday & ~seen.holiday & (seen.daytype[view.days][:, :, None] == seen.daytype) & (back <= REACH)
    sunday = holiday & ~seen.holiday & (seen.daytype == SUNDAY) & (back <= REACH)
    feast = holiday & seen.holiday
    fits = (plain | sunday | feast) & seen.whole & ~view.barred & (back > 0)
    return np.where(fits, back + np.where(sunday, 1e6, 0.0), np.inf)
