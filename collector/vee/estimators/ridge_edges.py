"""Short gaps: the line between the edges, bent as like days, neighbours and the slopes outside say."""

import numpy as np

from collector.vee.estimators import likeness, regression
from collector.vee.frame import Frame, Window
from collector.vee.series import Bools, Floats, Ints

WINDOWS = 600  # that the weights are fitted on, at most


def told(seen: Frame, view: Window, chosen: Bools) -> tuple[Floats, Floats]:
    """Return the filled gaps, NaN where an end is unknown, and the weights. [gaps x length], [gaps x features]

    Features: how far the like-day mean and each chosen neighbour lie from the line between their own values at the
    edges, and how the slopes just outside would bend the line.
    """
    length, firsts = view.gaps.length, view.gaps.firsts
    profile = likeness.averaged(likeness.like(seen), seen.table)[seen.layout.day, seen.layout.wall]
    rows = [profile, *seen.beside[chosen]]
    starts = _starts(len(seen.y), length)
    rest = _slots(seen.y, starts, length) - _line(seen.y, starts, length)
    days = seen.layout.day[starts]
    weights = regression.fit(rest, _features(seen.y, rows, starts, length), days, view.barred[:, 0, :])
    here = _features(seen.y, rows, firsts, length)
    return _line(seen.y, firsts, length) + np.einsum("glf,gf->gl", here, weights), weights


def _starts(n: int, length: int) -> Ints:
    """Return windows that the weights are fitted on, even over the frame."""
    count = max(n - length - 1, 0)
    return np.arange(1, 1 + count, max(1, -(-count // WINDOWS)), dtype=np.int64)


def _features(y: Floats, rows: list[Floats], starts: Ints, length: int) -> Floats:
    bends = [_slots(row, starts, length) - _line(row, starts, length) for row in rows]
    return np.nan_to_num(np.stack([*bends, *_slopes(y, starts, length)], axis=2))


def _at(row: Floats, slots: Ints) -> Floats:
    """Return values at slots, NaN beyond the frame."""
    inside = (slots >= 0) & (slots < len(row))
    found: Floats = np.where(inside, row[np.clip(slots, 0, len(row) - 1)], np.nan)
    return found


def _slots(row: Floats, starts: Ints, length: int) -> Floats:
    return _at(row, starts[:, None] + np.arange(length))


def _line(row: Floats, starts: Ints, length: int) -> Floats:
    """Return the line between the slots around each window. [windows x length]"""
    before, after = _at(row, starts - 1), _at(row, starts + length)
    part = np.arange(1, length + 1) / (length + 1)
    line: Floats = before[:, None] + (after - before)[:, None] * part
    return line


def _slopes(y: Floats, starts: Ints, length: int) -> list[Floats]:
    """Return how the slopes just outside would bend the line (cubic Hermite basis). [windows x length] each"""
    before, after = _at(y, starts - 1), _at(y, starts + length)
    whole = length + 1
    chord = (after - before) / whole
    rising = before - _at(y, starts - 2) - chord
    falling = _at(y, starts + length + 1) - after - chord
    t = np.arange(1, length + 1) / whole
    return [np.outer(rising, whole * t * (1 - t) ** 2), np.outer(falling, whole * t**2 * (t - 1))]
