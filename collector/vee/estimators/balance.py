"""The other flows of a node, where they close it: the feed that lacks is what they leave (AEMO type 12).

Which meters close the node, and with which signs and gains, is told by the regression over the time that all of them
were known; the balance serves only if it left almost nothing then.
"""

import numpy as np

from collector.vee.estimators import regression
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Bools, Floats, Series

CLOSES = 0.01  # mean error of the balance while all was known, of the channel's mean, at most
OVERLAP = 20  # intervals that all must have been known, for each meter
PENALTY = 1e-9  # only keeps meters that say the same apart


def _has_neighbours(series: Series) -> bool:
    return bool(series.neighbours)


@ESTIMATORS.add("balance", fits=_has_neighbours)
def balance(seen: Frame, view: Window) -> Shapes:
    """Return what the neighbours leave of the node, calibrated on the overlap; a constant loss is part of it."""
    first, length = int(view.gaps.firsts[0]), view.gaps.length
    chosen = ~np.isnan(seen.beside[:, first : first + length]).any(axis=1)
    flows = np.stack([*seen.beside[chosen], np.full(len(seen.y), max(seen.level, 1.0))], axis=1)
    all_known = ~np.isnan(flows).any(axis=1)
    overlap = all_known & ~np.isnan(seen.y)
    weights = _fitted(seen, view, flows, overlap)
    error = _error(seen, flows, overlap, weights[0])
    values = regression.said(flows.T[:, view.gaps.slots], weights)
    enough = bool(chosen.any()) and int(overlap.sum()) >= OVERLAP * flows.shape[1] and error <= CLOSES
    usable = all_known[view.gaps.slots].all(axis=1) & enough
    why = "" if usable[0] else "the neighbours do not close a node with this channel"
    names = [seen.names[row] for row in np.flatnonzero(chosen)]
    said = [format(weight, ".9g") for weight in weights[0].tolist()]
    inputs = {"neighbours": names, "weights": said, "overlap": int(overlap.sum()), "error": format(error, ".4g")}
    return Shapes(values, usable, why, inputs)


def _fitted(seen: Frame, view: Window, flows: Floats, overlap: Bools) -> Floats:
    rest = np.where(overlap, seen.y, np.nan)[:, None]
    return regression.fit(rest, flows.T[:, :, None], seen.layout.day, view.barred[:, 0, :], (PENALTY,))


def _error(seen: Frame, flows: Floats, overlap: Bools, weights: Floats) -> float:
    """Return the mean error over the overlap, of the channel's mean value."""
    if not overlap.any() or seen.level <= 0.0:
        return np.inf
    left = seen.y[overlap] - flows[overlap] @ weights
    return float(np.abs(left).mean()) / seen.level
