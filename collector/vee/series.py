"""What VEE works on and what it gives back: arrays and values, free of database and configuration.

Rules of this file: energy is int64, never float; what is not known says so in a mask or a status.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray

from collector.vee.inputs import (
    Before,
    Beside,
    Bools,
    Clocks,
    Codes,
    Column,
    Deliveries,
    Device,
    Floats,
    Ints,
    Told,
    columns,
)
from shared.status import Status

__all__ = [
    "DAY", "HAS_VALUE", "KINDS", "ONE_WAY", "REFERENCE", "Bools", "Codes", "Estimate", "Finding", "Floats", "Ints",
    "NotEstimable", "Series", "Severity",
]  # fmt: skip

Severity = Literal["E", "W", "I"]

KINDS = ("load", "generation", "storage", "net")
#: Channels that energy passes in one direction only: never negative.
ONE_WAY = frozenset({"load", "generation"})
DAY = 86_400


def _codes(*statuses: Status) -> Bools:
    table = np.zeros(256, dtype=np.bool_)
    table[[int(status) for status in statuses]] = True
    return table


#: By status code: a value stands there.
HAS_VALUE = ~_codes(Status.MISSING, Status.WITHDRAWN)
#: By status code: good enough to be an end of an interpolation or part of a reference day (vee.md section 5).
REFERENCE = _codes(Status.RAW, Status.VALID, Status.VERIFIED, Status.EDITED, Status.CALCULATED)


class NotEstimable(ValueError):  # noqa: N818 - names the state of the gap, and reads so where it is raised
    """Nothing that is known says what the gap held; it stays missing."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """One channel's intervals from `start` on, and what else is known of it (DESIGN.md section 7.3).

    Raises:
        ValueError: an array has the wrong length or type, or a field is outside its range; the text names it.
    """

    start: int  # [UTC s]
    length: int  # [s]
    values: Ints  # [counts of the unit], ignored where the status says that there is none
    status: Codes
    timezone: str
    kind: str
    rated_power: int | None = None  # [mW]
    registers: Ints | None = None  # [counts] at the n + 1 boundaries
    registers_known: Bools | None = None
    step: int = 1  # resolution of the registers [counts]
    neighbours: Mapping[str, Ints] = field(default_factory=dict)
    neighbours_known: Mapping[str, Bools] = field(default_factory=dict)
    check: Ints | None = None
    check_known: Bools | None = None
    holidays: Collection[date] = frozenset()
    outage: Bools | None = None
    # What follows serves the rules (collector.vee.inputs); a rule whose inputs are absent says nothing.
    unit: str = ""  # of one count, as in shared.quantity; for texts alone
    now: int | None = None  # when the series is looked at [UTC s]
    arrived: Column | None = None  # n: when the value came [UTC s]
    modulus: int | None = None  # of registers that are given as they were read, not unrolled [counts]
    register_runs: Ints | None = None  # n + 1: boundaries of one number are of one register
    lateness: Column | None = None  # n + 1: from the boundary to its read, or between its two reads [us]
    rated_current: int | None = None  # [mA]
    active: Bools | None = None  # n: the channel is in use; without it, always
    doubted: Bools | None = None  # n: signed by a key that may have been in other hands
    clocks: Clocks | None = None
    device: Device | None = None
    beside: Beside | None = None
    before: Before | None = None
    deliveries: Deliveries | None = None
    told: Mapping[str, Told] = field(
        default_factory=dict
    )  # serial, firmware, unit, obis, direction, multiplier, length
    statistics: Mapping[str, Column] = field(default_factory=dict)  # n, by name: voltage_l1n_mean ...
    siblings: Mapping[str, Column] = field(default_factory=dict)  # n, other channels of the meter by quantity
    tariffs: Mapping[str, Column] = field(default_factory=dict)  # n + 1, tariff registers by name

    def __post_init__(self) -> None:
        self._check_scalars()
        n = len(self.values)
        if n == 0:
            raise ValueError("values: empty; a series has at least one interval")
        _put(self, "values", _ints(self.values, n, "values"))
        _put(self, "status", _status(self.status, n))
        self._check_pair("registers", n + 1)
        self._check_pair("check", n)
        if self.outage is not None:
            _put(self, "outage", _bools(self.outage, n, "outage"))
        self._check_neighbours(n)
        self._check_inputs(n)

    def _check_scalars(self) -> None:
        if self.length <= 0 or DAY % self.length:
            raise ValueError(f"length: {self.length} s does not divide a day")
        if self.start % self.length:
            raise ValueError(f"start: {self.start} is no multiple of the length {self.length} s")
        if self.kind not in KINDS:
            raise ValueError(f"kind: {self.kind!r} is none of {', '.join(KINDS)}")
        if self.step < 0 or (self.rated_power is not None and self.rated_power < 0):
            raise ValueError("step and rated_power: must not be negative")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"timezone: {self.timezone!r} is not in the time zone database") from error

    def _check_pair(self, name: str, n: int) -> None:
        """Check an optional array and its mask; a lacking mask means that all is known."""
        known = f"{name}_known"
        if getattr(self, name) is None:
            if getattr(self, known) is not None:
                raise ValueError(f"{known}: given without {name}")
            return
        _put(self, name, _ints(getattr(self, name), n, name))
        mask = getattr(self, known)
        _put(self, known, np.ones(n, dtype=np.bool_) if mask is None else _bools(mask, n, known))

    def _check_neighbours(self, n: int) -> None:
        unpaired = set(self.neighbours_known) ^ set(self.neighbours)
        if unpaired:
            raise ValueError(f"neighbours and neighbours_known: not in both: {', '.join(sorted(unpaired))}")
        _put(self, "neighbours", {name: _ints(one, n, f"neighbours[{name}]") for name, one in self.neighbours.items()})
        known = {name: _bools(one, n, f"neighbours_known[{name}]") for name, one in self.neighbours_known.items()}
        _put(self, "neighbours_known", known)

    def _check_inputs(self, n: int) -> None:
        for name, one in self.columns():
            wanted = n + 1 if name == "lateness" or name.startswith("tariffs.") else n
            _shape(one.values, wanted, name)
        for name in ("active", "doubted"):
            mask = getattr(self, name)
            if mask is not None:
                _bools(mask, n, name)
        if self.register_runs is not None:
            _ints(self.register_runs, n + 1, "register_runs")

    def columns(self) -> Iterator[tuple[str, Column]]:
        """Give all that rules may know beside the values, registers and check meter, by name."""
        if self.lateness is not None:
            yield "lateness", self.lateness
        if self.arrived is not None:
            yield "arrived", self.arrived
        for group in (self.clocks, self.device, self.beside):
            yield from columns(group)
        for group_name in ("statistics", "siblings", "tariffs"):
            for name, one in getattr(self, group_name).items():
                yield f"{group_name}.{name}", one
        for name, what in self.told.items():
            yield f"told.{name}", what.seen
            yield f"expected.{name}", what.expected
        if self.before is not None:
            yield "before", self.before.values

    @property
    def size(self) -> int:
        """Return the number of intervals."""
        return len(self.values)

    @property
    def known(self) -> Bools:
        """Return where a value stands."""
        return HAS_VALUE[self.status]

    @property
    def one_way(self) -> bool:
        """Return whether energy can only pass in one direction."""
        return self.kind in ONE_WAY


def _put(series: Series, name: str, value: object) -> None:
    object.__setattr__(series, name, value)  # frozen for everyone but its own construction


def _ints(array: Ints, n: int, name: str) -> Ints:
    _shape(array, n, name)
    if not np.can_cast(array.dtype, np.int64):
        raise ValueError(f"{name}: {array.dtype}, not int64; energy is counted in integers")
    return array.astype(np.int64, copy=False)


def _bools(array: Bools, n: int, name: str) -> Bools:
    _shape(array, n, name)
    if array.dtype != np.bool_:
        raise ValueError(f"{name}: {array.dtype}, not bool")
    return array


def _status(array: Codes, n: int) -> Codes:
    _shape(array, n, "status")
    if array.dtype != np.uint8:
        raise ValueError(f"status: {array.dtype}, not uint8")
    if int(array.max()) > max(Status):
        raise ValueError(f"status: {int(array.max())} is no code of shared.status.Status")
    return array


def _shape(array: NDArray[np.generic], n: int, name: str) -> None:
    if array.shape != (n,):
        raise ValueError(f"{name}: shape {array.shape}, not ({n},)")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule objects to in the intervals [first, stop): E blocks release, W asks a person, I informs."""

    rule: str
    severity: Severity
    first: int
    stop: int
    observed: int | None  # [counts, or what the text says]
    limit: int | None
    text: str
    version: int = 1  # of the rule


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Values for a gap, how they came about, and how far they can be trusted."""

    values: Ints  # [counts]
    method: str
    low: int | None  # 90 % range of the gap's energy; both are the total where it is known [counts]
    high: int | None
    inputs: dict[str, object]  # JSON without floats: ends, reference days, factor, constraints
    back_test: float | None  # median relative error of the method on gaps like this one [1]
