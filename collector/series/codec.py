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

#: A boundary register: what the reads give, what it can have been (rule 5), where it comes from.
RAW = np.dtype(
    [
        ("register", "<i8"),  # [counts], unrolled inside the segment
        ("low", "<i8"), ("high", "<i8"),  # [counts]
        ("position", "<i8"),  # of the batch
        ("since", "<i8"),  # position from which on it counts: the batch's own, or of the record that let it in
        ("samples", "<u4"),  # good polls in the interval that ends here
        ("flags", "<u2"),  # shared.registers.Mark
        ("known", "u1"),
        ("unsynchronised", "u1"),
    ]
)  # fmt: skip

#: One boundary register as `RAW` has it, for `raw_records`.
_ROW = struct.Struct("<5qIHBB")

#: A statistic of one interval.
STAT = np.dtype([("value", "<i8"), ("position", "<i8"), ("since", "<i8"), ("known", "u1")])

#: A version of one interval value.
VALUE = np.dtype(
    [("value", "<i8"), ("position", "<i8"), ("flags", "<u4"), ("method", "<u2"), ("status", "u1")]
)  # fmt: skip


def raw_records(rows: Iterable[tuple[int, int, int, int, int, int, int, bool, bool]]) -> Records:
    """Return boundary registers, each in the order of `RAW`; they may not be written to."""
    return np.frombuffer(b"".join(starmap(_ROW.pack, rows)), RAW)


def chained(parts: Sequence[Records]) -> Records:
    """Return records of one kind, one after the other (numpy's own way compares their types field by field)."""
    return np.frombuffer(b"".join(part.tobytes() for part in parts), parts[0].dtype)


def pack(records: Records) -> bytes:
    """Return the blob of some records."""
    return bytes([VERSION]) + records.tobytes()


def unpack(blob: bytes, kind: np.dtype[Any]) -> Records:
    """Return the records of a blob; they may be written to.

    Raises:
        StoreError: it was written by newer software, or is cut.
    """
    octets = bytes(blob)
    if not octets or octets[0] != VERSION:
        raise StoreError(f"a packed segment is of version {octets[:1].hex() or 'none'}; this software reads {VERSION}")
    if (len(octets) - 1) % kind.itemsize:
        raise StoreError("a packed segment is cut; build the series again, or restore the database from a backup")
    return np.frombuffer(octets, kind, offset=1).copy()
