"""Short gaps: the line between the edges, bent as like days, neighbours and the slopes outside say."""

from functools import lru_cache

import numpy as np

from collector.vee.estimators import likeness, regression
from collector.vee.frame import Frame, Gaps, Window
from collector.vee.series import Bools, Floats, Ints

WINDOWS = 600  # that the weights are fitted on, at most


def told(seen: Frame, view: Window, chosen: Bools) -> tuple[Floats, Floats]:
    """Return the filled gaps, NaN where an end is unknown, and the weights. [gaps x length], [gaps x features]

    Features: how far the like-day mean and each chosen neighbour lie from the line between their own values at the
    edges, and how the slopes just outside would bend the line.
    """
    length, first = view.gaps.length, _first(len(seen.y), view.gaps.length)
    profile = likeness.averaged(likeness.like(seen), seen.table).take(seen.layout.cell)
    slots = _slots(np.array([seen.y, profile, *seen.beside[chosen]]), first, view.gaps)
    line, bends = _bent(slots, length)
    fitted, here = slice(None, len(first)), slice(len(first), None)
    weights = regression.fit(bends[0, fitted], bends[1:, fitted], seen.layout.day[first], view.barred[:, 0, :])
    return line[here] + regression.said(bends[1:, here], weights), weights


def _first(n: int, length: int) -> Ints:
    """Return the first slots of the windows that the weights are fitted on, even over the frame."""
    count = max(n - length - 1, 0)
    return np.arange(1, 1 + count, max(1, -(-count // WINDOWS)), dtype=np.int64)


def _slots(rows: Floats, first: Ints, gaps: Gaps) -> Floats:
    """Return windows, then gaps, with two slots at either side, NaN beyond the frame. [rows x windows x length + 4]"""
    wide = gaps.length + 4
    beyond = np.full((len(rows), rows.shape[1] + 4), np.nan)
    beyond[:, 2:-2] = rows
    found = np.empty((len(rows), len(first) + len(gaps.firsts), wide))
    found[:, : len(first)] = _every(beyond, first, wide)
    found[:, len(first) :] = beyond[:, gaps.firsts[:, None] + np.arange(wide)]
    return found


def _every(rows: Floats, first: Ints, wide: int) -> Floats:
    """Return windows of rows as a view: their first slots are even. [rows x windows x wide]"""
    step = int(first[1] - first[0]) if len(first) > 1 else 1
    begin = int(first[0]) if len(first) else 0
    across, along = rows.strides
    return np.ndarray((len(rows), len(first), wide), np.float64, rows, begin * along, (across, step * along, along))


def _bent(slots: Floats, length: int) -> tuple[Floats, Floats]:
    """Return the first row's line between the edges of windows, and how far rows lie from theirs, then the slopes.

    The slopes say how the first row just outside would bend its line. [windows x length], [rows + 2 x windows x
    length]; NaN where unknown.
    """
    before, after = slots[:, :, 1:2], slots[:, :, -2:-1]
    bends = np.empty((len(slots) + 2, slots.shape[1], length))
    lines = bends[:-2]
    part, rising, falling = _basis(length)
    np.multiply(after - before, part, out=lines)
    lines += before
    line = lines[0].copy()
    np.subtract(slots[:, :, 2:-2], lines, out=lines)
    chord = (after[0] - before[0]) / (length + 1)
    np.multiply(before[0] - slots[0, :, :1] - chord, rising, out=bends[-2])
    np.multiply(slots[0, :, -1:] - after[0] - chord, falling, out=bends[-1])
    return line, bends


@lru_cache(maxsize=64)
def _basis(length: int) -> tuple[Floats, Floats, Floats]:
    """Return the line from 0 to 1 over a window, and how slopes before and after bend it (cubic Hermite basis)."""
    whole = length + 1
    t = np.arange(1, length + 1) / whole
    return t, whole * t * (1 - t) ** 2, whole * t**2 * (t - 1)
