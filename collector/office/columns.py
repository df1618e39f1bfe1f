"""Interval values in columns, as JSON and as CSV, without a loop over rows in the way. Pure."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from operator import mul
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.office.digits import joined
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
    methods: Mapping[int, str]  # names by code
    method: NDArray[np.uint16]  # codes, 0 where none was used
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
        return [self.methods.get(code) for code in self.method.tolist()]

    @property
    def shown_flags(self) -> list[list[str]]:
        """Return the flag names of each interval."""
        known = {bits: names(Flags(bits)) for bits in np.unique(self.flags).tolist()}
        return [known[bits] for bits in self.flags.tolist()]


def as_json(columns: Columns) -> bytes:
    """Return one object with a list for each column, spelled as a JSON writer does without spaces."""
    head = {
        "channel": columns.channel, "unit": columns.unit, "start": instant(columns.start), "length_s": columns.length,
        "position": columns.position,
    }  # fmt: skip
    methods = {code: _spelled(name) + b"," for code, name in columns.methods.items()} | {0: b"null,"}
    firsts, counts = _runs(columns.status, columns.method, columns.flags)
    status, method, flags = (one[firsts].tolist() for one in (columns.status, columns.method, columns.flags))
    return b"".join([
        _spelled(head)[:-1], b',"values":[', _values(columns), b'],"status":[', _repeated(map(_status, status), counts),
        b'],"method":[', _repeated(map(methods.__getitem__, method), counts), b'],"flags":[',
        _repeated(map(_flags, flags), counts), b"]}",
    ])  # fmt: skip


def _values(columns: Columns) -> bytes:
    if columns.values.max(initial=0) > SAFE or columns.values.min(initial=0) < -SAFE:
        return _spelled(columns.shown_values)[1:-1]
    return joined(columns.values, columns.known)


def _runs(*columns: NDArray[Any]) -> tuple[NDArray[np.intp], list[int]]:
    """Return where intervals begin of which all columns say the same, and how many follow each: they change seldom."""
    changes = np.logical_or.reduce([one[1:] != one[:-1] for one in columns])
    count = len(columns[0])
    edges = np.concatenate([[0] * min(1, count), np.flatnonzero(changes) + 1, [count]]).astype(np.intp)
    return edges[:-1], np.diff(edges).tolist()


def _repeated(texts: Iterable[bytes], counts: Iterable[int]) -> bytes:
    """Return texts, each with a comma behind it and so many times, but the last comma."""
    return b"".join(map(mul, texts, counts))[:-1]


@cache
def _status(code: int) -> bytes:
    return _spelled(Status(code).name) + b","


@cache  # of the few sets that occur
def _flags(bits: int) -> bytes:
    return _spelled(names(Flags(bits))) + b","


def _spelled(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


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
