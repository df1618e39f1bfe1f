"""Pieces of a batch whose labels were wrong, put where an anchor of the same boot says that they were. Pure.

Rules of this file: the arithmetic is that of `shared.retiming`; where only labels move, the signed values stand; else a
boundary register is interpolated, keeps its bounds, and says so. Batches are given in order, and the end of each is
repeated at the beginning of the next, so that the intervals between them are known as well.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from collector.series.blocks import Piece
from collector.series.codec import RAW, Records, chained
from collector.series.registers import Segment
from shared import retiming
from shared.intervals import Block, Intervals
from shared.quantity import INT64_MAX, INT64_MIN
from shared.registers import Mark
from shared.retiming import Anchor, Level


@dataclass(frozen=True, slots=True, eq=False)
class End:
    """The last boundary of a channel that was laid."""

    segment: Segment
    record: Records  # one


Ends = dict[tuple[str, str, str], End]  # by meter, quantity, path


def pieces(found: Iterable[Piece], body: Intervals, block: Block, by: Anchor, ends: Ends) -> Iterator[Piece]:
    """Give the pieces of a block with the labels that they should have had.

    Args:
        found: As they were sealed.
        body: Their batch.
        block: Their block.
        by: The anchor.
        ends: Where the batches before ended; changed.
    """
    moved = retiming.shift(body, by)
    for piece in found:
        if piece.segment is None:
            yield piece
        elif moved is not None:
            yield replace(piece, segment=_moved(piece.segment, moved))
        elif piece.segment.enc != "stat":  # statistics of other spans of time say nothing of these
            yield replace(piece, segment=_laid(piece, piece.segment, block, by, ends))


def _moved(segment: Segment, seconds: int) -> Segment:
    records = segment.boundaries.copy()
    if segment.enc != "stat":
        records["flags"] |= int(Mark.RETIMED)
        records["unsynchronised"] = 0
    return replace(segment, start=segment.start + seconds, boundaries=records)


def _laid(piece: Piece, segment: Segment, block: Block, by: Anchor, ends: Ends) -> Segment | None:
    """Return the registers at the boundaries of the grid; None where none lies between the reads."""
    register = block.registers[piece.quantity]
    levels = {one.time: one for one in retiming.levels(register, block.at, segment.length, by) if _fits(one)}
    if not levels:
        return None
    first, key = min(levels), (piece.meter, piece.quantity, piece.path)
    stop = max(levels) + segment.length
    fresh = replace(
        segment, start=first, boundaries=_records(levels, range(first, stop, segment.length), segment.boundaries[-1])
    )
    end = ends.get(key)
    ends[key] = End(fresh, fresh.boundaries[-1:])
    if end is None or not _continues(end, fresh):
        return fresh
    return replace(fresh, start=first - segment.length, boundaries=chained([end.record, fresh.boundaries]))


def _continues(end: End, fresh: Segment) -> bool:
    before, first = end.segment, fresh.boundaries[0]
    same = (before.serial, before.enc, before.modulus, before.length, before.step) == (
        fresh.serial, fresh.enc, fresh.modulus, fresh.length, fresh.step
    )  # fmt: skip
    seam = int(first["flags"]) & int(Mark.SEAM)
    return (
        same
        and not seam
        and before.stop == fresh.start - fresh.length
        and bool(end.record["register"][0] <= first["register"])
    )


def _records(levels: Mapping[int, Level], times: range, like: np.void) -> Records:
    records = np.zeros(len(times), RAW)
    records["position"], records["since"] = like["position"], like["since"]
    for at, time in enumerate(times):
        one = levels.get(time)
        if one is None:
            continue
        seam = int(Mark.SEAM) if one.seam else 0
        for name, value in (("register", one.level), ("low", one.low), ("high", one.high), ("known", 1),
                            ("flags", int(Mark.LATE | Mark.RETIMED) | seam)):  # fmt: skip
            records[name][at] = value
    return records


def _fits(one: Level) -> bool:
    return one.low >= INT64_MIN and one.high <= INT64_MAX
