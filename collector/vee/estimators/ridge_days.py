"""Long gaps: like days at both sides, plus what neighbours deviate from theirs and the days around from their own."""

import numpy as np

from collector.vee.estimators import likeness, regression, sym_bridge
from collector.vee.frame import Frame, Window, by_day
from collector.vee.profile import bridged_holes, candidates, mean, nearest
from collector.vee.series import DAY, Bools, Floats


def told(seen: Frame, view: Window, chosen: Bools) -> tuple[Floats, Floats]:
    """Return the filled gaps, NaN where no like day serves, and the weights. [gaps x length], [gaps x features]

    Features: each chosen neighbour's deviation in the slot; the channel's own, as many days before and after as the
    gap is long, in the slot and over the day; and what longer means say beside the like days.
    """
    refs = nearest(sym_bridge.cost(seen, view), sym_bridge.DAYS)
    profile = bridged_holes(mean(candidates(seen, view, refs)))
    weights_of_days = likeness.like(seen)
    rest = seen.table - likeness.averaged(weights_of_days, seen.table)
    tables = [by_day(one, seen.layout) for one in seen.beside[chosen]]
    beside = [table - likeness.averaged(weights_of_days, table) for table in tables]
    own = [*_around(rest, _apart(seen, view)), *_longer(seen, weights_of_days)]
    features = np.stack([*beside, *own])
    weights = regression.fit(rest, features, np.arange(len(rest)), view.barred[:, 0, :])
    memory = _memory(rest - regression.said(features, np.repeat(weights[:1], len(rest), axis=0)))
    day, wall = seen.layout.day[view.slots], seen.layout.wall[view.slots]
    there = [one[view.slots] - mean(candidates(seen, view, refs, table))
             for one, table in zip(seen.beside[chosen], tables, strict=True)]  # fmt: skip
    here = np.stack([*there, *(table[day, wall] for table in own)])
    shape = profile + regression.said(here, weights)
    left, right = sym_bridge.deviation(seen, view, shape)
    return shape[:, 1:-1] + sym_bridge.bridge(left, right, view.gaps.length, memory), weights


def _apart(seen: Frame, view: Window) -> int:
    """Return how many days a gap is long, begun ones counted."""
    return -(-view.gaps.length * seen.series.length // DAY)


def _around(rest: Floats, apart: int) -> list[Floats]:
    """Return the deviations so many days before and after, in the same slot and of the whole day."""
    before, after = np.full_like(rest, np.nan), np.full_like(rest, np.nan)
    before[apart:], after[:-apart] = rest[:-apart], rest[apart:]
    return [before, after, _daily(before), _daily(after)]


def _daily(table: Floats) -> Floats:
    known = ~np.isnan(table)
    count = known.sum(axis=1, keepdims=True)
    total = np.where(known, table, 0.0).sum(axis=1, keepdims=True)
    level = np.divide(total, count, out=np.zeros(count.shape), where=count > 0)
    whole: Floats = np.repeat(level, table.shape[1], axis=1)
    return whole


def _longer(seen: Frame, weights_of_days: Floats) -> list[Floats]:
    base = likeness.averaged(weights_of_days, seen.table)
    return [likeness.averaged(weights, seen.table) - base for weights in likeness.longer(seen)]


def _memory(left: Floats) -> float:
    """Return the lag-one correlation of what the weights leave unexplained, 0 to 1."""
    row = left.ravel()
    pairs = ~np.isnan(row[1:]) & ~np.isnan(row[:-1])
    power = float((row[:-1][pairs] ** 2).sum())
    if power <= 0.0:
        return 0.0
    return min(max(float((row[1:][pairs] * row[:-1][pairs]).sum()) / power, 0.0), 0.9999)
