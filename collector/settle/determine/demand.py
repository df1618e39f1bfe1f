"""Demand: mean power over windows, its steps, and at the system's peaks."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np

from collector.settle.determine.profile import HOUR, Beside, Bound, Determinant, Profile, figure
from collector.settle.determine.windows import Windows, blocks, full, sliding


def max_block(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:  # noqa: ARG001 - the form
    """Return the highest mean power over a block of the local clock. [mW]"""
    if HOUR % window:
        raise ValueError(f"{name}: {window} s does not divide an hour; blocks of the local clock do")
    return _highest(name, profile, window, blocks)


def max_sliding(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:  # noqa: ARG001 - the form
    """Return the highest mean power over a window that begins at any interval. [mW]"""
    return _highest(name, profile, window, sliding)


def _highest(name: str, profile: Profile, window: int, cut: Callable[[Profile, int], Windows]) -> Determinant:
    """Return the highest mean power over a window; a window with a gap counts only in the bounds."""
    _fits(name, profile, window)
    seen = full(cut(profile, window), profile, window)
    if not len(seen.start):
        return figure(name, "mW", None, (None, None))
    high = Fraction(int(seen.high.max()) * HOUR, window) if seen.bounded.all() else None
    low = Fraction(int(seen.low.max()) * HOUR, window)
    if not seen.whole.any():
        return figure(name, "mW", None, (low, high))
    best = int(np.where(seen.whole, seen.known, np.iinfo(np.int64).min).argmax())
    return figure(name, "mW", Fraction(int(seen.known[best]) * HOUR, window), (low, high), (int(seen.start[best]),))


def _fits(name: str, profile: Profile, window: int) -> None:
    if window % profile.length:
        raise ValueError(f"{name}: {window} s is no multiple of the interval length {profile.length} s")


def coincident(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:
    """Return the mean power over the system's peak intervals, which become known later. [mW]

    A peak outside the period is no part of it; one inside that is not known makes the figure provisional.
    """
    if beside.peaks is None:
        raise ValueError(f"{name}: needs the list of the system's peaks")
    _fits(name, profile, window)
    within = sorted({at for at in beside.peaks if profile.start <= at <= profile.stop - window})
    seen = sliding(profile, window)
    if not within or not np.isin(within, seen.start).all():
        return figure(name, "mW", None, (None, None))
    at = seen.of(np.isin(seen.start, within))

    def mean(energy: int) -> Fraction:
        return Fraction(energy * HOUR, window * len(within))

    exact = mean(int(at.known.sum())) if at.whole.all() else None
    high = mean(int(at.high.sum())) if at.bounded.all() else None
    return figure(name, "mW", exact, (mean(int(at.low.sum())), high), tuple(within))


def ramp(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:  # noqa: ARG001 - the form
    """Return the largest step of mean power from one window to the next, up or down. [mW]

    It is as fine as the intervals; no dynamics inside them is claimed.
    """
    _fits(name, profile, window)
    seen = full(blocks(profile, window), profile, window)
    next_to = np.diff(seen.start) == window
    whole = seen.whole[1:] & seen.whole[:-1] & next_to
    if not next_to.any():
        return figure(name, "mW", None, (None, None))
    least = np.maximum(np.maximum(seen.low[1:] - seen.high[:-1], seen.low[:-1] - seen.high[1:]), 0)
    most = np.maximum(seen.high[1:] - seen.low[:-1], seen.high[:-1] - seen.low[1:])
    low = Fraction(int(least[next_to & seen.bounded[1:] & seen.bounded[:-1]].max(initial=0)) * HOUR, window)
    high: Bound = Fraction(int(most[next_to].max()) * HOUR, window) if seen.bounded.all() else None
    if not whole.any():
        return figure(name, "mW", None, (low, high))
    steps = np.where(whole, np.abs(np.diff(seen.known)), -1)
    best = int(steps.argmax())
    return figure(name, "mW", Fraction(int(steps[best]) * HOUR, window), (low, high), (int(seen.start[best + 1]),))
