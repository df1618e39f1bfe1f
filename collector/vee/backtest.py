"""How well methods would have filled gaps like this one in the channel's own history.

Rules of this file: deterministic, no randomness; the gap to fill is blank in the frame, so nothing of it is read.
"""

from dataclasses import dataclass
from math import ceil
from statistics import median

import numpy as np

from collector.vee.frame import Frame, Gaps, Shapes
from collector.vee.reconcile import SANE
from collector.vee.series import DAY, Bools, Floats

PLACES = 24  # back-test gaps at most, nearest first
LIKELY = 0.9  # quantile of energy errors ...
CAUTION = 1.1  # ... and the factor with which it covers 90 % of held-out gaps (tests/bench/accuracy)
ENOUGH = 10  # back-tests below which no range is given


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """Errors of one method at each back-test gap, NaN where it could not fill it."""

    shape: Floats  # sum of absolute errors over the gap / mean energy of as many intervals [1]
    energy: Floats  # absolute error of the gap's energy [counts]

    @property
    def usable(self) -> Bools:
        """Return where the method could fill the gap."""
        return ~np.isnan(self.shape)

    def median(self, among: Bools) -> float | None:
        """Return the median relative error at some of the gaps where the method could fill it."""
        errors = self.shape[among & self.usable].tolist()
        return median(errors) if errors else None

    def margin(self) -> int | None:
        """Return the half width of the 90 % range of a gap's energy, None on too few back-tests. [counts]"""
        errors = sorted(self.energy[self.usable].tolist())
        if len(errors) < ENOUGH:
            return None
        at = min(ceil(LIKELY * (len(errors) + 1)), len(errors)) - 1
        return ceil(CAUTION * float(errors[at]))


def places(seen: Frame, first: int, length: int) -> Gaps:
    """Return the gap itself, then gaps of its length at the same time of other days, fully known, nearest first."""
    stride = DAY // seen.series.length
    last = len(seen.y) - length
    steps = np.arange(1, len(seen.y) // stride + 1)
    shifts = stride * np.stack([-steps, steps], axis=1).ravel()
    inside = first + shifts
    inside = inside[(inside >= 0) & (inside <= last)]
    lacking = np.concatenate([[0], np.isnan(seen.y).cumsum()])
    whole = lacking[inside + length] == lacking[inside]
    return Gaps(np.concatenate([[first], inside[whole][:PLACES]]), length)


def trial(seen: Frame, gaps: Gaps, shapes: Shapes, *, scaled: bool) -> Trial:
    """Return errors against what the meter said, at all gaps but the first; `scaled` as if their energy were known."""
    truth = seen.y[gaps.slots[1:]]
    guess = np.maximum(shapes.values[1:], 0.0) if seen.series.one_way else shapes.values[1:]
    usable = shapes.usable[1:]
    off = np.where(usable, np.abs(guess.sum(axis=1) - truth.sum(axis=1)), np.nan)
    if scaled:
        guess = _scaled(guess, truth.sum(axis=1))
    level = seen.level * gaps.length
    wrong = np.abs(guess - truth).sum(axis=1)
    relative = wrong / level if level > 0.0 else np.zeros(len(wrong))
    return Trial(np.where(usable, relative, np.nan), off)


def _scaled(guess: Floats, total: Floats) -> Floats:
    whole = guess.sum(axis=1)
    factor = np.divide(total, whole, out=np.zeros_like(total), where=whole != 0.0)
    fits = (factor >= 1 / SANE) & (factor <= SANE) & (guess >= 0.0).all(axis=1)
    shift = (total - whole) / guess.shape[1]
    scaled: Floats = np.where(fits[:, None], guess * factor[:, None], guess + shift[:, None])
    return scaled
