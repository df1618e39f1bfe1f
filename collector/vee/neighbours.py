"""The values around a slot: the last one that is known, and the windows that a filter looks at."""

import numpy as np

from collector.vee.inputs import Bools, Ints
from collector.vee.marks import single

#: Compare-exchanges that leave the middle one of seven in the middle (Paeth, Graphics Gems 1990).
_MIDDLE = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip
#: Those of which nobody asks any more what was lower, or what was higher.
_NO_LOWER, _NO_HIGHER = {(0, 1), (2, 3), (1, 3)}, {(3, 6), (4, 5), (3, 4)}


def last(values: Ints, known: Bools) -> tuple[Ints, Bools]:
    """Return at each known slot the last known value before it, and whether there is one."""
    before, there = np.zeros_like(values), np.zeros(known.shape, dtype=np.bool_)
    before[:, 1:], there[:, 1:] = np.where(known[:, :-1], values[:, :-1], 0), known[:, :-1]
    alone = single(known & ~there)  # the first, and those after a gap
    n = values.shape[1]
    standing = np.flatnonzero(known)
    place = np.searchsorted(standing, alone.row * n + alone.first) - 1
    earlier = standing[np.maximum(place, 0)] if len(standing) else place
    same = (place >= 0) & (earlier // n == alone.row)
    row, slot = alone.row[same], alone.first[same]
    before[row, slot], there[row, slot] = values.reshape(-1)[earlier[same]], True
    return before, there


def sevens(values: Ints) -> list[Ints]:
    """Return the seven columns of each window of seven. [rows x n - 6, seven times]"""
    return [values[:, at : values.shape[1] - 6 + at] for at in range(7)]


def middle(columns: list[Ints]) -> Ints:
    """Return the median of seven columns, element by element.

    >>> int(middle([np.array([number]) for number in (9, 1, 8, 2, 7, 3, 5)])[0])
    5
    """
    sorted_ = list(columns)
    for low, high in _MIDDLE:
        one, other = sorted_[low], sorted_[high]
        if (low, high) not in _NO_LOWER:
            sorted_[low] = np.minimum(one, other)
        if (low, high) not in _NO_HIGHER:
            sorted_[high] = np.maximum(one, other)
    return sorted_[3]
