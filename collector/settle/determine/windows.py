"""Windows over a profile: their energy as known, at least and at most."""

from dataclasses import dataclass, fields
from fractions import Fraction

import numpy as np

from collector.settle.determine.profile import Bound, Profile
from collector.vee.localtime import offsets
from collector.vee.series import HAS_VALUE, REFERENCE, Bools, Ints


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Energy of windows, each whole inside the period and inside what is meant."""

    start: Ints  # [UTC s]
    known: Ints
    whole: Bools  # every interval of it has a value
    some: Bools  # at least one has
    low: Ints
    high: Ints
    bounded: Bools

    def of(self, which: Bools) -> "Windows":
        """Return some of the windows."""
        return Windows(*(getattr(self, one.name)[which] for one in fields(self)))


def blocks(profile: Profile, window: int) -> Windows:
    """Return windows aligned to the local clock; those that the period cuts are kept. [s]"""
    starts = profile.start + profile.length * np.arange(len(profile.values), dtype=np.int64)
    shift = offsets(profile.timezone, profile.start, profile.length, len(profile.values))
    begins = (starts + shift) // window * window - shift
    first = np.flatnonzero(np.diff(begins, prepend=begins[0] - 1))
    return _bounds(profile, first, np.append(first[1:], len(begins)), begins[first])


def sliding(profile: Profile, window: int) -> Windows:
    """Return a window that begins at each interval. [s]"""
    wide = window // profile.length
    first = np.arange(max(len(profile.values) - wide + 1, 0), dtype=np.int64)
    return _bounds(profile, first, first + wide, profile.start + profile.length * first)


def full(seen: Windows, profile: Profile, window: int) -> Windows:
    """Return the windows that lie wholly in the period. [s]"""
    return seen.of((seen.start >= profile.start) & (seen.start + window <= profile.stop))


def total(profile: Profile) -> tuple[Bound, tuple[Bound, Bound]]:
    """Return the sum of what is known, None if nothing is, and its bounds; where no interval is meant it is zero."""
    if not profile.counted.any():
        return Fraction(0), (Fraction(0), Fraction(0))
    ends = np.array([0], dtype=np.int64), np.array([len(profile.values)], dtype=np.int64)
    seen = _summed(profile, *ends, np.array([profile.start], dtype=np.int64))
    exact = Fraction(int(seen.known[0])) if seen.some[0] else None
    return exact, (Fraction(int(seen.low[0])), Fraction(int(seen.high[0])) if seen.bounded[0] else None)


def _bounds(profile: Profile, first: Ints, stop: Ints, start: Ints) -> Windows:
    """Return the windows all of whose intervals are meant."""
    meant = np.concatenate([[0], profile.counted.cumsum(dtype=np.int64)])
    return _summed(profile, first, stop, start).of(meant[stop] - meant[first] == stop - first)


def _summed(profile: Profile, first: Ints, stop: Ints, start: Ints) -> Windows:
    meant = profile.counted
    has, sure = HAS_VALUE[profile.status] & meant, REFERENCE[profile.status] & meant
    doubtful = meant & ~sure
    most = 0 if profile.most is None else profile.most

    def summed(values: Ints) -> Ints:
        running = np.concatenate([np.zeros(1, dtype=np.int64), values.cumsum(dtype=np.int64)])
        sums: Ints = running[stop] - running[first]
        return sums

    counted = summed(meant.astype(np.int64))
    there = summed(has.astype(np.int64))
    return Windows(
        start,
        summed(np.where(has, profile.values, 0)),
        there == counted,
        there > 0,
        summed(np.where(sure, profile.values, np.where(doubtful, profile.least, 0))),
        summed(np.where(sure, profile.values, np.where(doubtful, most, 0))),
        (summed(doubtful.astype(np.int64)) == 0) | (profile.most is not None),
    )
