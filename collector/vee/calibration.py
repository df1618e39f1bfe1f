"""A register's total set right by a person's reading of the display; the energy of intervals is not touched. Pure."""

from fractions import Fraction

import numpy as np

from collector.vee.inputs import Bools, Ints


def offset(levels: Ints, known: Bools, start: int, length: int, at: int, read: int) -> int:
    """Return what is to be added to every total so that it agrees with a reading. [counts]

    Args:
        levels: The register at the boundaries. [counts]
        known: Where it is known.
        start: Of the first interval. [UTC s]
        length: Of an interval. [s]
        at: When the display was read. [UTC s]
        read: What it showed. [counts]

    Raises:
        ValueError: no boundaries are known on both sides of the reading.

    >>> levels = np.array([200, 300, 400])
    >>> offset(levels, np.ones(3, np.bool_), 0, 3600, 1800, 1250)
    1000
    """
    times = start + length * np.arange(len(levels))
    before, after = np.flatnonzero(known & (times <= at)), np.flatnonzero(known & (times >= at))
    if not (len(before) and len(after)):
        raise ValueError("a reading needs a known register before it and one after it")
    left, right = int(before[-1]), int(after[0])
    low, high = int(levels[left]), int(levels[right])
    if left == right:
        return read - low
    passed = Fraction(at - int(times[left]), int(times[right] - times[left]))
    return round(read - low - passed * (high - low))
