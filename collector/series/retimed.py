"""Pieces of a batch whose labels were wrong, put where an anchor of the same boot says that they were. Pure.

Rules of this file: the arithmetic is that of `shared.retiming`; where only labels move, the signed values stand; else a
boundary register is interpolated, keeps its bounds, and says so. The interval between two batches is known by the
registers at its ends (`registers.join`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

import numpy as np

from collector.series.blocks import Piece
from collector.series.codec import RAW, UNTOLD, Records
from collector.series.registers import Segment
from shared import retiming
from shared.factor import corrected
from shared.intervals import Block, Intervals
from shared.quantity import INT64_MAX, INT64_MIN
from shared.registers import ONE, Mark
from shared.retiming import US, Anchor, Level


def pieces(
    found: Iterable[Piece], body: Intervals, block: Block, by: Anchor, held: Callable[[str], Fraction] = lambda _: ONE
) -> Iterator[Piece]:  # fmt: skip
    """Give the pieces of a block with the labels that they should have had.

    Args:
        found: As they were sealed.
        body: Their batch.
        block: Their block.
        by: The anchor.
        held: By quantity, the correction of the multiplier that holds at the true time.
    """
    moved = retiming.shift(body, by)
    for piece in found:
        if piece.segment is None:
            yield piece
        elif moved is not None:
            yield replace(piece, segment=_moved(piece.segment, moved))
        elif piece.segment.enc != "stat":  # statistics of other spans of time say nothing of these
            yield replace(piece, segment=_laid(piece, piece.segment, body, block, by, held))


def _moved(segment: Segment, seconds: int) -> Segment:
    records = segment.boundaries.copy()
    if segment.enc != "stat":
        records["flags"] |= int(Mark.RETIMED)
        records["unsynchronised"] = 0
    return replace(segment, start=segment.start + seconds, boundaries=records)


def _laid(
    piece: Piece, segment: Segment, body: Intervals, block: Block, by: Anchor, held: Callable[[str], Fraction]
) -> Segment | None:  # fmt: skip
    """Return the registers at the boundaries of the grid; None where none lies between the reads.

    A seam after the last of them is told at the boundary that follows, which stays unknown.
    """
    register = corrected(block.registers[piece.quantity], held(piece.quantity))
    levels = {one.time: one for one in retiming.levels(register, block.at, body, by) if _fits(one)}
    torn, known = retiming.seam_at(register, block.at), list(levels)
    if torn is not None and by.wall_of(torn) > max(levels, default=0) * US:
        known.append(-(-by.wall_of(torn) // (segment.length * US)) * segment.length)
    if not known:
        return None
    times = range(min(known), max(known) + segment.length, segment.length)
    records = _records(levels, times, segment.boundaries[-1])
    records["flags"][-1] |= 0 if times[-1] in levels else int(Mark.SEAM)
    return replace(segment, start=times[0], boundaries=records)


def _records(levels: Mapping[int, Level], times: range, like: np.void) -> Records:
    records = np.zeros(len(times), RAW)
    records["position"], records["since"] = like["position"], like["since"]
    records["late"] = records["longer"] = UNTOLD
    own = int(like["flags"]) & int(Mark.RECORDER)
    for at, time in enumerate(times):
        one = levels.get(time)
        if one is None:
            continue
        marks = Mark.RETIMED | (Mark.LATE if one.late else Mark.NONE) | (Mark.SEAM if one.seam else Mark.NONE)
        for name, value in (("register", one.level), ("low", one.low), ("high", one.high), ("known", 1),
                            ("flags", int(marks) | own)):  # fmt: skip
            records[name][at] = value
    return records


def _fits(one: Level) -> bool:
    return one.low >= INT64_MIN and one.high <= INT64_MAX
