"""Import and export netted interval by interval, before anything is added up (Elering)."""

import numpy as np

from collector.vee.series import Ints


def net(into: Ints, out: Ints) -> tuple[Ints, Ints]:
    """Return net import and net export of each interval; one of both is zero. [counts]

    >>> net(np.array([15, 10]), np.array([10, 15]))
    (array([5, 0]), array([0, 5]))
    """
    difference = into - out
    return np.maximum(difference, 0), np.maximum(-difference, 0)
