"""B5: intervals that stand twice or overlap, before they become a series (in a Series each slot stands once)."""

from datetime import UTC, datetime

import numpy as np

from collector.vee.series import Finding, Ints


def duplicate(starts: Ints, length: int) -> list[Finding]:
    """Object to each interval that begins before an earlier one ends; of equal starts the later arrival is the double.

    Args:
        starts: Interval starts in order of arrival; findings name positions in it. [UTC s]
        length: Length of each interval. [s]
    """
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    clashes = np.flatnonzero(np.diff(ordered) < length) + 1
    found = [_finding(int(order[at]), int(ordered[at]), int(ordered[at - 1]), length) for at in clashes]
    return sorted(found, key=lambda finding: finding.first)


def _finding(position: int, start: int, earlier: int, length: int) -> Finding:
    stamp = datetime.fromtimestamp(start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    what = "stands twice" if start == earlier else f"begins {earlier + length - start} s before the one before it ends"
    return Finding("B5", "E", position, position + 1, start, earlier + length, f"The interval at {stamp} {what}.")
