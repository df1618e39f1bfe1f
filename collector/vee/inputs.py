"""What rules may know of a channel beside its values: arrays with masks, in groups of what comes together.

Rules of this file: all of it is optional, and a rule whose inputs are absent says nothing; numbers are int64; what is
not known says so in a mask.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from enum import IntFlag
from functools import reduce

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Codes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class DeviceFlags(IntFlag):
    """What a meter or recorder says of an interval; bits are never reused (vee.md section 4 D)."""

    POWER_OUTAGE = 1 << 0
    TEST_MODE = 1 << 1
    OVERFLOW = 1 << 2
    CRC = 1 << 3
    MEMORY = 1 << 4  # RAM or ROM
    WATCHDOG = 1 << 5
    PARITY = 1 << 6
    RESET = 1 << 7
    FIRMWARE = 1 << 8
    CONFIGURATION = 1 << 9
    TAMPER = 1 << 10
    COVER = 1 << 11
    PHASE_LOSS = 1 << 12
    CLOCK_SET = 1 << 13


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """Numbers by interval or by boundary, and where they are known."""

    values: Ints
    known: Bools

    def __post_init__(self) -> None:
        if self.values.shape != self.known.shape or self.known.dtype != np.bool_:
            raise ValueError(f"a column: {self.values.shape} values, {self.known.shape} {self.known.dtype} marks")
        if not np.can_cast(self.values.dtype, np.int64):
            raise ValueError(f"a column: {self.values.dtype}, not int64; amounts are counted in integers")


def column(values: Ints, known: Bools | None = None) -> Column:
    """Return a column; without a mask all of it is known."""
    whole: Bools = np.ones(values.shape, dtype=np.bool_)
    return Column(values, whole if known is None else known)


def total(columns: Iterable[Column]) -> Column:
    """Return the sum of some columns, known where all of them are."""
    return reduce(lambda one, other: Column(one.values + other.values, one.known & other.known), columns)


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What came with each interval against what the dated master says; both are indices into `names`."""

    names: tuple[str, ...]
    seen: Column  # [n]
    expected: Column  # [n]


def told(seen: Sequence[object], expected: object) -> Told:
    """Return texts that came with intervals, None where none did, against one that is expected.

    >>> told(["1", "2", None], "1").names
    ('1', '2')
    """
    texts = np.array([str(expected), *("" if one is None else str(one) for one in seen)])
    names, codes = np.unique(texts, return_inverse=True)
    known = np.array([one is not None for one in seen], dtype=np.bool_)
    keep = tuple(str(name) for name in names)
    lift = 1 if keep[0] == "" and str(expected) != "" else 0
    codes = codes.astype(np.int64) - lift
    want = np.full(len(seen), codes[0], dtype=np.int64)
    return Told(keep[lift:], Column(np.maximum(codes[1:], 0), known), column(want))


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """How far clocks can be trusted, by interval."""

    gateway: Column | None = None  # the gateway's clock ahead of UTC [us]
    proven: Column | None = None  # since the gateway's clock was last compared with a source of time [s]
    meter: Column | None = None  # the meter's clock ahead of the gateway's [us]
    lasted: Column | None = None  # how long the interval was on a clock that is never set [us]


@dataclass(frozen=True, slots=True, eq=False)
class Device:
    """What the meter and the polling of it say, by interval."""

    flags: Column | None = None  # DeviceFlags
    pulses: Column | None = None  # counts of a pulse recorder
    samples: Column | None = None  # good polls
    planned: Column | None = None  # polls that were planned


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Other sources for the same energy or its cause, by interval."""

    recorder: Column | None = None  # the meter's own load profile [counts]
    scada: Column | None = None  # a control system's value [counts]
    fuel: Column | None = None  # energy of the fuel burnt [kJ]
    charge: Column | None = None  # into the storage [counts]
    discharge: Column | None = None  # out of it [counts]
    sources: Column | None = None  # all that flows into the node of this channel [counts]
    uses: Column | None = None  # all that flows out of it, losses and storage included [counts]
    refused: Column | None = None  # 1 where the gateway did not use the load profile, for it contradicts the polls


@dataclass(frozen=True, slots=True, eq=False)
class Before:
    """The version that stands, by interval."""

    values: Column  # [counts]; known where there is one
    estimated: Bools  # it is an estimate or a substitute
    final: Bools  # it went out with a final release
    approved: Bools  # a second person has approved the change


@dataclass(frozen=True, slots=True, eq=False)
class Deliveries:
    """Intervals in order of arrival, before they became slots; d of them."""

    starts: Ints  # [UTC s]
    lengths: Ints  # [s]
    batches: Ints  # number of the batch that brought it
    digests: Ints  # of that batch's bytes, any 64 bits of a hash
    labels: Ints | None = None  # the local wall time that it was labelled with, as if UTC [s]

    def __post_init__(self) -> None:
        if len({one.shape for one in (self.starts, self.lengths, self.batches, self.digests)}) != 1:
            raise ValueError("deliveries: starts, lengths, batches and digests have different lengths")


Group = Clocks | Device | Beside


def columns(group: Group | None) -> Iterator[tuple[str, Column]]:
    """Give the columns of a group that are there, by name."""
    if group is not None:
        for one in fields(group):
            found = getattr(group, one.name)
            if found is not None:
                yield one.name, found
