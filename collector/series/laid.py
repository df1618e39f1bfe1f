"""Packed segments of many channels laid over one span at once, the later over the earlier. Pure.

Rule of this file: what takes numpy a call for each segment takes longer than the numbers themselves; so segments are
opened one behind the other and each record is told its place.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from collector.series.codec import Ints, Records, unpack_all


class Kept(Protocol):
    """A row of a table of segments."""

    channel_id: int
    start: int  # [UTC s]
    blob: bytes


def laid(
    rows: Sequence[Kept], kind: "np.dtype[Any]", owners: Mapping[int, int], start: int, length: int, slots: int
) -> tuple[Records, Ints]:
    """Return the records that fall into a span, in the order of their rows, and the place of each.

    Args:
        rows: Segments.
        kind: Of their records.
        owners: By channel its line.
        start: Of the span. [UTC s]
        length: From one slot to the next. [s]
        slots: Of each line; a place is line * slots + slot.
    """
    records, counts = unpack_all([row.blob for row in rows], kind)
    if not len(records):
        return records, np.zeros(0, np.int64)
    firsts = np.array([(row.start - start) // length for row in rows], np.int64)
    lines = np.array([owners[row.channel_id] for row in rows], np.int64)
    slot = np.arange(len(records), dtype=np.int64) + np.repeat(firsts - (np.cumsum(counts) - counts), counts)
    places = slot if not lines.any() else slot + np.repeat(lines * slots, counts)
    if (firsts >= 0).all() and (firsts + counts <= slots).all():
        return records, places
    inside = (slot >= 0) & (slot < slots)
    return records[inside], places[inside]


def latest(places: Ints) -> Ints:
    """Return where the last one of each place is, in the order of places.

    >>> latest(np.array([4, 2, 4])).tolist()
    [1, 2]
    """
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    last = np.ones(len(places), dtype=np.bool_)
    last[:-1] = ordered[1:] != ordered[:-1]
    found: Ints = order[last]
    return found
