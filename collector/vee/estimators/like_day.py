"""One like day in a fixed order of search (AEMO type 14; WA Electricity Industry (Metering) Code 2012 App. 3)."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.profile import bridged_holes, candidates, distance, mean, named, nearest, served
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Floats, Ints

BACK, ON = 14, 2
#: By weekday, Monday first: days from the target in the order of search.
ORDER: tuple[tuple[int, ...], ...] = (
    (-7,),
    (-7, -6, -5, 1, 2),
    (-7, -1, -6, -8, 1),
    (-7, -1, -2, -8, -9),
    (-7,),
    (-7,),
    (-7,),
)


def _ranks() -> Floats:
    """Return the rank of each distance for each weekday, infinite where it is not in the order."""
    ranks = np.full((7, BACK + ON + 1), np.inf)
    for weekday, order in enumerate(ORDER):
        ranks[weekday, [BACK + days for days in order]] = np.arange(len(order))
    return ranks


RANKS = _ranks()


@ESTIMATORS.add("like_day")
def like_day(seen: Frame, view: Window) -> Shapes:
    """Return per slot the first like day of the prescribed order that is whole."""
    refs = nearest(_cost(seen, view), 1)
    profile = bridged_holes(mean(candidates(seen, view, refs)))[:, 1:-1]
    usable = served(view, refs) & ~np.isnan(profile).any(axis=1)
    why = "" if usable[0] else "no day of the prescribed order is whole"
    return Shapes(profile, usable, why, {"days": named(seen, view, refs)})


def _cost(seen: Frame, view: Window) -> Floats:
    apart = distance(view)
    holiday = seen.holiday[view.days][:, :, None]
    weekday = seen.weekday[view.days][:, :, None]
    near = (apart >= -BACK) & (apart <= ON)
    rank = RANKS[weekday, np.where(near, apart + BACK, 0)]
    fits = near & ~seen.holiday & seen.whole & ~view.barred
    return np.where(fits, np.where(holiday, _sundays(seen, apart), rank), np.inf)


def _sundays(seen: Frame, apart: Ints) -> Floats:
    return np.where((seen.weekday == 6) & (apart < 0), -apart, np.inf)
