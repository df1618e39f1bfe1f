"""A check meter on the same circuit, calibrated on the time that both were known (AEMO type 11)."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Series

OVERLAP = 20  # intervals needed to calibrate; fewer leave the check meter as it reads


def _has_check(series: Series) -> bool:
    return series.check is not None


@ESTIMATORS.add("check", fits=_has_check)
def check(seen: Frame, view: Window) -> Shapes:
    """Return the check meter's energy times the slope that fits both meters best (least squares through zero)."""
    slope, overlap = _slope(seen)
    said = seen.check[view.gaps.slots] * slope
    usable = ~np.asarray(np.isnan(said).any(axis=1))
    why = "" if usable[0] else "the check meter is not known throughout the gap"
    return Shapes(said, usable, why, {"slope": format(slope, ".9g"), "overlap": overlap})


def _slope(seen: Frame) -> tuple[float, int]:
    both = ~np.isnan(seen.y) & ~np.isnan(seen.check)
    overlap = int(both.sum())
    power = float((seen.check[both] ** 2).sum())
    if overlap < OVERLAP or power <= 0.0:
        return 1.0, overlap
    return float((seen.y[both] * seen.check[both]).sum()) / power, overlap
