"""How far the energy of points may be off: from the channels behind them, and the accuracy of their meters.

Rules of this file: a channel errs the same way all the time; a point that is no signed sum of channels (losses, shares,
parts) has no such figure, and then it is not known; what rounding leaves is no error of a meter and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from collector.settle import sources
from collector.settle.plainly import amount, named
from collector.settle.release import Made
from collector.settle.rows import Channel
from collector.settle.uncertainty import Accuracy, Off, errors, together
from collector.vee.series import HAS_VALUE, Bools, Ints
from shared.master import PointVersion, cuts, in_force

Coefficients = Mapping[str, Fraction]
Error = tuple[Fraction, Fraction] | None  # by root of squares and at worst [counts]; None: not known


@dataclass(frozen=True, slots=True, eq=False)
class Chosen:
    """The rows of a release that a figure is made of."""

    start: int  # of the first row [UTC s]
    length: int  # of a row [s]
    rows: Bools

    def holds(self, starts: Ints) -> Bools:
        """Return which intervals lie in a row that was chosen. [UTC s]"""
        at = (starts - self.start) // self.length
        inside = (at >= 0) & (at < len(self.rows))
        found: Bools = inside & self.rows[np.where(inside, at, 0)]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Part:
    """A part of the period in which no formula changes."""

    start: int  # [UTC s]
    formulas: Mapping[str, Coefficients | None]
    channels: Mapping[str, Mapping[int, Channel]]


class Spread:
    """How far points of a release may be off."""

    def __init__(self, parts: Sequence[_Part], accuracies: Mapping[str, Accuracy]) -> None:
        self._parts, self._accuracies = parts, accuracies

    def of(self, points: Mapping[str, Fraction | int], chosen: Chosen | None = None) -> Off | None:
        """Return how far a weighted sum of points may be off, over all rows or some; None where it is not known."""
        found: dict[str, Error] = {}
        for part in self._parts:
            factors: dict[str, Fraction] = {}
            for point, weight in points.items():
                formula = part.formulas.get(point, {})
                if formula is None:
                    return None
                for ref, factor in formula.items():
                    factors[ref] = factors.get(ref, Fraction(0)) + weight * factor
            for ref, factor in factors.items():
                if factor:
                    nothing = Fraction(0), Fraction(0)
                    found[ref] = _more(found.get(ref, nothing), self._error(part, ref, chosen), abs(factor))
        return together({ref: (Fraction(1), error) for ref, error in found.items()})

    def _error(self, part: _Part, ref: str, chosen: Chosen | None) -> Error:
        grids, accuracy = part.channels.get(ref), self._accuracies.get(ref.partition(".")[0])
        if not grids or accuracy is None:
            return None
        channel = grids[min(grids)]
        taken = HAS_VALUE[channel.status]
        if chosen is not None:
            taken = taken & chosen.holds(part.start + channel.length * np.arange(len(taken), dtype=np.int64))
        return errors(accuracy, np.asarray(channel.values[taken], np.int64), channel.length)


def _more(before: Error, error: Error, factor: Fraction) -> Error:
    if before is None or error is None:
        return None
    return before[0] + factor * error[0], before[1] + factor * error[1]


def spread(connection: Connection, made: Made, wanted: Sequence[str], accuracies: Mapping[str, Accuracy]) -> Spread:
    """Return how far some points of a release may be off.

    Args:
        connection: A reading connection.
        made: The release.
        wanted: Ids of points.
        accuracies: By site/meter.
    """
    versions, known = sources.points(connection, made.position).versions, sources.numbers(connection)
    parts = []
    for first, stop in pairwise(cuts(versions, made.start, made.stop)):
        force = in_force(versions, first)
        formulas = {name: _channels(name, force) for name in wanted}
        refs = {ref for found in formulas.values() if found is not None for ref in found}
        channels = sources.channels(connection, known, refs, range(first, stop), made.position)
        parts.append(_Part(first, formulas, channels))
    return Spread(parts, accuracies)


def _channels(name: str, force: Mapping[str, PointVersion]) -> Coefficients | None:
    """Return a point as factors of channels, none where it is not in force; None where it is not such a sum."""
    point = force.get(name)
    if point is None:
        return {}
    if point.losses is not None or point.share is not None or point.part:
        return None
    found: dict[str, Fraction] = {}
    for factor, ref in point.parsed.terms:
        inner: Coefficients | None = {ref: Fraction(1)} if "/" in ref else _channels(ref, force)
        if inner is None:
            return None
        for channel, share in inner.items():
            found[channel] = found.get(channel, Fraction(0)) + factor * share
    return found


def good_enough(off: Off | None, value: int, percent: str) -> bool | None:
    """Return whether a figure is good enough to bill by; None where that is not known. [counts, percent]"""
    return None if off is None else off.rss * 100 <= Fraction(percent) * abs(value)


def told(off: Off | None, unit: str, *, grade: bool | None) -> str:
    """Return how far a figure may be off, for a person."""
    if off is None:
        return "  uncertainty not known"
    rss, most = (f"{amount(one, unit)} {named(unit)}" for one in (off.rss, off.most))
    by = f"  ± {rss} (worst {most})"
    return by + ("  not revenue grade" if grade is False else "")
