"""The benefit of the doubt goes to the market: highest for a load, lowest for generation (IESO Ontario)."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.profile import bridged_holes, candidates, distance, named, nearest, served
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Series

WEEKS = (-7, -14, -21)


def _has_side(series: Series) -> bool:
    return series.one_way


@ESTIMATORS.add("conservative", fits=_has_side)
def conservative(seen: Frame, view: Window) -> Shapes:
    """Return per slot the highest (load) or lowest (generation) of the same slot in the three weeks before.

    Prescribed, never chosen by back-test. Single intervals of a day may serve (IESO course "Revenue Metering 2",
    pp. 34-41).
    """
    fits = np.isin(distance(view), WEEKS) & ~view.barred
    refs = nearest(np.where(fits, -distance(view), np.inf), len(WEEKS))
    said = candidates(seen, view, refs)
    load = seen.series.kind == "load"
    unknown = np.isnan(said)
    silent = np.asarray(unknown.all(axis=0))
    extreme = np.where(unknown, -np.inf, said).max(axis=0) if load else np.where(unknown, np.inf, said).min(axis=0)
    profile = bridged_holes(np.where(silent, np.nan, extreme))[:, 1:-1]
    usable = served(view, refs) & ~silent[:, 1:-1].any(axis=1)
    why = "" if usable[0] else "a slot has no value in any of the three weeks before"
    return Shapes(profile, usable, why, {"days": named(seen, view, refs), "extreme": "highest" if load else "lowest"})
