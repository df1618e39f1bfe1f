"""Point-to-point interpolation between the intervals at both sides of a gap (California rule book 4.1)."""

import numpy as np

from collector.vee.frame import Frame, Shapes, Window
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Floats


def ends(seen: Frame, view: Window) -> tuple[Floats, Floats]:
    """Return the values just before and after each gap, NaN where missing, estimated, suspect or an outage."""
    before, after = view.gaps.firsts - 1, view.gaps.firsts + view.gaps.length
    last = len(seen.y) - 1
    left = np.where(before >= 0, seen.y[np.maximum(before, 0)], np.nan)
    right = np.where(after <= last, seen.y[np.minimum(after, last)], np.nan)
    return left, right


def named(left: Floats, right: Floats) -> dict[str, object]:
    """Return the ends of the first gap as integers, None where unusable."""
    return {name: None if np.isnan(end[0]) else int(end[0]) for name, end in (("left", left), ("right", right))}


@ESTIMATORS.add("linear")
def linear(seen: Frame, view: Window) -> Shapes:
    """Return the line between both ends; an interval with a power failure is no end (California 4.1)."""
    left, right = ends(seen, view)
    part = np.arange(1, view.gaps.length + 1) / (view.gaps.length + 1)
    line = left[:, None] + (right - left)[:, None] * part
    why = "".join(
        f"the {side} end cannot be used; " for side, end in (("left", left), ("right", right)) if np.isnan(end[0])
    )
    return Shapes(line, ~np.isnan(left + right), why.removesuffix("; "), {"ends": named(left, right)})


def flat(seen: Frame, view: Window) -> Shapes:
    """Return the one usable end for the whole gap: the flat load of a line with one side (Oracle SGG)."""
    left, right = ends(seen, view)
    level = np.where(np.isnan(left), right, left)
    line = np.repeat(level[:, None], view.gaps.length, axis=1)
    why = "neither end can be used" if np.isnan(level[0]) else ""
    return Shapes(line, ~np.isnan(level), why, {"ends": named(left, right)})
