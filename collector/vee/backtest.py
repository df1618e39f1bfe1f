"""How well methods would have filled gaps like this one in the channel's own history.

Rules of this file: deterministic, no randomness; the gap to fill is blank in the frame, so nothing of it is read.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from statistics import median

import numpy as np

from collector.vee.frame import Frame, Gaps, Shapes, either_side
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
    usable: Bools  # where the method could fill the gap

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
    inside = first + either_side(stride, len(seen.y) // stride)
    inside = inside[(inside >= 0) & (inside <= last)]
    whole = seen.lacking[inside + length] == seen.lacking[inside]
    return Gaps(np.concatenate([[first], inside[whole][:PLACES]]), length)


def trials(seen: Frame, gaps: Gaps, made: Mapping[str, Shapes], *, scaled: bool) -> dict[str, Trial]:
    """Return errors of each method against what the meter said, at all gaps but the first.

    Args:
        seen: The surroundings.
        gaps: The one to fill, then those of the back-test.
        made: What methods say of them.
        scaled: As if the energy of the gaps were known.
    """
    truth = seen.y[gaps.slots[1:]]
    total = truth.sum(axis=1)
    guess = np.array([shapes.values[1:] for shapes in made.values()])
    usable = np.array([shapes.usable[1:] for shapes in made.values()])
    if seen.series.one_way:
        guess = np.maximum(guess, 0.0)
    whole = guess.sum(axis=2)
    off = np.where(usable, np.abs(whole - total), np.nan)
    if scaled:
        guess = _scaled(guess, whole, total)
    level = seen.level * gaps.length
    wrong = np.abs(guess - truth).sum(axis=2)
    relative = np.where(usable, wrong / level if level > 0.0 else 0.0, np.nan)
    return {name: Trial(relative[row], off[row], usable[row]) for row, name in enumerate(made)}


def _scaled(guess: Floats, whole: Floats, total: Floats) -> Floats:
    """Return guesses scaled or shifted to the energy of their gap. [methods x gaps x length]"""
    factor = np.divide(total, whole, out=np.zeros_like(whole), where=whole != 0.0)
    fits = (factor >= 1 / SANE) & (factor <= SANE) & (guess >= 0.0).all(axis=2)
    shift = (total - whole) / guess.shape[2]
    scaled: Floats = np.where(fits[:, :, None], guess * factor[:, :, None], guess + shift[:, :, None])
    return scaled
