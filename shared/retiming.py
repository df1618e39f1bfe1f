"""Where a later anchor of the same boot puts what was sealed by a clock that was wrong. Published, like the rule.

Nothing sealed changes: reads keep their place on the boot clock, and an anchor of a synchronised clock says what time
that was. Rules of this file: pure; exact until the one rounding. Where the boundaries still lie on the grid (a clock
that was hours or days off), only the labels move and the signed values stand. Else the register at each boundary of
the grid is interpolated between the two signed reads around it (WIRE.md section 3, rule 3); its bounds are those reads.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    """Return whether labels of a batch may be wrong: its clock was not synchronised, or stepped while it was open."""
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


@dataclass(frozen=True, slots=True)
class Level:
    """A register at a boundary of the grid."""

    time: int  # [UTC s]
    level: int  # [counts]
    low: int  # [counts]
    high: int  # [counts]
    seam: bool  # no energy is claimed across it from the level before


def levels(register: Register, at: Sequence[At], length: int, by: Anchor) -> Iterator[Level]:
    """Give the register at each boundary of the grid that lies between two signed reads of a batch.

    Args:
        register: The reads.
        at: Their times. [boot us]
        length: Of an interval. [s]
        by: What ties them to true time.
    """
    step, torn = register.step or 0, False
    before: tuple[int, Fraction] | None = None
    for time, value, seam in _reads(register, at):
        if seam:
            before, torn = None, True
        if before is not None:
            for wall in _grid(by.wall_of(before[0]), by.wall_of(time), length):
                boundary = by.boot + wall * US - by.wall
                level = rule.at_boundary((before[1], value), (before[0], time), boundary)
                low, high = min(before[1], value), max(before[1], value)
                yield Level(wall, level, low.__floor__(), high.__ceil__() + step, torn)
                torn = False
        before = (time, value)


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
