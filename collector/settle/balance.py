"""Where a site's energy came from and went in a release: gross, net, storage apart, and what is left unaccounted for.

Rules of this file: all totals are of one release, so of one version of the topology, and the residual is what closes
each row to zero; a row that lacks a side is left out of the residual and counted; a total by subtraction is as
uncertain as its meters together, and says so where that is too much to bill by.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np
from sqlalchemy import Connection

from collector.settle import sources
from collector.settle.balance_file import BalanceFile, Sides
from collector.settle.plainly import amount
from collector.settle.release import Made
from collector.settle.rows import Channel
from collector.settle.uncertainty import Accuracy, Off, errors, together
from collector.vee.series import HAS_VALUE, Ints
from shared.errors import ConfigError
from shared.master import PointVersion, cuts, in_force
from shared.release import Row

_UNIT = "mWh"
_SIGNS = {"imports": 1, "generation": 1, "discharge": 1, "exports": -1, "charge": -1, "load": -1}
#: Figures: which sides they add, with signs.
_FIGURES: dict[str, Mapping[str, int]] = {
    "gross_load": {"load": 1}, "gross_generation": {"generation": 1}, "net": {"imports": 1, "exports": -1},
    "charge": {"charge": 1}, "discharge": {"discharge": 1}, "residual": _SIGNS,
}  # fmt: skip
Coefficients = Mapping[str, Fraction]


@dataclass(frozen=True, slots=True)
class Figure:
    """One total of the period. [mWh]"""

    name: str
    value: int
    off: Off | None  # None: not known
    grade: bool | None  # good enough to bill by; None: not known
    rows: int  # that it is made of
    lacking: int  # rows left out, since a side has no value


def figures(connection: Connection, made: Made, file: BalanceFile) -> list[Figure]:
    """Return the totals of a release.

    Raises:
        ConfigError: a point of the file is not in the release, is no active energy, or rows are not the same.
    """
    rows = _values(made.each(), file.balance)
    versions = sources.points(connection, made.position).versions
    spread = _spread(connection, made, versions, file.accuracies)
    return [_figure(name, sides, rows, file, spread) for name, sides in _FIGURES.items()]


Values = dict[str, list[int | None]]


def _values(rows: Iterable[Row], sides: Sides) -> Values:
    named = [point for side in _SIGNS for point in getattr(sides, side)]
    twice = sorted({point for point in named if named.count(point) > 1})
    own: dict[str, list[Row]] = {point: [] for point in named}
    points = set[str]()
    for row in rows:
        points.add(row.point)
        if row.point in own:
            own[row.point].append(row)
    found: Values = {point: [row.value for row in mine] for point, mine in own.items()}
    lacking = sorted(point for point, values in found.items() if not values)
    if lacking or twice:
        what = f"the release has no point {lacking[0]!r}" if lacking else f"{twice[0]!r} stands twice"
        raise ConfigError(f"[balance]: {what}; it has {', '.join(sorted(points))}")
    other = sorted(point for point, mine in own.items() if any(row.unit != _UNIT for row in mine))
    if other:
        raise ConfigError(f"[balance]: {other[0]!r} is no active energy; leave it out")
    if len({tuple((row.start, row.length_s) for row in mine) for mine in own.values()}) > 1:
        raise ConfigError(
            "[balance]: its points do not have the same rows; give them one length_s, and where one begins or ends"
            " inside the period, make a release of each part"
        )
    return found


def _figure(
    name: str, sides: Mapping[str, int], rows: Values, file: BalanceFile, spread: "_Spread"
) -> Figure:  # fmt: skip
    terms = {point: sign for side, sign in sides.items() for point in getattr(file.balance, side)}
    count = len(next(iter(rows.values()), ()))
    whole = [at for at in range(count) if all(rows[point][at] is not None for point in terms)]
    value = sum(sign * (rows[point][at] or 0) for point, sign in terms.items() for at in whole)
    off = spread.of(terms)
    grade = None if off is None else off.rss * 100 <= Fraction(file.grade_percent) * abs(value)
    return Figure(name, value, off, grade, len(whole), count - len(whole))


Error = tuple[Fraction, Fraction] | None  # by root of squares and at worst [counts]; None: not known


class _Spread:
    """How far points may be off, from the channels behind them, over the parts of a period."""

    def __init__(self, parts: Sequence[tuple[Mapping[str, Coefficients | None], Mapping[str, Error]]]) -> None:
        self._parts = parts

    def of(self, points: Mapping[str, int]) -> Off | None:
        """Return how far a signed sum of points may be off: a channel errs the same way in all parts."""
        found: dict[str, Error] = {}
        for formulas, errs in self._parts:
            factors: dict[str, Fraction] = {}
            for point, sign in points.items():
                formula = formulas.get(point)
                if formula is None:
                    return None
                for ref, factor in formula.items():
                    factors[ref] = factors.get(ref, Fraction(0)) + sign * factor
            for ref, factor in factors.items():
                if factor:
                    found[ref] = _more(found.get(ref, (Fraction(0), Fraction(0))), errs[ref], abs(factor))
        return together({ref: (Fraction(1), error) for ref, error in found.items()})


def _more(before: Error, error: Error, factor: Fraction) -> Error:
    if before is None or error is None:
        return None
    return before[0] + factor * error[0], before[1] + factor * error[1]


def _spread(
    connection: Connection, made: Made, versions: Sequence[PointVersion], accuracies: Mapping[str, Accuracy]
) -> _Spread:
    parts = []
    for first, stop in pairwise(cuts(versions, made.start, made.stop)):
        force = in_force(versions, first)
        formulas = {name: _channels(name, force) for name in force}
        refs = {ref for found in formulas.values() if found is not None for ref in found}
        known = sources.numbers(connection)
        channels = sources.channels(connection, known, refs, range(first, stop), made.position)
        errs = {ref: _error(channels.get(ref), accuracies.get(ref.partition(".")[0])) for ref in refs}
        parts.append((formulas, errs))
    return _Spread(parts)


def _channels(name: str, force: Mapping[str, PointVersion]) -> Coefficients | None:
    """Return a point as factors of channels; None where it is not such a sum."""
    point = force.get(name)
    if point is None or point.losses is not None or point.share is not None or point.part:
        return None
    found: dict[str, Fraction] = {}
    for factor, ref in point.parsed.terms:
        inner: Coefficients | None = {ref: Fraction(1)} if "/" in ref else _channels(ref, force)
        if inner is None:
            return None
        for channel, share in inner.items():
            found[channel] = found.get(channel, Fraction(0)) + factor * share
    return found


def _error(grids: Mapping[int, Channel] | None, accuracy: Accuracy | None) -> Error:
    if not grids or accuracy is None:
        return None
    channel = grids[min(grids)]
    known: Ints = channel.values[HAS_VALUE[channel.status]]
    return errors(accuracy, np.asarray(known, np.int64), channel.length)


def line(one: Figure) -> str:
    """Return a figure for a person."""
    told = f"{one.name:17} {amount(one.value, _UNIT):>18} kWh"
    off = one.off
    told += "  uncertainty not known" if off is None else (
        f"  ± {amount(off.rss, _UNIT)} (worst {amount(off.most, _UNIT)})"
    )  # fmt: skip
    told += "  not revenue grade" if one.grade is False else ""
    return told + (f"  {one.lacking} of {one.rows + one.lacking} rows lack a side" if one.lacking else "")
