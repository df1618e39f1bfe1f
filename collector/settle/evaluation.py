"""Points: formulas over arrays of channels and points.

Rules of this file: exact integers until the one rounding at the end (half-even here, from which `rounding.Carry` goes
back to the exact ones where a point has another rule); a term outside its dated validity is no part of the sum, a term
inside it without a value makes the result null; a gap is never zero. A formula over other points takes their rounded
values, so that anyone can redo it from the released rows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from math import lcm

import numpy as np
from numpy.typing import NDArray

from collector.settle.sharing import Shared, shared_out
from collector.vee.series import HAS_VALUE, Bools, Codes, Ints
from shared.errors import ConfigError
from shared.formula import Formula
from shared.master import PointVersion
from shared.quantity import INT64_MAX
from shared.status import WORST_LAST, Status

Sets = NDArray[np.uint16]
#: int64, or Python integers where those would not hold a sum.
Exact = NDArray[np.int64] | NDArray[np.object_]

_BACK = np.array([int(status) for status in WORST_LAST], dtype=np.uint8)
_RANK = np.argsort(_BACK)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Term:
    """A channel's or point's intervals over the period; `valid` marks where it belongs to the formula (None: all)."""

    values: Ints  # [counts], ignored where the status says that there is none
    status: Codes
    valid: Bools | None = None

    def __post_init__(self) -> None:
        lengths = {len(self.values), len(self.status), len(self.values if self.valid is None else self.valid)}
        if len(lengths) > 1:
            raise ValueError("values, status and valid: not of one length")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluated:
    """A formula's intervals. `values` holds 0 where `known` is False: ask `value`, which gives None there."""

    values: Ints  # [counts], rounded half-even
    known: Bools
    status: Codes  # worst of the terms
    partial: Bools  # a term within its validity has no value
    refs: tuple[str, ...]
    lacks: Bools  # [refs x intervals]
    numerators: Exact  # the exact values are numerators / denominator
    denominator: int
    sets: Sets  # bit 1 << status for each status among the terms

    def value(self, at: int) -> int | None:
        """Return one interval's value, None for a gap. [counts]"""
        return int(self.values[at]) if self.known[at] else None

    def exact(self) -> list[Fraction | None]:
        """Return the values before rounding. [counts]"""
        return [
            Fraction(int(numerator), self.denominator) if known else None
            for numerator, known in zip(self.numerators, self.known.tolist(), strict=True)
        ]

    def qualities(self, at: int) -> tuple[str, ...]:
        """Return the sorted names of all statuses among one interval's terms."""
        return tuple(sorted(status.name for status in Status if int(self.sets[at]) >> status & 1))

    def lacking(self, at: int) -> tuple[str, ...]:
        """Return the references without a value in one interval."""
        return tuple(ref for ref, lack in zip(self.refs, self.lacks[:, at].tolist(), strict=True) if lack)


def evaluate(formula: Formula, terms: Mapping[str, Term]) -> Evaluated:
    """Return what a formula gives over all intervals.

    Args:
        formula: Signed sum of references.
        terms: Every reference of the formula, all of one length.

    Raises:
        ValueError: a reference is not given, or lengths differ.
    """
    refs = formula.refs
    unknown = [ref for ref in refs if ref not in terms]
    if unknown:
        raise ValueError(f"terms: nothing given for {', '.join(unknown)}")
    if len({len(terms[ref].values) for ref in refs}) > 1:
        raise ValueError("terms: not of one length")
    valid = np.stack([_valid(terms[ref]) for ref in refs])
    status = np.stack([terms[ref].status for ref in refs])
    lacks = valid & ~HAS_VALUE[status]
    known = valid.any(axis=0) & ~lacks.any(axis=0)
    numerators, denominator = _sum(formula, terms, valid & known)
    values, fits = _half_even(numerators, denominator)
    known &= fits
    return Evaluated(
        values=np.where(known, values, 0),
        known=known,
        status=np.where(known, _worst(status, valid), Status.MISSING).astype(np.uint8),
        partial=lacks.any(axis=0) | ~fits,
        refs=refs,
        lacks=lacks,
        numerators=numerators,
        denominator=denominator,
        sets=np.bitwise_or.reduce(np.where(valid, np.left_shift(1, status.astype(np.uint16)), 0).astype(np.uint16)),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a point's formula gives; of a share, what it gives to all parties: the same for the point of each."""

    whole: Evaluated
    shared: Shared | None

    @classmethod
    def of(cls, point: PointVersion, terms: Mapping[str, Term]) -> "Made":
        """Return what a point's formula gives, and where it is shared, what anybody gets.

        Raises:
            ValueError: as `evaluate`.
        """
        whole = evaluate(point.whole, terms)
        if point.share is None:
            return cls(_own(point, whole, terms), None)
        energy = terms[point.parsed.refs[0]]
        loads = {ref: np.where(_valid(terms[ref]), terms[ref].values, 0) for _, ref in point.share.loads}
        shared = shared_out(point.share, energy.values, loads, whole.known & _valid(energy))  # who left uses nothing
        return cls(_where(whole, shared.known), shared)

    def evaluated(self, point: PointVersion) -> Evaluated:
        """Return the intervals of a point; of a share, of that party."""
        if point.share is None or self.shared is None:
            return self.whole
        counts = np.where(self.shared.known, self.shared.shares[point.share.whose], 0)
        return replace(self.whole, values=counts, numerators=counts, denominator=1)


def _own(point: PointVersion, whole: Evaluated, terms: Mapping[str, Term]) -> Evaluated:
    """Return a point that is not shared, given all of its formula."""
    losses = point.losses
    if point.part:
        sign = 1 if point.part == "positive" else -1
        return _with(whole, [None if one is None else max(sign * one, Fraction(0)) for one in whole.exact()])
    if losses is None:
        return whole
    active = (whole if losses.reactive is None else evaluate(point.parsed, terms)).exact()
    nothing: list[Fraction | None] = [Fraction(0)] * len(active)
    reactive = nothing if losses.reactive is None else evaluate(losses.reactive, terms).exact()
    lost = [
        None if one is None or beside is None else losses.energy(one, beside, point.length)
        for one, beside in zip(active, reactive, strict=True)
    ]
    return _with(whole, lost)


def _with(whole: Evaluated, exact: list[Fraction | None]) -> Evaluated:
    """Return an evaluated formula with other values."""
    denominator = lcm(*(one.denominator for one in exact if one is not None))
    numerators = np.array([0 if one is None else int(one * denominator) for one in exact], dtype=object)
    values, fits = _half_even(numerators, denominator)
    known = np.array([one is not None for one in exact], dtype=np.bool_) & fits
    return replace(
        _where(whole, known), values=np.where(known, values, 0), numerators=numerators, denominator=denominator
    )  # fmt: skip


def _where(whole: Evaluated, known: Bools) -> Evaluated:
    """Return an evaluated formula of which less may be known."""
    status = np.where(known, whole.status, Status.MISSING).astype(np.uint8)
    return replace(whole, known=known, partial=whole.partial | ~known, status=status)


def _valid(term: Term) -> Bools:
    return np.ones(len(term.values), dtype=np.bool_) if term.valid is None else term.valid


def _worst(status: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Codes:
    """Return the worst status among the valid terms; where there is none, what the caller takes for missing."""
    worst: Codes = _BACK[np.where(valid, _RANK[status], 0).max(axis=0)]
    return worst


def _sum(formula: Formula, terms: Mapping[str, Term], used: NDArray[np.bool_]) -> tuple[Exact, int]:
    """Return numerators over one denominator; in int64 where nothing can overflow, else in unbounded integers."""
    denominator = lcm(*(factor.denominator for factor, _ in formula.terms))
    weights = [(factor.numerator * (denominator // factor.denominator), ref) for factor, ref in formula.terms]
    at = {ref: number for number, ref in enumerate(formula.refs)}
    taken = np.where(used, np.stack([terms[ref].values for ref in formula.refs]), 0)
    largest = [max(most, -least, 1) for most, least in zip(*_extremes(taken), strict=True)]
    wide = sum(abs(weight) * largest[at[ref]] for weight, ref in weights) > INT64_MAX // 4
    factors = [0] * len(at)
    for weight, ref in weights:
        factors[at[ref]] += weight
    kind = np.dtype(object if wide else np.int64)
    total: Exact = np.dot(np.array(factors, kind), taken.astype(kind))
    return total, denominator


def _extremes(rows: Ints) -> tuple[list[int], list[int]]:
    return rows.max(axis=1, initial=0).tolist(), rows.min(axis=1, initial=0).tolist()


def _half_even(numerators: Exact, denominator: int) -> tuple[Ints, Bools]:
    """Return rounded values and where they fit int64; what does not fit is not available, never wrapped."""
    if denominator == 1 and numerators.dtype == np.int64:
        return numerators.astype(np.int64), np.ones(len(numerators), dtype=np.bool_)
    whole, rest = numerators // denominator, numerators % denominator
    twice = 2 * rest
    rounded = whole + ((twice > denominator) | ((twice == denominator) & (whole % 2 == 1)))
    fits = np.asarray((rounded <= INT64_MAX) & (rounded >= -INT64_MAX - 1), dtype=np.bool_)
    return np.where(fits, rounded, 0).astype(np.int64), fits


def evaluation_order(formulas: Mapping[str, Formula], known: Collection[str] = ()) -> list[str]:
    """Return the points so that each comes after the points that it is made of.

    Args:
        formulas: Of the points in force.
        known: Points that may be named though they are not in force: then they are no part of the sum.

    Raises:
        ConfigError: points refer to each other in a circle, or to a point that does not exist.
    """
    named = set(formulas)
    absent = set(known) - named
    parts = {point: {ref for ref in formula.refs if "/" not in ref} - absent for point, formula in formulas.items()}
    for point, refs in parts.items():
        for ref in sorted(refs - named):
            raise ConfigError(f'point "{point}": no point {ref!r}; known: {", ".join(sorted(formulas))}')
    try:
        return list(TopologicalSorter({point: sorted(parts[point]) for point in sorted(parts)}).static_order())
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise ConfigError(f"points refer to each other in a circle: {circle}; break it in points.toml") from error
