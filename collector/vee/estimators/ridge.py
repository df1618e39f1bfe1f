"""What other meters of the site, like days and the edges say of a gap, weighed by regression (accuracy.md: ridge_nb).

Short gaps start from the line between their edges, long ones from the mean of like days on both sides; what is added
shrinks to nothing where the channel's own history does not bear it out.
"""

import numpy as np

from collector.vee.estimators import ridge_days, ridge_edges
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Bools

SHORT = 14_400  # [s] up to here the edges say more than like days
KNOWN = 0.9  # part of the gap that a neighbour must have seen


@ESTIMATORS.add("ridge")
def ridge(seen: Frame, view: Window) -> Shapes:
    """Return a line or like days, plus what neighbours in the same slots and the surroundings of the gap explain."""
    chosen = _witnesses(seen, view)
    short = view.gaps.length * seen.series.length <= SHORT
    filled, weights = (ridge_edges if short else ridge_days).told(seen, view, chosen)
    usable = ~np.isnan(filled).any(axis=1)
    lacking = "an end cannot be used" if short else "no like day, nine tenths known, lies within 35 days"
    names = [seen.names[row] for row in np.flatnonzero(chosen)]
    said = [format(weight, ".9g") for weight in weights[0].tolist()]
    return Shapes(filled, usable, "" if usable[0] else lacking, {"neighbours": names, "weights": said})


def _witnesses(seen: Frame, view: Window) -> Bools:
    """Return the neighbours that have seen the gap itself."""
    first, length = int(view.gaps.firsts[0]), view.gaps.length
    known: Bools = (~np.isnan(seen.beside[:, first : first + length])).mean(axis=1) >= KNOWN
    return known
