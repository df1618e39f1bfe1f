"""Interval values in columns, as JSON and as CSV, without a loop over rows in the way. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.release import instant
from shared.status import Flags, Status, names
from shared.strictjson import SAFE

HEADER = "channel,unit,start,length_s,value,status,method,flags"
_STATUS = np.array([status.name for status in Status], dtype=np.object_)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """Consecutive intervals of one channel, as they were known at a position of the log."""

    channel: str
    unit: str
    start: int  # [UTC s]
    length: int  # [s]
    position: int
    values: NDArray[np.int64]  # [unit]
    known: NDArray[np.bool_]  # where not, there is no value
    status: NDArray[np.uint8]
    methods: Sequence[str | None]  # by code
    method: NDArray[np.intp]  # codes
    flags: NDArray[np.uint32]

    @property
    def shown_values(self) -> list[int | str | None]:
        """Return the values as JSON may hold them, None where there is none."""
        shown = self.values.astype(np.object_)
        shown[~self.known] = None
        for at in np.flatnonzero(self.known & ((self.values > SAFE) | (self.values < -SAFE))):
            shown[at] = str(self.values[at])
        found: list[int | str | None] = shown.tolist()
        return found

    @property
    def shown_status(self) -> list[str]:
        """Return the names of the statuses."""
        found: list[str] = _STATUS[self.status].tolist()
        return found

    @property
    def shown_method(self) -> list[str | None]:
        """Return the names of the methods, None where none was used."""
        found: list[str | None] = np.array(list(self.methods), dtype=np.object_)[self.method].tolist()
        return found

    @property
    def shown_flags(self) -> list[list[str]]:
        """Return the flag names of each interval."""
        distinct, places = np.unique(self.flags, return_inverse=True)
        by_place = [names(Flags(int(one))) for one in distinct]
        return [by_place[place] for place in places.tolist()]


def as_json(columns: Columns) -> bytes:
    """Return one object with a list for each column."""
    members = {
        "channel": columns.channel, "unit": columns.unit, "start": instant(columns.start), "length_s": columns.length,
        "position": columns.position, "values": columns.shown_values, "status": columns.shown_status,
        "method": columns.shown_method, "flags": columns.shown_flags,
    }  # fmt: skip
    return json.dumps(members, separators=(",", ":")).encode("ascii")


def as_csv(columns: Columns) -> bytes:
    """Return RFC 4180 with a header; flags joined by `|`, nothing where there is no value."""
    starts = columns.start + np.arange(len(columns.values), dtype=np.int64) * columns.length
    head, length = f"{columns.channel},{columns.unit},", columns.length
    lines = [
        f"{head}{start}Z,{length},{'' if value is None else value},{status},{method or ''},{'|'.join(flags)}"
        for start, value, status, method, flags in zip(
            np.datetime_as_string(starts.astype("datetime64[s]")).tolist(), columns.shown_values, columns.shown_status,
            columns.shown_method, columns.shown_flags, strict=True,
        )
    ]  # fmt: skip
    return ("\r\n".join([HEADER, *lines]) + "\r\n").encode("ascii")
