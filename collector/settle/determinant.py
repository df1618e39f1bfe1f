"""Billing determinants of a period, and how far what is missing or estimated could move them (market.md section 2.7).

Rules of this file: exact integers and fractions, one rounding (half-even) at the end; a determinant that a missing or
estimated interval could change is `provisional`, with both bounds; None as upper bound means: nothing bounds it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

import numpy as np

from collector.vee.localtime import offsets
from collector.vee.series import HAS_VALUE, REFERENCE, Bools, Codes, Ints
from shared.quantity import INT64_MAX

HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """One quantity's intervals over a billing period, and the least and most that an uncertain one can be.

    Raises:
        ValueError: lengths differ, or sums would leave 64 bits.
    """

    start: int  # [UTC s]
    length: int  # [s]
    values: Ints  # [mWh, mvarh]
    status: Codes
    timezone: str
    least: int = 0  # [counts per interval]
    most: int | None = None  # [counts per interval], from the rating; None: unbounded

    def __post_init__(self) -> None:
        if len(self.values) != len(self.status) or not len(self.values):
            raise ValueError("values and status: not of one length, or empty")
        largest = max(int(self.values.max()), -int(self.values.min()), abs(self.most or 0), abs(self.least))
        if largest * len(self.values) > INT64_MAX:
            raise ValueError(f"values: {largest} over {len(self.values)} intervals leaves 64 bits; validate them first")


@dataclass(frozen=True, slots=True)
class Determinant:
    """One figure of a period; `at` are the starts of the intervals, blocks or hours that made it. [UTC s]"""

    name: str
    unit: str
    value: int | None
    exact: Fraction | None
    low: int | None
    high: int | None
    provisional: bool
    at: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Bounds:
    """Energy of windows: as known, at least and at most."""

    start: Ints  # [UTC s]
    known: Ints
    whole: Bools  # every interval of it has a value
    some: Bools  # at least one has
    low: Ints
    high: Ints
    bounded: Bools


def determinants(profile: Profile, wanted: Sequence[str], *, reactive: Profile | None = None) -> dict[str, Determinant]:
    """Return the determinants asked for, by name.

    Args:
        profile: Active energy. [mWh]
        wanted: ``energy``, ``max_block:SECONDS`` (blocks of the local clock), ``max_sliding:SECONDS``,
            ``top_hours:COUNT`` (mean of the largest local hours), ``load_factor:SECONDS`` (of the block demand), and
            with `reactive` ``power_factor`` and ``apparent``.
        reactive: Reactive energy over the same intervals. [mvarh]

    Raises:
        ValueError: no such determinant, or one that needs what is not given; the text lists what there is.
    """
    return {name: _one(name, profile, reactive) for name in wanted}


def _one(name: str, profile: Profile, reactive: Profile | None) -> Determinant:
    kind, _, number = name.partition(":")
    if kind in _PLAIN and not number:
        return _PLAIN[kind](name, profile)
    if kind in _NUMBERED and number.isdecimal() and int(number):
        return _NUMBERED[kind](name, profile, int(number))
    if kind in _TWO and not number:
        if reactive is None or len(reactive.values) != len(profile.values):
            raise ValueError(f"{name}: needs reactive energy over the same intervals")
        return _TWO[kind](name, profile, reactive)
    known = [*_PLAIN, *(f"{kind}:NUMBER" for kind in _NUMBERED), *_TWO]
    raise ValueError(f"no determinant {name!r}; known: {', '.join(known)}")


def _blocks(profile: Profile, window: int) -> _Bounds:
    """Return windows aligned to the local clock."""
    starts = profile.start + profile.length * np.arange(len(profile.values), dtype=np.int64)
    shift = offsets(profile.timezone, profile.start, profile.length, len(profile.values))
    blocks = (starts + shift) // window * window - shift
    first = np.flatnonzero(np.diff(blocks, prepend=blocks[0] - 1))
    return _bounds(profile, first, np.append(first[1:], len(blocks)), blocks[first])


def _sliding(profile: Profile, window: int) -> _Bounds:
    """Return a window that begins at each interval."""
    wide = window // profile.length
    first = np.arange(max(len(profile.values) - wide + 1, 0), dtype=np.int64)
    return _bounds(profile, first, first + wide, profile.start + profile.length * first)


def _bounds(profile: Profile, first: Ints, stop: Ints, start: Ints) -> _Bounds:
    has, sure = HAS_VALUE[profile.status], REFERENCE[profile.status]
    most = 0 if profile.most is None else profile.most

    def summed(values: Ints) -> Ints:
        running = np.concatenate([np.zeros(1, dtype=np.int64), values.cumsum(dtype=np.int64)])
        sums: Ints = running[stop] - running[first]
        return sums

    there = summed(has.astype(np.int64))
    return _Bounds(
        start,
        summed(np.where(has, profile.values, 0)),
        there == stop - first,
        there > 0,
        summed(np.where(sure, profile.values, profile.least)),
        summed(np.where(sure, profile.values, most)),
        (summed((~sure).astype(np.int64)) == 0) | (profile.most is not None),
    )


def _figure(
    name: str,
    unit: str,
    figure: Fraction | None,
    bounds: tuple[Fraction | None, Fraction | None],
    at: tuple[int, ...] = (),
) -> Determinant:
    low, high = (None if bound is None else round(bound) for bound in bounds)
    sure = figure is not None and bounds == (figure, figure)
    return Determinant(name, unit, None if figure is None else round(figure), figure, low, high, not sure, at)


def _whole(profile: Profile) -> _Bounds:
    ends = np.array([0], dtype=np.int64), np.array([len(profile.values)], dtype=np.int64)
    return _bounds(profile, *ends, np.array([profile.start], dtype=np.int64))


def _energy(name: str, profile: Profile) -> Determinant:
    return _figure(name, "mWh", *_total(profile))


def _total(profile: Profile) -> tuple[Fraction | None, tuple[Fraction | None, Fraction | None]]:
    """Return the sum of what is known, None if nothing is, and its bounds."""
    seen = _whole(profile)
    figure = Fraction(int(seen.known[0])) if seen.some[0] else None
    return figure, (Fraction(int(seen.low[0])), Fraction(int(seen.high[0])) if seen.bounded[0] else None)


def _max_block(name: str, profile: Profile, window: int) -> Determinant:
    if HOUR % window:
        raise ValueError(f"{name}: {window} s does not divide an hour; blocks of the local clock do")
    return _demand(name, profile, window, _blocks)


def _max_sliding(name: str, profile: Profile, window: int) -> Determinant:
    return _demand(name, profile, window, _sliding)


def _demand(name: str, profile: Profile, window: int, cut: Callable[[Profile, int], _Bounds]) -> Determinant:
    """Return the highest mean power over a window; a window with a gap counts only in the bounds."""
    if window % profile.length:
        raise ValueError(f"{name}: {window} s is no multiple of the interval length {profile.length} s")
    seen = _full(cut(profile, window), profile, window)
    if not len(seen.start):
        return _figure(name, "mW", None, (None, None))
    high = Fraction(int(seen.high.max()) * HOUR, window) if seen.bounded.all() else None
    low = Fraction(int(seen.low.max()) * HOUR, window)
    if not seen.whole.any():
        return _figure(name, "mW", None, (low, high))
    best = int(np.where(seen.whole, seen.known, np.iinfo(np.int64).min).argmax())
    return _figure(name, "mW", Fraction(int(seen.known[best]) * HOUR, window), (low, high), (int(seen.start[best]),))


def _full(seen: _Bounds, profile: Profile, window: int) -> _Bounds:
    """Return the windows that lie wholly in the period."""
    stop = profile.start + profile.length * len(profile.values)
    inside = (seen.start >= profile.start) & (seen.start + window <= stop)
    return _Bounds(
        seen.start[inside],
        seen.known[inside],
        seen.whole[inside],
        seen.some[inside],
        seen.low[inside],
        seen.high[inside],
        seen.bounded[inside],
    )


def _top_hours(name: str, profile: Profile, count: int) -> Determinant:
    """Return the mean of the largest local hours; what is missing is left out of the figure but not of the bounds."""
    seen = _blocks(profile, HOUR)
    order = np.lexsort((seen.start, -seen.known))
    best = order[seen.some[order]][:count]
    figure = Fraction(int(seen.known[best].sum()), len(best)) if len(best) else None
    high = _mean_of_largest(seen.high, count) if seen.bounded.all() else None
    return _figure(
        name, "mWh", figure, (_mean_of_largest(seen.low, count), high), tuple(sorted(seen.start[best].tolist()))
    )


def _mean_of_largest(values: Ints, count: int) -> Fraction:
    largest = np.sort(values)[-count:]
    return Fraction(int(largest.sum()), len(largest))


def _load_factor(name: str, profile: Profile, window: int) -> Determinant:
    """Return energy over what the highest demand would have given throughout. [1e-3]"""
    demand = _max_block(name, profile, window)
    figure, (low, high) = _total(profile)
    span = Fraction(len(profile.values) * profile.length, HOUR) / 1000
    if figure is None or not demand.exact:
        return _figure(name, "1e-3", None, (None, None))
    least = low / (demand.high * span) if low is not None and demand.high else Fraction(0)
    most = min(high / (demand.low * span), Fraction(1000)) if high is not None and demand.low else Fraction(1000)
    exact = figure / (demand.exact * span)
    return _figure(name, "1e-3", exact, (exact, exact) if not demand.provisional and low == high else (least, most))


def _apparent(name: str, profile: Profile, reactive: Profile) -> Determinant:
    """Return the root of the squares of active and reactive energy. [mVAh]"""
    return _of_both(name, "mVAh", profile, reactive, lambda active, other: _nearest_root(active**2 + other**2, 1))


def _power_factor(name: str, profile: Profile, reactive: Profile) -> Determinant:
    """Return active over apparent energy. [1e-3]"""
    return _of_both(
        name, "1e-3", profile, reactive, lambda active, other: _nearest_root((1000 * active) ** 2, active**2 + other**2)
    )


def _of_both(
    name: str, unit: str, profile: Profile, reactive: Profile, rule: Callable[[int, int], int | None]
) -> Determinant:
    """Return a figure of both energies; it is provisional as soon as one of them is, and then without bounds."""
    (active, bounds), (other, other_bounds) = _total(profile), _total(reactive)
    figure = None if active is None or other is None else rule(int(active), int(other))
    sure = bounds == (active, active) and other_bounds == (other, other)
    edge = figure if sure else None
    return Determinant(name, unit, figure, None if figure is None else Fraction(figure), edge, edge, not sure)


def _nearest_root(above: int, below: int) -> int | None:
    """Return the integer nearest to the root of a fraction, None where it has none."""
    return (isqrt(4 * above // below) + 1) // 2 if below else None


_PLAIN: dict[str, Callable[[str, Profile], Determinant]] = {"energy": _energy}
_NUMBERED: dict[str, Callable[[str, Profile, int], Determinant]] = {
    "max_block": _max_block,
    "max_sliding": _max_sliding,
    "top_hours": _top_hours,
    "load_factor": _load_factor,
}
_TWO: dict[str, Callable[[str, Profile, Profile], Determinant]] = {
    "power_factor": _power_factor,
    "apparent": _apparent,
}
