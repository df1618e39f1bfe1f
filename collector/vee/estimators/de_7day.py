"""The German comparison-value procedure with seven reference days (MSCONS ZJ2): the days just before the gap."""

import numpy as np

from collector.vee.estimators import same_days
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.profile import REACH, distance
from collector.vee.registry import ESTIMATORS

DAYS = 7


@ESTIMATORS.add("de_7day")
def de_7day(seen: Frame, view: Window) -> Shapes:
    """Return per slot the mean of the seven nearest earlier whole days, whatever their type."""
    back = -distance(view)
    cost = np.where(seen.whole & (back > 0) & (back <= REACH), back, np.inf).astype(np.float64)
    return same_days.of(seen, view, cost, DAYS, "no whole day lies in the 35 days before")
