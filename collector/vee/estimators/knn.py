"""Windows of the channel's own past whose edges look most like those of the gap (accuracy.md: k-NN on gap edges).

A dispatched plant or a job-driven load repeats no day, yet it repeats how it gets from one level to another.
"""

import numpy as np

from collector.vee.estimators import sym_bridge
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import DAY, Bools, Floats, Ints

WINDOWS = 5
LEAST = 3  # windows needed
EDGE = 14_400  # of values compared on either side [s]
OTHER_DAY = 2.0  # distance of a window that lies wholly on days of another type [of the channel's mean deviation]
SOFT = 0.1  # of the nearest distance, added to all: no window decides alone
LASTING = 0.9  # memory of what the edges still deviate, at least
COMPARED = 8  # slots of either edge, at most
SAMPLE = 8  # slots of a window whose day type is looked at


@ESTIMATORS.add("knn")
def knn(seen: Frame, view: Window) -> Shapes:
    """Return the mean of the five windows most similar at their edges, nearer ones weighing more, led onto them."""
    starts = view.gaps.firsts[:, None] + _shifts(seen, view)
    far = _distance(seen, view, starts)
    order = np.argsort(far, axis=1, kind="stable")[:, :WINDOWS]
    chosen, near = np.take_along_axis(starts, order, axis=1), np.take_along_axis(far, order, axis=1)
    profile = _mean(seen, view, chosen, near)
    left, right = sym_bridge.deviation(seen, view, profile)
    shape = profile[:, 1:-1] + sym_bridge.bridge(left, right, view.gaps.length, max(seen.memory, LASTING))
    usable = np.isfinite(near).sum(axis=1) >= LEAST
    why = "" if usable[0] else "fewer than three whole windows at this time of day"
    windows = sorted((chosen[0, np.isfinite(near[0])] + seen.origin).tolist())
    return Shapes(shape, usable, why, {"windows": windows})


def _shifts(seen: Frame, view: Window) -> Ints:
    """Return distances of windows from their gap: whole days, whole weeks for gaps of more than a day. [slots]"""
    per_day = DAY // seen.series.length
    stride = 7 * per_day if view.gaps.length > per_day + per_day // 12 else per_day  # a day of 25 hours is a day
    steps = np.arange(1, len(seen.y) // stride + 1)
    return stride * np.stack([-steps, steps], axis=1).ravel()


def _distance(seen: Frame, view: Window, starts: Ints) -> Floats:
    """Return how far a window's edges and days are from those of its gap; infinite where it may not serve."""
    length = view.gaps.length
    after = _edge(seen)
    around, edge = np.concatenate([-1 - after[::-1], length + after]), len(after)
    off = np.abs(
        _values(seen, view.gaps.firsts[:, None] + around)[:, None, :] - _values(seen, starts[:, :, None] + around)
    )
    known = ~np.isnan(off)
    sides = np.minimum(known[:, :, :edge].sum(axis=2), known[:, :, edge:].sum(axis=2))
    total = np.where(known, off, 0.0).sum(axis=2)
    mean = np.divide(total, known.sum(axis=2), out=np.full(sides.shape, np.inf), where=2 * sides >= edge)
    serves = _whole(seen, starts, length) & (np.abs(starts - view.gaps.firsts[:, None]) >= length)
    far: Floats = np.where(serves, mean + OTHER_DAY * seen.spread * _other_days(seen, view, starts), np.inf)
    return far


def _edge(seen: Frame) -> Ints:
    """Return the slots after a gap that are compared: four hours, at most eight of them, the nearest for certain."""
    slots = max(2, EDGE // seen.series.length)
    return np.unique(np.linspace(0, slots - 1, min(slots, COMPARED)).astype(np.int64))


def _values(seen: Frame, slots: Ints) -> Floats:
    n = len(seen.y)
    found: Floats = np.where((slots >= 0) & (slots < n), seen.y[np.clip(slots, 0, n - 1)], np.nan)
    return found


def _whole(seen: Frame, starts: Ints, length: int) -> Bools:
    """Return which windows lie in the frame with nothing unknown."""
    n = len(seen.y)
    lacking = np.concatenate([[0], np.isnan(seen.y).cumsum()])
    inside = (starts >= 0) & (starts + length <= n)
    whole: Bools = inside & (lacking[np.clip(starts + length, 0, n)] == lacking[np.clip(starts, 0, n)])
    return whole


def _other_days(seen: Frame, view: Window, starts: Ints) -> Floats:
    """Return what part of a window lies on days of another type than the gap does. [gaps x windows]"""
    types = seen.daytype[seen.layout.day]
    sample = np.unique(np.linspace(0, view.gaps.length - 1, SAMPLE).astype(np.int64))
    theirs = types[np.clip(starts[:, :, None] + sample, 0, len(types) - 1)]
    ours = types[view.gaps.firsts[:, None] + sample][:, None, :]
    other: Floats = (theirs != ours).mean(axis=2)
    return other


def _mean(seen: Frame, view: Window, chosen: Ints, near: Floats) -> Floats:
    """Return the weighted mean of the windows, with one slot at each side; NaN where none serves."""
    finite = np.isfinite(near)
    least = near.min(axis=1, keepdims=True, initial=np.inf)
    soft = np.where(finite, near, 1.0) + SOFT * np.where(np.isfinite(least), least, 0.0)
    weight = np.where(finite, 1.0 / np.maximum(soft, 1.0), 0.0)
    values = _values(seen, chosen[:, :, None] + np.arange(-1, view.gaps.length + 1))
    known = ~np.isnan(values) & finite[:, :, None]
    count = (known * weight[:, :, None]).sum(axis=1)
    total = (np.where(known, values, 0.0) * weight[:, :, None]).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0.0)
    return mean
