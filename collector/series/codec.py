"""Packed segments: arrays of fixed little-endian records behind one byte that names their version, and a checksum.

Rules of this file: what `pack` wrote, `unpack` gives back on any machine; a version once used keeps its meaning; what
a disk has changed is refused, never read as numbers. Segments of before the checksum are still read.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.errors import StoreError

Records = NDArray[np.void]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

VERSION, SUMMED = 1, 3
#: Those of the series have changed once; what was written before is built again from the ledger.
SERIES_VERSION, SERIES_SUMMED = 2, 4
#: Boundaries with the time of their reads; those of before say that nobody knows it.
TIMED = 6
_SUM = struct.Struct("<I")  # CRC-32 of the records

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
        ("late", "<i4"),  # from the boundary to its read, or between both reads [us]; UNTOLD where nobody knows
        ("longer", "<i4"),  # what the interval that ends here lasted more than its label, by the boot clock [us]
    ]
)  # fmt: skip
_UNTIMED = np.dtype([(name, RAW[name]) for name in RAW.names or () if name not in ("late", "longer")])
#: Of the last two fields: not known.
UNTOLD = -(2**31)

_RESCUE = "look at the disk, and restore the database from a backup: agents fill what is newer"
#: One boundary register as `RAW` has it, for `raw_records`.
_ROW = struct.Struct("<6qIHBBii")
Row = tuple[int, int, int, int, int, int, int, int, bool, bool, int, int]

#: A statistic of one interval.
STAT = np.dtype([("value", "<i8"), ("position", "<i8"), ("since", "<i8"), ("until", "<i8"), ("known", "u1")])

#: A version of one interval value.
VALUE = np.dtype(
    [("value", "<i8"), ("position", "<i8"), ("flags", "<u4"), ("method", "<u2"), ("status", "u1")]
)  # fmt: skip


def raw_records(rows: Iterable[Row]) -> Records:
    """Return boundary registers, each in the order of `RAW`; they may not be written to."""
    return np.frombuffer(b"".join(starmap(_ROW.pack, rows)), RAW)


def chained(parts: Sequence[Records]) -> Records:
    """Return records of one kind, one after the other (numpy's own way compares their types field by field)."""
    return np.frombuffer(b"".join(part.tobytes() for part in parts), parts[0].dtype)


def pack(records: Records) -> bytes:
    """Return the blob of some records."""
    octets = records.tobytes()
    return bytes([max(_forms(records.dtype))]) + _SUM.pack(zlib.crc32(octets)) + octets


#: By version how a kind of segment is written, and how long its checksum is; the last is written now.
_Forms = dict[int, tuple[np.dtype[Any], int]]
_VALUES: _Forms = {VERSION: (VALUE, 0), SUMMED: (VALUE, _SUM.size)}
_STATISTICS: _Forms = {SERIES_VERSION: (STAT, 0), SERIES_SUMMED: (STAT, _SUM.size)}
_BOUNDARIES: _Forms = {SERIES_VERSION: (_UNTIMED, 0), SERIES_SUMMED: (_UNTIMED, _SUM.size), TIMED: (RAW, _SUM.size)}


def _forms(kind: np.dtype[Any]) -> _Forms:
    if kind is RAW:  # numpy compares types field by field
        return _BOUNDARIES
    if kind is VALUE or kind == VALUE:
        return _VALUES
    return _STATISTICS if kind is STAT or kind == STAT else _BOUNDARIES


def unpack(blob: bytes, kind: np.dtype[Any]) -> Records:
    """Return the records of a blob; they may be written to.

    Raises:
        StoreError: it was written by newer software, is cut, or was changed on its disk.
    """
    form, octets = _checked(blob, kind)
    records = np.frombuffer(octets, form)
    return records.copy() if form is kind or form == kind else _timed(records)


def unpack_all(blobs: Sequence[bytes], kind: np.dtype[Any]) -> tuple[Records, Ints]:
    """Return the records of many blobs, one behind the other, and how many are of each.

    Raises:
        StoreError: as `unpack`.
    """
    found = [_checked(blob, kind) for blob in blobs]
    if any(form is not kind for form, _ in found):
        parts = [unpack(blob, kind) for blob in blobs]
        return chained(parts), np.array([len(part) for part in parts], np.int64)
    counts = [len(octets) // kind.itemsize for _, octets in found]
    return np.frombuffer(b"".join([octets for _, octets in found]), kind), np.array(counts, np.int64)


def _checked(blob: bytes, kind: np.dtype[Any]) -> tuple[np.dtype[Any], memoryview]:
    """Return how a blob is written, and its records."""
    octets, forms = bytes(blob), _forms(kind)
    if not octets or octets[0] not in forms:
        known = ", ".join(map(str, forms))
        raise StoreError(f"a packed segment is of version {octets[:1].hex() or 'none'}; this software reads {known}")
    form, sum_ = forms[octets[0]]
    begin, records = 1 + sum_, memoryview(octets)[1 + sum_ :]
    if len(octets) < begin or len(records) % form.itemsize:
        raise StoreError(f"a packed segment is cut; {_RESCUE}")
    if sum_ and _SUM.unpack_from(octets, 1)[0] != zlib.crc32(records):
        raise StoreError(f"a packed segment was changed on its disk; {_RESCUE}")
    return form, records


def _timed(records: Records) -> Records:
    """Return boundaries of before their reads had times."""
    found = np.zeros(len(records), RAW)
    for name in _UNTIMED.names or ():
        found[name] = records[name]
    found["late"] = found["longer"] = UNTOLD
    return found
