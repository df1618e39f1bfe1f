"""Determinants of a release: from its signed rows alone, so that whoever has them can redo it."""

from collections.abc import Callable, Collection, Sequence
from datetime import date
from fractions import Fraction
from itertools import pairwise

import numpy as np

from collector.settle.determine.catalogue import determinants
from collector.settle.determine.profile import HOUR, Contract, Determinant, Profile
from collector.settle.determine.tariff import periods
from collector.settle.plainly import amount
from collector.settle.plainly import named as unit_of
from collector.settle.terms_file import Terms
from collector.vee.series import HAS_VALUE, Bools
from shared.errors import ConfigError
from shared.release import Row, instant
from shared.status import Status

_KILO = 10**6  # counts in a kilo-unit
_HISTORY = "max_block:"


def of_rows(
    terms: Terms, rows: Sequence[Row], timezone: str, holidays: Collection[date],
    earlier: Callable[[str], Sequence[Row]],
) -> dict[str, Determinant]:  # fmt: skip
    """Return the determinants that a file of terms asks for.

    Args:
        terms: The file.
        rows: Of the release.
        timezone: Whose clock tariffs and blocks go by.
        holidays: Local dates.
        earlier: Gives the rows of a release of a month before.

    Raises:
        ConfigError: a point lacks, or a determinant needs what the terms do not say.
    """
    found = profile(rows, terms.point, timezone, terms.most_kw)
    try:
        return determinants(
            found, terms.determinants, periods=tariff(terms, found, timezone, holidays),
            reactive=profile(rows, terms.reactive, timezone) if terms.reactive else None,
            fuel=profile(rows, terms.fuel, timezone) if terms.fuel else None,
            peaks=None if terms.peaks is None else [int(one.timestamp()) for one in terms.peaks],
            contract=_contract(terms, timezone, earlier),
        )  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"{error}") from error


def _contract(terms: Terms, timezone: str, earlier: Callable[[str], Sequence[Row]]) -> Contract | None:
    said = terms.contract
    if said is None:
        return None
    window = _window(terms.determinants)
    before = [profile(earlier(one), terms.point, timezone, terms.most_kw) for one in said.history]
    name = f"{_HISTORY}{window}"
    return Contract(
        capacity=None if said.capacity_kw is None else said.capacity_kw * _KILO,
        least=Fraction(said.least), ratchet=Fraction(said.ratchet), power_factor=Fraction(said.power_factor),
        history=[determinants(one, [name])[name] for one in before] if window else [],
        quantity=None if said.take_kwh is None else said.take_kwh * _KILO,
    )  # fmt: skip


def _window(wanted: Sequence[str]) -> str:
    """Return the window by which the months before are looked back on."""
    looking = ("ratchet:", "billing_demand:")
    return next((name.partition(":")[2].partition("@")[0] for name in wanted if name.startswith(looking)), "")


def tariff(terms: Terms, of: Profile, timezone: str, holidays: Collection[date]) -> dict[str, Bools]:
    """Return which rows of a point lie in which tariff period."""
    return periods([one.period for one in terms.period], of.start, of.length, len(of.values), timezone, holidays)


def profile(rows: Sequence[Row], point: str, timezone: str, most_kw: int | None = None) -> Profile:
    """Return the rows of a point as determinants take them.

    Raises:
        ConfigError: there are none, or they are not of one form without a break.
    """
    own = [row for row in rows if row.point == point]
    if not own:
        known = ", ".join(sorted({row.point for row in rows}))
        raise ConfigError(f"the release has no point {point!r}; it has {known}")
    for before, row in pairwise(own):
        if row.start != before.start + own[0].length_s or (row.unit, row.length_s) != (own[0].unit, own[0].length_s):
            raise ConfigError(
                f"point {point!r}: from {instant(row.start)} on its rows are others, or some are not there before; make"
                " a release of each part"
            )
    status = np.array([Status[row.status] for row in own], dtype=np.uint8)
    values = np.array([row.value or 0 for row in own], dtype=np.int64)
    length = own[0].length_s
    most = None if most_kw is None else int(Fraction(most_kw * _KILO * length, HOUR))
    least = 0 if not HAS_VALUE[status].any() else min(0, int(values.min()))
    try:
        return Profile(start=own[0].start, length=length, values=values, status=status, timezone=timezone, least=least,
                       most=most)  # fmt: skip
    except ValueError as error:
        raise ConfigError(f"point {point!r}: {error}") from error


def shown(one: Determinant) -> dict[str, object]:
    """Return a determinant for a program; times as epoch seconds. [UTC s]"""
    members = {name: getattr(one, name) for name in ("unit", "value", "low", "high", "provisional")}
    return members | {"at": list(one.at)}


def line(one: Determinant) -> str:
    """Return a determinant for a person.

    >>> line(Determinant("energy", "mWh", 5_000_000, None, 5_000_000, None, True))
    'energy                   5 kWh  provisional: 5 to no known limit'
    """
    told = f"{one.name:24} {amount(one.value, one.unit)} {unit_of(one.unit)}".rstrip()
    if not one.provisional:
        return told
    if (one.value, one.low, one.high) == (None, None, None):
        return f"{one.name:24} not known, and nothing bounds it"
    low, high = ("no known limit" if end is None else amount(end, one.unit) for end in (one.low, one.high))
    return f"{told}  provisional: {low} to {high}"
