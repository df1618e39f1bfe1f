"""Where a later anchor of the same boot puts what was sealed by a clock that was wrong. Published, like the rule.

Nothing sealed changes: reads keep their place on the boot clock, and an anchor of a synchronised clock says what time
that was. Rules of this file: pure; exact until the one rounding. Where the boundaries still lie on the grid (a clock
that was hours or days off), only the labels move and the signed values stand. Else the register at each boundary of
the grid is interpolated between the two signed reads around it (WIRE.md section 3, rule 3); its bounds are those reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from shared import registers as rule
from shared.batch import ClockState
from shared.intervals import Intervals
from shared.registers import ONE, At, Mark, Register

US = 1_000_000
#: A boundary that lies less than this from its label is where it should be (facts: clock trust). [us]
NEAR = 1 * US
#: What a boot clock may drift against true time. [parts per million]
DRIFT_PPM = 100


_FAR = 2**62  # [us]


@dataclass(frozen=True, slots=True)
class Anchor:
    """An instant that a synchronised clock tied to the boot clock."""

    boot: int  # [us]
    wall: int  # [UTC us]
    error: int  # [us]

    def wall_of(self, boot: int) -> int:
        """Return UTC of an instant of the boot clock. [us]"""
        return self.wall + boot - self.boot

    def allowance(self, boot: int) -> int:
        """Return how far a boundary may lie from its label and still be right. [us]"""
        return NEAR + self.error + abs(boot - self.boot) * DRIFT_PPM // 1_000_000


def anchor(clock: ClockState) -> Anchor | None:
    """Return the anchor that a batch of a synchronised gateway was sealed with; None of any other."""
    if clock.status != "S" or not clock.anchors:
        return None
    boot, wall, error = clock.anchors[-1]
    return None if error is None else Anchor(boot, wall, error)


def unsure(clock: ClockState) -> bool:
    """Return whether labels of a batch may be wrong: its clock was not synchronised, or stepped while it was open.

    A synchronised batch with one anchor is believed: where its boundaries leave the anchor's line, `verify` says so.
    """
    return clock.status != "S" or len(clock.anchors) > 1


def off(body: Intervals, by: Anchor) -> int | None:
    """Return how far ahead the labels of a batch are of the true time; None where they are right. [us]"""
    for at, boundary in enumerate(body.boundaries):
        if boundary is not None:
            ahead = (body.start + at * body.length) * US - by.wall_of(boundary)
            if abs(ahead) > by.allowance(boundary):
                return ahead
    return None


def shift(body: Intervals, by: Anchor) -> int | None:
    """Return by how many seconds the labels move where the boundaries lie on the grid all the same; else None."""
    ahead = off(body, by)
    if ahead is None:
        return 0
    steps = round(Fraction(ahead, body.length * US))
    moved = -steps * body.length
    for at, boundary in enumerate(body.boundaries):
        if boundary is not None:
            label = (body.start + moved + at * body.length) * US
            if abs(label - by.wall_of(boundary)) > by.allowance(boundary):
                return None
    return moved


def true_start(body: Intervals, by: Anchor) -> int:
    """Return when the first known boundary of a batch truly was. [UTC s]"""
    known = (boundary for boundary in body.boundaries if boundary is not None)
    return by.wall_of(next(known, by.boot)) // US


def placed(body: Intervals, by: Anchor | None) -> tuple[int, int]:
    """Return the span of a batch's intervals, where its labels were moved to if an anchor moves them. [UTC s]"""
    moved = 0 if by is None else shift(body, by)
    if by is None or moved is not None:
        start = body.start + (moved or 0)
        return start, start + body.n * body.length
    start = true_start(body, by) // body.length * body.length
    return start, start + (body.n + 1) * body.length  # off the grid, it lies across one more boundary


@dataclass(frozen=True, slots=True)
class Level:
    """A register at a boundary of the grid."""

    time: int  # [UTC s]
    level: int  # [counts]
    low: int  # [counts]
    high: int  # [counts]
    seam: bool  # no energy is claimed across it from the level before
    late: bool  # interpolated between reads of other boundaries


def levels(register: Register, at: Sequence[At], body: Intervals, by: Anchor) -> Iterator[Level]:
    """Give the register at each boundary of the grid that a batch knows.

    A boundary that the agent placed right keeps its own reads, so that it agrees with the batch that repeats it; at any
    other the register is interpolated between the two signed reads around it.

    Args:
        register: The reads.
        at: Their times. [boot us]
        body: Its batch.
        by: What ties them to true time.
    """
    right = {one.time: one for one in _right(register, at, body, by)}
    opening = {times[0]: time for time, times in _lone(at, body, by) if time in right}
    step, torn, latest = register.step or 0, False, None
    end = by.wall_of(at[-1][0] if at and at[-1] else by.boot + _FAR)  # the next batch repeats its reads, and knows more
    before: tuple[int, Fraction] | None = None
    for time, value, seam in _reads(register, at):
        torn, before = torn or seam, None if seam else before
        walls = [opening[time]] if before is None and time in opening else []
        if before is not None:
            walls = [*_grid(by.wall_of(before[0]), by.wall_of(time), body.length)]
        for wall in walls:
            if latest is not None and wall <= latest:
                continue
            one = right.get(wall)
            if one is None and before is not None and wall * US < end:
                one = _between(before, (time, value), wall, by, step)
            if one is not None:
                yield replace(one, seam=torn)
                torn, latest = False, wall
        before = (time, value)


def seam_at(register: Register, at: Sequence[At]) -> int | None:
    """Return when the first read after a register's last seam was; None where there is none. [boot us]"""
    return max((time for time, _, seam in _reads(register, at) if seam), default=None)


def _between(before: tuple[int, Fraction], after: tuple[int, Fraction], wall: int, by: Anchor, step: int) -> Level:
    level = rule.at_boundary((before[1], after[1]), (before[0], after[0]), by.boot + wall * US - by.wall)
    low, high = min(before[1], after[1]), max(before[1], after[1])
    return Level(wall, level, low.__floor__(), high.__ceil__() + step, seam=False, late=True)


def _right(register: Register, at: Sequence[At], body: Intervals, by: Anchor) -> Iterator[Level]:
    """Give the register at each boundary that the agent placed where one of the grid is."""
    known = zip(rule.registers(register, at, body.boundaries), rule.bounds(register, at), strict=True)
    for boundary, (level, bounds) in zip(body.boundaries, known, strict=True):
        wall = None if boundary is None else _nearest(boundary, body.length, by)
        if wall is not None and level is not None and bounds is not None:
            yield Level(wall, level, *bounds, seam=False, late=False)


def _lone(at: Sequence[At], body: Intervals, by: Anchor) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Give the boundaries of the grid that stand on one read, with its time. [UTC s, boot us]"""
    for boundary, times in zip(body.boundaries, at, strict=True):
        wall = None if boundary is None else _nearest(boundary, body.length, by)
        if wall is not None and times is not None and len(times) == 1:
            yield wall, times


def _nearest(boundary: int, length: int, by: Anchor) -> int | None:
    """Return the boundary of the grid that an instant is; None where it is none. [boot us, s -> UTC s]"""
    wall = round(Fraction(by.wall_of(boundary), length * US)) * length
    return wall if abs(by.wall_of(boundary) - wall * US) <= by.allowance(boundary) else None


def _grid(first: int, last: int, length: int) -> range:
    """Return the boundaries in ``[first, last)``. [UTC us, s]"""
    return range(-(-first // (length * US)) * length, -(-last // (length * US)) * length, length)


def _reads(register: Register, at: Sequence[At]) -> Iterator[tuple[int, Fraction, bool]]:
    """Give all reads of a register in order, with whether a seam lies before."""
    seam, latest = False, None
    for values, times, flags in zip(rule.reads(register, ONE), at, register.flags, strict=True):
        seam = seam or bool(flags & Mark.SEAM)
        if values is None or times is None:
            continue
        for time, value in zip(times, values, strict=True):
            if latest is None or time > latest:
                yield time, value, seam
                seam, latest = False, time
