"""One block of one meter under one serial: its boundary reads since the last seal, and the wire block they make.

Rules of this file: pure. Values come from `shared.registers` and nothing else; a flag says what happened between two
known boundaries; a boundary whose reads lie on both sides of a seam stays unknown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil
from typing import Any

from agent.acquire.decode import float_step
from agent.acquire.points import Point, Raw
from agent.measure.reads import Believed, BlockReads, Choice
from agent.measure.statistics import Statistics
from shared import registers as rule
from shared.intervals import Block
from shared.registers import Mark, Register


@dataclass(slots=True)
class Line:
    """A block read again and again; `choices` holds what stands for each boundary, by its UTC second."""

    meter: str
    block: int
    serial: str | None
    serial_source: str
    reads: BlockReads
    carries_statistics: bool
    choices: dict[int, Choice] = field(default_factory=dict)
    statistics: dict[int, Statistics] = field(default_factory=dict)  # by the interval's start
    before: dict[str, tuple[int, int]] = field(default_factory=dict)  # run and turns at the last known boundary
    ended: int | None = None  # when another meter took its place [boot us]

    def continues(self, former: "Line") -> None:
        """Take over reads and runs of the block that brought these registers until now."""
        self.choices, self.before = dict(former.choices), dict(former.before)
        self.reads.recent.extend(former.reads.recent)
        for name in self.reads.runs:
            self.reads.runs[name], self.reads.turns[name] = former.reads.runs[name], former.reads.turns[name]

    def resolve(
        self, wall: int, boundary: int | None, now: int, frozen: frozenset[str] = frozenset(), marks: int = 0
    ) -> bool:
        """Return whether it is settled what stands for a boundary.

        Args:
            wall: The boundary. [UTC s]
            boundary: The same on the boot clock; None if it was never passed. [us]
            now: The present. [boot us]
            frozen: Quantities whose register stands still under load at present.
            marks: What is to be said of every register at this boundary (shared.registers.Mark).
        """
        if wall not in self.choices:
            over = boundary is None or (self.ended is not None and boundary > self.ended)
            choice = Choice(()) if boundary is None or over else self.reads.choose(boundary, now)
            if choice is None:
                return False
            self.choices[wall] = replace(choice, frozen=frozen, marks=marks) if frozen or marks else choice
            if boundary is not None:
                self.reads.forget(boundary)
        return True

    def wire(self, walls: Sequence[int], boundaries: Sequence[int | None]) -> Block:
        """Return the block over these boundaries. [UTC s, boot us]"""
        choices = [self.choices.get(wall, Choice(())) for wall in walls]
        at = tuple(tuple(read.at for read in choice.reads) or None for choice in choices)
        registers = {
            point.quantity: self._register(point, choices, at, boundaries) for point in self.reads.points
        }  # fmt: skip
        statistics = [self.statistics.get(wall, Statistics()) for wall in walls[:-1]]
        stats = _columns([one.result() for one in statistics]) if self.carries_statistics else {}
        samples = tuple(one.samples for one in statistics)
        return Block(self.meter, self.serial, self.serial_source, "poll", at, registers, stats, samples)

    def _register(
        self, point: Point, choices: Sequence[Choice], at: Sequence[rule.At], boundaries: Sequence[int | None]
    ) -> Register:
        raws: list[tuple[Raw, ...] | None] = []
        flags: list[int] = []
        for choice in choices:
            raw, flag = self._boundary(point.quantity, choice)
            raws.append(raw)
            flags.append(flag)
        register = Register(point.enc, tuple(raws), point.mult, point.mod, _step(point, raws), tuple(flags))
        return replace(register, values=tuple(rule.values(register, at, boundaries)))

    def _boundary(self, name: str, choice: Choice) -> tuple[tuple[Raw, ...] | None, int]:
        """Return raw reads and flags of one quantity at a boundary."""
        raws = _present(choice.reads, name)
        if name in choice.frozen:
            return None, choice.marks | Mark.FROZEN
        if raws is None:
            return None, choice.marks
        first, last = choice.reads[0], choice.reads[-1]
        flag = choice.marks | first.marks.get(name, 0) | last.marks.get(name, 0)
        flag |= Mark.LATE if choice.late else Mark.NONE
        place = last.runs[name], last.turns[name]
        before = self.before.get(name, (first.runs[name], first.turns[name]))
        self.before[name] = place
        if place[0] != before[0] or place[1] > before[1] + 1:
            return raws, flag | Mark.SEAM
        turned = place[1] > min(before[1], first.turns[name])  # before the boundary, or between its two reads
        return raws, flag | (Mark.ROLLOVER if turned else Mark.NONE)

    def seal(self, wall: int) -> None:
        """Keep only what the next batch begins with: the boundary just sealed."""
        self.choices = {key: choice for key, choice in self.choices.items() if key >= wall}
        self.statistics = {key: kept for key, kept in self.statistics.items() if key >= wall}

    def state(self, wall: int) -> dict[str, Any] | None:
        """Return what a restart needs of the boundary just sealed; None if nothing is known of this block."""
        if not self.reads.known:
            return None
        choice = self.choices.get(wall, Choice(()))
        return {
            "meter": self.meter, "block": self.block, "serial": self.serial, "serial_source": self.serial_source,
            "known": {name: [at, raw] for name, (at, raw) in self.reads.known.items()},
            "reads": [[read.sent, read.at, dict(read.registers), dict(read.marks)] for read in choice.reads],
            "late": choice.late, "marks": choice.marks, "frozen": sorted(choice.frozen),
        }  # fmt: skip


def _step(point: Point, raws: Sequence[tuple[Raw, ...] | None]) -> int | None:
    """Return the resolution of a register in counts: what is declared, or what its float can still tell apart."""
    if point.enc == "int":
        return point.step
    largest: Fraction = Fraction(0)
    for raw in (one for some in raws for one in some or ()):
        parts = raw if isinstance(raw, tuple) else (raw,)
        steps = (float_step(part, point.enc) * mult for part, mult in zip(parts, point.mults, strict=True))
        largest = max(largest, sum(steps, Fraction(0)))
    return max(point.step or 0, ceil(largest)) or None


def _present(reads: Sequence[Believed], name: str) -> tuple[Raw, ...] | None:
    """Return the raws of all reads at a boundary, or None when one lacks or a seam lies between them."""
    raws = [read.registers.get(name) for read in reads]
    if not raws or len({read.runs[name] for read in reads}) > 1:
        return None
    found = tuple(raw for raw in raws if raw is not None)
    return found if len(found) == len(raws) else None


def _columns(rows: Sequence[dict[str, int]]) -> dict[str, tuple[int | None, ...]]:
    names = sorted({name for row in rows for name in row})
    return {name: tuple(row.get(name) for row in rows) for name in names}


def restored(raw: Any) -> Raw:  # noqa: ANN401 - a raw as JSON keeps it
    """Return a raw register as it was before it went through JSON."""
    return tuple(raw) if isinstance(raw, list) else int(raw)
