"""What determinants are made from, and what they are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from collector.vee.series import HAS_VALUE, Bools, Codes, Ints
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
    meant: Bools | None = None  # the intervals that count, as those of a tariff period; None: all

    def __post_init__(self) -> None:
        if len(self.values) != len(self.status) or not len(self.values):
            raise ValueError("values and status: not of one length, or empty")
        if self.meant is not None and len(self.meant) != len(self.values):
            raise ValueError("meant: not of the length of the values")
        known = np.where(HAS_VALUE[self.status], self.values, 0)
        largest = max(int(known.max()), -int(known.min()), abs(self.most or 0), abs(self.least))
        if largest * len(self.values) > INT64_MAX:
            raise ValueError(f"values: {largest} over {len(self.values)} intervals leaves 64 bits; validate them first")

    @property
    def stop(self) -> int:
        """Return the end of the period. [UTC s]"""
        return self.start + self.length * len(self.values)

    @property
    def counted(self) -> Bools:
        """Return which intervals count."""
        return np.ones(len(self.values), dtype=np.bool_) if self.meant is None else self.meant

    def during(self, meant: Bools) -> "Profile":
        """Return the profile of some of its intervals."""
        return replace(self, meant=self.counted & meant)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a contract says of demand.

    `history` are the demands of the months before, newest first, at most eleven: a ratchet looks back on them, across
    exchanges of meters.
    """

    capacity: int | None = None  # [mW]
    least: Fraction = Fraction(0)  # part of the capacity that is billed at least [1]
    ratchet: Fraction = Fraction(0)  # part of the highest earlier demand that is billed at least [1]
    history: Sequence[Determinant] = ()
    power_factor: Fraction = Fraction(95, 100)  # below it demand is raised [1]
    quantity: int | None = None  # energy that is to be taken in the period [mWh]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Beside:
    """What some determinants need beside the profile."""

    reactive: Profile | None = None  # over the same intervals [mvarh]
    fuel: Profile | None = None  # over the same intervals [mWh of heat]
    periods: Mapping[str, Bools] | None = None  # intervals of each tariff period
    peaks: Sequence[int] | None = None  # starts of the system's peak intervals [UTC s]
    contract: Contract | None = None


Bound = Fraction | None


def figure(
    name: str, unit: str, exact: Bound, bounds: tuple[Bound, Bound], at: tuple[int, ...] = ()
) -> Determinant:  # fmt: skip
    """Return a determinant, rounded half-even; it is sure where both bounds are the figure itself."""
    low, high = (None if bound is None else round(bound) for bound in bounds)
    sure = exact is not None and bounds == (exact, exact)
    return Determinant(name, unit, None if exact is None else round(exact), exact, low, high, not sure, at)
