"""From a shape to integers that add up to known energy, to the last unit.

Rules of this file: where a total is known the integers add up to it exactly; on a one-way channel none is negative; the
remainder is carried from interval to interval, never dropped (vee.md section 7, accuracy.md "+R").
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from collector.vee.series import REFERENCE, Floats, Ints, NotEstimable, Series

SANE = 3.0  # a shape is stretched by at most this factor, or shrunk to a third; beyond it is shifted


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the gap between known registers: slots from the gap's start, energy where known."""

    first: int
    stop: int
    energy: int | None  # [counts]


@dataclass(frozen=True, slots=True)
class Constraint:
    """What is known of a gap's energy: by parts, and together for the parts of which nothing is known."""

    parts: tuple[Part, ...]
    rest: int | None  # energy of all parts of unknown energy together [counts]
    total: int | None  # energy of the whole gap, if it is known [counts]


def constraint(series: Series, first: int, stop: int, total: int | None) -> Constraint:
    """Return what registers and a given total say of the energy in [first, stop).

    Raises:
        ValueError: the total contradicts the registers, or energy would be negative on a one-way channel.
    """
    parts = _parts(series, first, stop)
    energies = [part.energy for part in parts if part.energy is not None]
    known, free = sum(energies), len(energies) < len(parts)
    if total is None:
        total = _surrounding(series, first, stop)
    if total is None:
        return Constraint(parts, None, None if free else known)
    rest = total - known
    if not free and rest:
        raise ValueError(f"total: {total} given, but the registers advance by {total - rest} over [{first}, {stop})")
    if free and rest < 0 and series.one_way:
        raise ValueError(
            f"total: {total} leaves {rest} for [{first}, {stop}) of a {series.kind} channel; it cannot be negative"
        )
    return Constraint(parts, rest if free else None, total)


def _parts(series: Series, first: int, stop: int) -> tuple[Part, ...]:
    """Return the stretches between the registers known inside and at the edges of the gap."""
    if series.registers is None or series.registers_known is None:
        return (Part(0, stop - first, None),)
    known = first + np.flatnonzero(series.registers_known[first : stop + 1])
    cuts = sorted({first, stop, *known.tolist()})
    believed = set(known.tolist())
    return tuple(
        Part(a - first, b - first, _advance(series, a, b) if a in believed and b in believed else None)
        for a, b in pairwise(cuts)
    )


def _advance(series: Series, before: int, after: int) -> int | None:
    """Return a register's advance, or None where it falls on a one-way channel: not one register run."""
    assert series.registers is not None  # noqa: S101 - tells the type checker what the callers looked at
    advance = int(series.registers[after]) - int(series.registers[before])
    return None if advance < 0 and series.one_way else advance


def _surrounding(series: Series, first: int, stop: int) -> int | None:
    """Return the gap's energy from the nearest registers outside it, less the measured intervals between.

    None unless every interval between is measured, or where those exceed the register's advance.
    """
    if series.registers is None or series.registers_known is None:
        return None
    before = first - int(series.registers_known[first::-1].argmax())
    after = stop + int(series.registers_known[stop:].argmax())
    if not (series.registers_known[before] and series.registers_known[after]):
        return None
    around = slice(before, first), slice(stop, after)
    advance = _advance(series, before, after)
    if advance is None or not all(REFERENCE[series.status[side]].all() for side in around):
        return None
    rest = advance - sum(sum(series.values[side].tolist()) for side in around)
    return None if rest < 0 and series.one_way else rest


def fill(shape: Floats, known: Constraint, *, one_way: bool) -> Ints:
    """Return integers in the form of `shape` that obey the constraint exactly. [counts]

    Raises:
        NotEstimable: they would not fit into 64 bits.
    """
    try:
        return _filled(shape, known, one_way=one_way)
    except OverflowError as error:
        raise NotEstimable("what is known of the energy gives values beyond 64 bits; look at it first") from error


def _filled(shape: Floats, known: Constraint, *, one_way: bool) -> Ints:
    values = np.zeros(len(shape), dtype=np.int64)
    for part in known.parts:
        if part.energy is not None and part.stop == part.first + 1:
            values[part.first] = part.energy  # nothing is to be shared out
        elif part.energy is not None:
            values[part.first : part.stop] = spread(shape[part.first : part.stop], part.energy, one_way=one_way)
    free = [slot for part in known.parts if part.energy is None for slot in range(part.first, part.stop)]
    if free and known.rest is not None:
        values[free] = spread(shape[free], known.rest, one_way=one_way)
    elif free:
        values[free] = _rounded(shape[free], one_way=one_way)
    return values


def _rounded(shape: Floats, *, one_way: bool) -> Ints:
    if np.abs(shape).max() >= 2.0**63:
        raise NotEstimable("the method gives values beyond 64 bits; look at the values around the gap")
    whole = np.rint(shape).astype(np.int64)
    return np.maximum(whole, 0) if one_way else whole


def spread(shape: Floats, total: int, *, one_way: bool) -> list[int]:
    """Return integers in the form of `shape` that add up to `total` exactly.

    Scaled where the shape has one sign and the factor lies within 1/3 to 3, else shifted evenly; on a one-way channel
    nothing falls below zero.

    >>> spread(np.array([42e3, 57e3, 52e3]), 139_800, one_way=True)
    [38885, 52772, 48143]
    """
    form = np.maximum(shape, 0.0) if one_way else shape
    if sane(float(form.sum()), total) and ((form >= 0).all() or (form <= 0).all()):
        parts = apportion(np.abs(form), abs(total))
        return parts if total >= 0 else [-part for part in parts]
    if one_way:
        return apportion(_raised(form, total), total)
    return _shifted(form, total)


def sane(whole: float, total: int) -> bool:
    """Return whether a shape's sum may be scaled to a total."""
    return whole != 0.0 and 1 / SANE <= total / whole <= SANE


def apportion(weights: Floats, total: int) -> list[int]:
    """Return integers in proportion to weights >= 0, the remainder carried on, adding up to `total` >= 0 exactly.

    Each running sum is the exact one rounded half-up; without any weight the parts are even.

    >>> apportion(np.array([1.0, 1.0, 1.0]), 100)
    [33, 34, 33]
    """
    top = float(weights.max())
    scale = 52 - int(np.frexp(top)[1])
    parts = [int(weight) for weight in np.ldexp(weights, scale)] if top > 0.0 else [1] * len(weights)
    whole, run, before, out = sum(parts), 0, 0, []
    for part in parts:
        run += part
        here = (2 * total * run + whole) // (2 * whole)
        out.append(here - before)
        before = here
    return out


def _raised(form: Floats, total: int) -> Floats:
    """Return a shape >= 0 shifted so that it adds up to about `total`, what would fall below zero held at zero."""
    active = np.ones(len(form), dtype=np.bool_)
    raised = form
    while active.any():
        shift = (total - float(form[active].sum())) / int(active.sum())
        raised = np.where(active, form + shift, 0.0)
        if raised.min() >= 0.0:
            break
        active &= raised > 0.0
    return np.maximum(raised, 0.0)


def _shifted(form: Floats, total: int) -> list[int]:
    """Return a signed shape shifted by the same amount everywhere, remainder carried."""
    whole = [int(value) for value in np.rint(form)]
    off, n = total - sum(whole), len(whole)
    return [value + off * (at + 1) // n - off * at // n for at, value in enumerate(whole)]
