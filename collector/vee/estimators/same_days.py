"""The mean of whole reference days that a rule picks: what several rule books share."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.profile import bridged_holes, candidates, mean, named, nearest, served
from collector.vee.series import Floats


def of(seen: Frame, view: Window, cost: Floats, count: int, lacking: str) -> Shapes:
    """Return per slot the mean of the `count` cheapest days.

    Args:
        seen: The surroundings.
        view: The gaps.
        cost: Rank of each day for each target, infinite where it may not serve. [gaps x touched x days]
        count: Days wanted; fewer serve where there are fewer.
        lacking: What to say where none serves.
    """
    fits = np.isfinite(cost) & ~view.barred
    refs = nearest(np.where(fits, cost, np.inf), count)
    profile = bridged_holes(mean(candidates(seen, view, refs)))[:, 1:-1]
    usable = served(view, refs) & ~np.isnan(profile).any(axis=1)
    return Shapes(profile, usable, "" if usable[0] else lacking, {"days": named(seen, view, refs)})
