"""Interval data of others, as their files tell it: unsigned, never more than it says."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """One stream of one outside meter, in order of time; values are None where the file has none."""

    name: str  # as the file calls it, as "NMI.SUFFIX"
    unit: str  # of one count: mWh, mvarh, mVAh
    length: int  # [s]
    starts: Sequence[int]  # of the intervals [UTC s]
    values: Sequence[int | None]  # [counts]
    status: Sequence[Status]
    notes: Sequence[str]  # the file's own words on each value, as "F14 76"
