"""Windows of the channel's own past whose edges look most like those of the gap (accuracy.md: k-NN on gap edges).

A dispatched plant or a job-driven load repeats no day, yet it repeats how it gets from one level to another.
"""

from functools import lru_cache

import numpy as np

from collector.vee.estimators import sym_bridge
from collector.vee.frame import SATURDAY, SUNDAY, WORKDAY, Frame, Shapes, Window, either_side
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
TYPES = np.array([WORKDAY, SATURDAY, SUNDAY])


@ESTIMATORS.add("knn")
def knn(seen: Frame, view: Window) -> Shapes:
    """Return the mean of the five windows most similar at their edges, nearer ones weighing more, led onto them."""
    grid = _grid(seen, view)
    far = _distance(seen, view, grid)
    chosen, near = _nearest(far, _places(view, grid), _turns(seen, view))
    profile = _mean(seen, view, grid[chosen], near)
    left, right = sym_bridge.deviation(seen, view, profile)
    shape = profile[:, 1:-1] + sym_bridge.bridge(left, right, view.gaps.length, max(seen.memory, LASTING))
    usable = np.isfinite(near).sum(axis=1) >= LEAST
    why = "" if usable[0] else "fewer than three whole windows at this time of day"
    windows = sorted((grid[chosen[0, np.isfinite(near[0])]] + seen.origin).tolist())
    return Shapes(shape, usable, why, {"windows": windows})


def _grid(seen: Frame, view: Window) -> Ints:
    """Return the first slots of all windows in the frame at the gap's time of day: every gap's own is among them."""
    per_day = DAY // seen.series.length
    first = int(view.gaps.firsts[0]) % per_day
    return np.arange(first, len(seen.y) - view.gaps.length + 1, per_day, dtype=np.int64)


def _places(view: Window, grid: Ints) -> Ints:
    """Return which window of the grid each gap is. [gaps x 1]"""
    return np.searchsorted(grid, view.gaps.firsts)[:, None]


def _turns(seen: Frame, view: Window) -> Ints:
    """Return how far windows lie from their gap, nearest first, whole weeks for gaps of more than a day. [days]"""
    per_day = DAY // seen.series.length
    stride = 7 if view.gaps.length > per_day + per_day // 12 else 1  # a day of 25 hours is a day
    return either_side(stride, len(seen.y) // (per_day * stride))


def _nearest(far: Floats, places: Ints, turns: Ints) -> tuple[Ints, Floats]:
    """Return the windows least far from each gap, and how far they are; of two that are as far the nearer in time."""
    days = places + turns
    inside = (days >= 0) & (days < far.shape[1])
    row = np.arange(len(far))[:, None]
    offered = np.where(inside, far[row, np.where(inside, days, 0)], np.inf)
    order = offered.argsort(axis=1, kind="stable")[:, :WINDOWS]
    near = offered[row, order]
    return np.where(np.isfinite(near), days[row, order], 0), near


def _distance(seen: Frame, view: Window, grid: Ints) -> Floats:
    """Return how far a window's edges and days are from those of its gap, infinite where it may not serve.

    Every gap is a window of the grid, so that edges are looked up once. [gaps x windows]
    """
    length, own = view.gaps.length, _places(view, grid)[:, 0]
    after = _edge(seen.series.length)
    around, edge = np.concatenate([-1 - after[::-1], length + after]), len(after)
    edges = seen.at(grid[:, None] + around)
    known = ~np.isnan(edges)
    off = edges[own][:, None, :] - edges
    np.abs(off, out=off)
    np.copyto(off, 0.0, where=np.isnan(off))
    sides = [_shared(known[own, half], known[:, half]) for half in (slice(None, edge), slice(edge, None))]
    usable = 2 * np.minimum(*sides) >= edge
    mean = np.divide(off.sum(axis=2), sides[0] + sides[1], out=np.full(usable.shape, np.inf), where=usable)
    serves = _whole(seen, grid, length) & (np.abs(grid - view.gaps.firsts[:, None]) >= length)
    far: Floats = np.where(serves, mean + OTHER_DAY * seen.spread * _other_days(seen, view, grid), np.inf)
    return far


def _shared(ours: Bools, theirs: Bools) -> Floats:
    """Return in how many columns both hold, row by row."""
    return np.asarray(ours.astype(np.float64) @ theirs.astype(np.float64).T)


def _edge(length: int) -> Ints:
    """Return the slots after a gap that are compared: four hours, at most eight of them, the nearest for certain."""
    slots = max(2, EDGE // length)
    return _even(slots, min(slots, COMPARED))


@lru_cache(maxsize=1024)
def _even(slots: int, count: int) -> Ints:
    """Return about so many slots, even over some, the first and the last among them; read-only, since it is shared."""
    found = np.unique(np.linspace(0, slots - 1, count).astype(np.int64))
    found.setflags(write=False)
    return found


def _whole(seen: Frame, starts: Ints, length: int) -> Bools:
    """Return which windows have nothing unknown."""
    whole: Bools = seen.lacking[starts + length] == seen.lacking[starts]
    return whole


def _other_days(seen: Frame, view: Window, grid: Ints) -> Floats:
    """Return what part of a window lies on days of another type than the gap does. [gaps x windows]"""
    sample = _even(view.gaps.length, SAMPLE)
    types = seen.daytype[seen.layout.day[grid[:, None] + sample]]
    marks = (types[:, :, None] == TYPES).reshape(len(grid), -1)
    other: Floats = (len(sample) - _shared(marks[_places(view, grid)[:, 0]], marks)) / len(sample)
    return other


def _mean(seen: Frame, view: Window, chosen: Ints, near: Floats) -> Floats:
    """Return the weighted mean of the windows, with one slot at each side; NaN where none serves."""
    finite = np.isfinite(near)
    least = near.min(axis=1, keepdims=True, initial=np.inf)
    soft = np.where(finite, near, 1.0) + SOFT * np.where(np.isfinite(least), least, 0.0)
    weight = np.where(finite, 1.0 / np.maximum(soft, 1.0), 0.0)
    values = seen.at(chosen[:, :, None] + np.arange(-1, view.gaps.length + 1))
    known = ~np.isnan(values) & finite[:, :, None]
    count = (known * weight[:, :, None]).sum(axis=1)
    total = (np.where(known, values, 0.0) * weight[:, :, None]).sum(axis=1)
    mean: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0.0)
    return mean
