"""Like days at both sides of a gap, led onto the values at its edges (accuracy.md: sym4_br)."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
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
from collector.vee.series import Bools, Floats

DAYS = 4


@ESTIMATORS.add("sym_bridge")
def sym_bridge(seen: Frame, view: Window) -> Shapes:
    """Return the mean of two like days before and two after, plus what the edges deviate, fading inwards.

    The deviation fades as a first-order autoregressive process with the channel's own memory does between two known
    ends. A holiday counts as a Sunday; a side that lacks days is made up for by the other. A reference day need not be
    whole: where it is silent the others speak.
    """
    refs = nearest(cost(seen, view), DAYS)
    profile = bridged_holes(mean(candidates(seen, view, refs)))
    left, right = deviation(seen, view, profile)
    shape = profile[:, 1:-1] + bridge(left, right, view.gaps.length, seen.memory)
    usable = served(view, refs) & ~np.isnan(shape).any(axis=1)
    why = "" if usable[0] else "no like day, nine tenths known, lies within 35 days"
    return Shapes(shape, usable, why, {"days": named(seen, view, refs), "memory": format(seen.memory, ".9g")})


def cost(seen: Frame, view: Window) -> Floats:
    """Return ranks that take days from both sides in turn, nearest first."""
    apart = distance(view)
    like = seen.daytype[view.days][:, :, None] == seen.daytype
    fits: Bools = like & seen.mostly & ~view.barred & (np.abs(apart) <= REACH)
    so_far = fits.cumsum(axis=2)
    before = so_far[view.row, np.arange(view.days.shape[1]), view.days][:, :, None]  # the target itself never fits
    turn = np.where(apart < 0, before - so_far, so_far - before - 0.5)
    return np.where(fits, turn, np.inf)


def deviation(seen: Frame, view: Window, profile: Floats) -> tuple[Floats, Floats]:
    """Return value minus profile at the slots before and after; NaN where either is unknown."""
    rest = np.where(view.inside, seen.y[view.slots] - profile, np.nan)
    return rest[:, 0], rest[:, -1]


def bridge(left: Floats, right: Floats, length: int, memory: float) -> Floats:
    """Return the expected deviation inside gaps between two known ones; an unknown end pulls nothing.

    Conditional mean of a stationary AR(1) process, lag-one correlation `memory`, T = length + 1:
    ``(m^t (1 - m^2(T-t)) left + m^(T-t) (1 - m^2t) right) / (1 - m^2T)``.
    """
    t = np.arange(1, length + 1, dtype=np.float64)
    alone = memory**t
    shared = alone * (1 - (memory ** (2 * t))[::-1]) / (1.0 - memory ** (2 * (length + 1)))
    left_known, right_known = ~np.isnan(left)[:, None], ~np.isnan(right)[:, None]
    from_left = np.where(right_known, shared, alone) * np.where(left_known, left[:, None], 0.0)
    from_right = np.where(left_known, shared[::-1], alone[::-1]) * np.where(right_known, right[:, None], 0.0)
    return np.asarray(from_left + from_right)
