"""Packed segments: arrays of fixed little-endian records behind one byte that names their version.

Rules of this file: what `pack` wrote, `unpack` gives back on any machine; a version once used keeps its meaning.
"""

import struct
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import StoreError

Records = NDArray[np.void]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

VERSION = 1
#: Those of the series have changed once; what was written before is built again from the ledger.
SERIES_VERSION = 2

#: A boundary register: what the reads give, what it can have been (rule 5), where it comes from.
RAW = np.dtype(
    [
        ("register", "<i8"),  # [counts], unrolled inside the segment
        ("low", "<i8"), ("high", "<i8"),  # [counts]
        ("position", "<i8"),  # of the batch
        ("since", "<i8"),  # position from which on it counts: the batch's own, or of what let it in
        ("until", "<i8"),  # position from which on it counts no more; 0 where there is none
        ("samples", "<u4"),  # good polls in the interval that ends here
        ("flags", "<u2"),  # shared.registers.Mark
        ("known", "u1"),
        ("unsynchronised", "u1"),
    ]
)  # fmt: skip

#: One boundary register as `RAW` has it, for `raw_records`.
_ROW = struct.Struct("<6qIHBB")

#: A statistic of one interval.
STAT = np.dtype([("value", "<i8"), ("position", "<i8"), ("since", "<i8"), ("until", "<i8"), ("known", "u1")])

#: A version of one interval value.
VALUE = np.dtype(
    [("value", "<i8"), ("position", "<i8"), ("flags", "<u4"), ("method", "<u2"), ("status", "u1")]
)  # fmt: skip


def raw_records(rows: Iterable[tuple[int, int, int, int, int, int, int, int, bool, bool]]) -> Records:
    """Return boundary registers, each in the order of `RAW`; they may not be written to."""
    return np.frombuffer(b"".join(starmap(_ROW.pack, rows)), RAW)


def chained(parts: Sequence[Records]) -> Records:
    """Return records of one kind, one after the other (numpy's own way compares their types field by field)."""
    return np.frombuffer(b"".join(part.tobytes() for part in parts), parts[0].dtype)


def pack(records: Records) -> bytes:
    """Return the blob of some records."""
    return bytes([_version(records.dtype)]) + records.tobytes()


def _version(kind: np.dtype[Any]) -> int:
    return VERSION if kind == VALUE else SERIES_VERSION


def unpack(blob: bytes, kind: np.dtype[Any]) -> Records:
    """Return the records of a blob; they may be written to.

    Raises:
        StoreError: it was written by newer software, or is cut.
    """
    octets = bytes(blob)
    if not octets or octets[0] != _version(kind):
        found, wanted = octets[:1].hex() or "none", _version(kind)
        raise StoreError(f"a packed segment is of version {found}; this software reads {wanted}")
    if (len(octets) - 1) % kind.itemsize:
        raise StoreError("a packed segment is cut; build the series again, or restore the database from a backup")
    return np.frombuffer(octets, kind, offset=1).copy()
