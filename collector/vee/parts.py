"""What is known of a gap that holds a seam: the energy up to the last read and from the first one on. Pure.

A meter that is exchanged at 12:04 and 12:11 leaves seven minutes that nobody saw, not fifteen. Rules of this file: what
a register saw is kept to the last count; only the time between the two reads of the seam is estimated, by a line
between the mean power before and after it where it is short, else in the shape that the channel's history gives.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.series.registers import Registers
from collector.series.seams import Seam
from collector.vee.series import Ints

US = 1_000_000
#: Up to here a line between the powers on either side is the method of first choice (California 4.1). [s]
SHORT = 7_200
#: Less than this of metering tells no power. [s]
LEAST = 30


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """A gap of n intervals with one seam in it."""

    known: Ints  # n, energy that registers saw [counts]
    unseen: Ints  # n, time that nobody saw [us]
    line: Ints | None  # n, energy of that time by a line; None where it is long or nothing tells a power [counts]
    seam: Seam


def parts(seen: Registers, seams: Sequence[Seam], start: int, stop: int) -> Parts | None:
    """Return what is known inside the gap [start, stop), None where no single seam explains it.

    Args:
        seen: The channel's register; both ends of the gap are known.
        seams: Of the channel.
        start: First interval of the gap.
        stop: The one after its last.
    """
    edges = (seen.start + np.arange(start, stop + 1, dtype=np.int64) * seen.length) * US
    inside = [one for one in seams if edges[0] <= one.last_at < one.first_at <= edges[-1]]
    if len(inside) != 1:
        return None
    seam = inside[0]
    before, after = seam.last - int(seen.registers[start]), int(seen.registers[stop]) - seam.first
    if before < 0 or after < 0:
        return None
    known = _spread(before, edges, int(edges[0]), seam.last_at) + _spread(after, edges, seam.first_at, int(edges[-1]))
    unseen = _overlap(edges, seam.last_at, seam.first_at)
    return Parts(known, unseen, _line(edges, seam, before, after), seam)


def _overlap(edges: Ints, begin: int, end: int) -> Ints:
    """Return how much of each interval lies in [begin, end). [us]"""
    lasting: Ints = np.clip(np.minimum(edges[1:], end) - np.maximum(edges[:-1], begin), 0, None)
    return lasting


def _spread(energy: int, edges: Ints, begin: int, end: int) -> Ints:
    """Return an energy over the intervals that its time lies in, even in time, exact in sum."""
    shares = _overlap(edges, begin, end)
    return _exact(energy, shares) if shares.any() else _exact(energy, np.eye(1, len(shares), dtype=np.int64)[0])


def _exact(energy: int, shares: Ints) -> Ints:
    """Return whole counts in proportion to shares; the sum is the energy."""
    whole = int(shares.sum())
    ends = [energy * int(part) // whole for part in np.cumsum(shares).tolist()]
    parted: Ints = np.array(ends, dtype=np.int64)
    parted[1:] -= parted[:-1].copy()
    return parted


def _line(edges: Ints, seam: Seam, before: int, after: int) -> Ints | None:
    gap = seam.first_at - seam.last_at
    sides = ((before, seam.last_at - int(edges[0])), (after, int(edges[-1]) - seam.first_at))
    told = [(energy, time) for energy, time in sides if time >= LEAST * US]
    if gap > SHORT * US or not told:
        return None
    energy = sum(energy * gap // time for energy, time in told) // len(told)
    return _exact(energy, _overlap(edges, seam.last_at, seam.first_at))
