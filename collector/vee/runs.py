"""Runs of slots, and how a finding names a time."""

from datetime import UTC, datetime

import numpy as np

from collector.vee.series import Bools, Series


def runs(mask: Bools) -> list[tuple[int, int]]:
    """Return the half-open spans in which a mask holds.

    >>> runs(np.array([True, True, False, True]))
    [(0, 2), (3, 4)]
    """
    if not mask.any():
        return []
    edges = np.flatnonzero(np.diff(mask, prepend=False, append=False))
    return [(int(first), int(stop)) for first, stop in edges.reshape(-1, 2)]


def when(series: Series, slot: int) -> str:
    """Return the start of a slot as RFC 3339 text."""
    return datetime.fromtimestamp(series.start + slot * series.length, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def many(count: int) -> str:
    """Return a count of intervals in words.

    >>> many(1)
    '1 interval'
    """
    return f"{count} interval{'' if count == 1 else 's'}"
