"""The values around a slot: the last one that is known, and the windows that a filter looks at."""

import numpy as np

from collector.vee.inputs import Bools, Ints

#: Compare-exchanges that leave the middle one of seven in the middle (Paeth, Graphics Gems 1990).
_MIDDLE = (
    (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6), (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
)  # fmt: skip


def last(values: Ints, known: Bools) -> tuple[Ints, Bools]:
    """Return at each slot the last known value before it, and whether there is one."""
    n = values.shape[1]
    index = np.maximum.accumulate(np.where(known, np.arange(n), -1), axis=1)
    before = np.full(values.shape, -1, dtype=np.int64)
    before[:, 1:] = index[:, :-1]
    there: Bools = before >= 0
    if there[:, 1:].all() and known.all():
        found = np.zeros_like(values)
        found[:, 1:] = values[:, :-1]
        return found, there
    return np.where(there, np.take_along_axis(values, np.maximum(before, 0), axis=1), 0), there


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
        sorted_[low], sorted_[high] = np.minimum(one, other), np.maximum(one, other)
    return sorted_[3]
