"""Where a site's energy came from and went in a release: gross, net, storage apart, and what is left unaccounted for.

Rules of this file: all totals are of one release, so of one version of the topology, and the residual is what closes
each row to zero; a row that lacks a side is left out of the residual and counted; a total by subtraction is as
uncertain as its meters together, and says so where that is too much to bill by.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from collector.settle.balance_file import BalanceFile, Sides
from collector.settle.plainly import amount
from collector.settle.release import Made
from collector.settle.spread import Spread, good_enough, spread, told
from collector.settle.uncertainty import Off
from shared.errors import ConfigError
from shared.release import Row

_UNIT = "mWh"
_SIGNS = {"imports": 1, "generation": 1, "discharge": 1, "exports": -1, "charge": -1, "load": -1}
#: Figures: which sides they add, with signs.
_FIGURES: dict[str, Mapping[str, int]] = {
    "gross_load": {"load": 1}, "gross_generation": {"generation": 1}, "net": {"imports": 1, "exports": -1},
    "charge": {"charge": 1}, "discharge": {"discharge": 1}, "residual": _SIGNS,
}  # fmt: skip


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
        ConfigError: the file names no point, or one that is not in the release or is no active energy, or rows are not
            the same.
    """
    rows = _values(made.each(), file.balance)
    known = spread(connection, made, list(rows), file.accuracies)
    return [_figure(name, sides, rows, file, known) for name, sides in _FIGURES.items()]


Values = dict[str, list[int | None]]


def _values(rows: Iterable[Row], sides: Sides) -> Values:
    named = [point for side in _SIGNS for point in getattr(sides, side)]
    if not named:
        raise ConfigError("[balance]: it names no point; name those of the release, as config/balance.toml shows")
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
    name: str, sides: Mapping[str, int], rows: Values, file: BalanceFile, known: Spread
) -> Figure:  # fmt: skip
    terms = {point: sign for side, sign in sides.items() for point in getattr(file.balance, side)}
    count = len(next(iter(rows.values()), ()))
    whole = [at for at in range(count) if all(rows[point][at] is not None for point in terms)]
    value = sum(sign * (rows[point][at] or 0) for point, sign in terms.items() for at in whole)
    off = known.of(terms)
    return Figure(name, value, off, good_enough(off, value, file.grade_percent), len(whole), count - len(whole))


def line(one: Figure) -> str:
    """Return a figure for a person."""
    total = f"{one.name:17} {amount(one.value, _UNIT):>18} kWh{told(one.off, _UNIT, grade=one.grade)}"
    return total + (f"  {one.lacking} of {one.rows + one.lacking} rows lack a side" if one.lacking else "")
