"""Like-day profiles: for each slot of a gap the same wall slot of reference days, for many gaps at once.

Rules of this file: a day never refers to itself, nor to a day that the gap touches; slots are keyed by local wall
time, so that days of 23 and 25 hours come out right.
"""

import numpy as np

from collector.vee.frame import Frame, Window
from collector.vee.series import Bools, Floats, Ints

REACH = 35  # days back or on that a reference day may lie (vee.md section 5, step 7)


def distance(view: Window) -> Ints:
    """Return how many days each day lies after each target. [gaps x touched x days]"""
    count = view.barred.shape[2]
    return np.arange(count, dtype=np.int64) - view.days[:, :, None]


def nearest(cost: Floats, count: int) -> Ints:
    """Return the `count` cheapest days of each target, cheapest first; -1 where no more can be had.

    Args:
        cost: Rank of each day for each target; infinite where it may not serve. [gaps x touched x days]
        count: Days wanted.
    """
    left = cost.reshape(-1, cost.shape[2]).copy()
    picks = np.empty((len(left), count), np.int64)
    row = np.arange(len(left))
    for turn in range(count):
        left.argmin(axis=1, out=picks[:, turn])
        left[row, picks[:, turn]] = np.inf
    there = np.isfinite(cost).sum(axis=2).reshape(-1, 1)
    return np.where(np.arange(count) < there, picks, -1).reshape(*cost.shape[:2], count)


def candidates(seen: Frame, view: Window, refs: Ints, table: Floats | None = None) -> Floats:
    """Return what each reference day says of each slot, NaN where it is silent. [references x gaps x length + 2]

    Args:
        seen: The surroundings of the first gap.
        view: The gaps.
        refs: Reference days of each touched day; -1 for none. [gaps x touched x references]
        table: Of another channel over the same days; the channel's own if not given. [days x wall slots]
    """
    chosen = refs.transpose(2, 0, 1)[:, view.row, view.target]
    known = seen.table if table is None else table
    said: Floats = known.take(chosen * seen.layout.slots + seen.layout.wall[view.slots], mode="clip")
    if (refs < 0).any():
        said[chosen < 0] = np.nan
    return said


def mean(said: Floats) -> Floats:
    """Return the mean over references, NaN where none speaks. [gaps x length + 2]"""
    known = ~np.isnan(said)
    count = known.sum(axis=0)
    total = np.where(known, said, 0.0).sum(axis=0)
    average: Floats = np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)
    return average


def bridged_holes(profile: Floats) -> Floats:
    """Return profiles whose silent slots (an hour that no reference day had) lie on the line around them."""
    for row in np.flatnonzero(np.isnan(profile[:, 1:-1]).any(axis=1)):
        known = ~np.isnan(profile[row])
        if known.any():
            at = np.arange(profile.shape[1])
            inner = slice(1, profile.shape[1] - 1)
            profile[row, inner] = np.interp(at[inner], at[known], profile[row, known])
    return profile


def served(view: Window, refs: Ints) -> Bools:
    """Return which gaps have a reference day for each day that they touch. [gaps]"""
    has = refs[:, :, 0] >= 0
    every: Bools = np.asarray(has[view.row, view.target[:, 1:-1]].all(axis=1))
    return every


def named(seen: Frame, view: Window, refs: Ints) -> dict[str, object]:
    """Return the reference days of the first gap by target date."""
    targets = sorted(set(view.target[0, 1:-1].tolist()))
    return {
        seen.layout.date(view.days[0, at]).isoformat(): [
            seen.layout.date(day).isoformat() for day in refs[0, at].tolist() if day >= 0
        ]
        for at in targets
    }
