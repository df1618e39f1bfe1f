"""One block of one meter: which reads are believed, and which of them stand for a boundary.

Rules of this file: pure, told the time. A decrease of a one-way register is believed only when the next read
confirms it; then a new register run begins (a seam), unless the register can have rolled over at the meter's rating.
Which reads stand for a boundary is the published choice (WIRE.md section 3, "Which reads").
A meter that renews its registers only every `update` shows at a read what was so half of that before, on average: its
reads are stamped that much earlier, and a boundary gets a read that was certainly renewed before it and one that was
certainly renewed after it, so that the truth lies between the two.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction

from agent.acquire.drivers.base import BlockRead
from agent.acquire.points import Point, Raw
from shared.batch import Event
from shared.quantity import quantity
from shared.registers import Mark, number

#: A register may advance this much faster than the rating before a rollover is taken for a reset (rule E2's margin).
MARGIN = Fraction(12, 10)
#: A rise this many times faster than the rating is no metering; a register that stood still may well catch up.
LEAP = 10
US_PER_HOUR = 3_600_000_000
#: Reads kept for boundaries to come; far more than any boundary that is still open can need.
_RECENT = 256


@dataclass(frozen=True, slots=True)
class Believed:
    """A read that counts, with the register run and the rollovers so far of each quantity."""

    sent: int  # [boot us]
    at: int  # [boot us]
    registers: Mapping[str, Raw | None]
    runs: Mapping[str, int]
    turns: Mapping[str, int]
    marks: Mapping[str, int] = field(default_factory=dict)  # shared.registers.Mark, of the few that have any


@dataclass(frozen=True, slots=True)
class Choice:
    """The one or two reads that stand for a boundary; none when it stays unknown."""

    reads: tuple[Believed, ...]
    late: bool = False
    marks: int = 0  # of all quantities (shared.registers.Mark)
    frozen: frozenset[str] = frozenset()  # quantities whose register stood still under load


def _parts(raw: Raw) -> tuple[int, ...]:
    return raw if isinstance(raw, tuple) else (raw,)


def fell(point: Point, before: Raw, after: Raw) -> bool:
    """Return whether any part of a register went down."""
    return any(
        number(new, point.enc) < number(old, point.enc)
        for old, new in zip(_parts(before), _parts(after), strict=True)
    )  # fmt: skip


def rolled(point: Point, before: Raw, after: Raw, elapsed: int, rating: int | None) -> bool:
    """Return whether a fall can be a rollover: only when the advance past the modulus is possible at the rating.

    Args:
        point: The register's description.
        before: Raw register of the earlier read.
        after: Raw register of the later read.
        elapsed: Time between them. [us]
        rating: Largest power of the circuit; unknown means that no rollover is believed. [mW]
    """
    if point.mod is None or rating is None:
        return False
    parts = len(_parts(before))
    mods = point.mod if isinstance(point.mod, tuple) else (point.mod,) * parts
    mults = point.mult if isinstance(point.mult, tuple) else (point.mult,) * parts
    advance = Fraction(0)
    for old, new, mod, mult in zip(_parts(before), _parts(after), mods, mults, strict=True):
        change = number(new, point.enc) - number(old, point.enc)
        change += mod if change < 0 else 0
        if change < 0:  # it showed more than it can: another register
            return False
        advance += change * mult
    return advance <= rating * MARGIN * elapsed / US_PER_HOUR + (point.step or 0)


#: Time and raw register of the last read that had one, by quantity.
Known = dict[str, tuple[int, Raw]]


def leapt(point: Point, before: Raw, after: Raw, elapsed: int, rating: int | None) -> bool:
    """Return whether a register rose far beyond the rating: a wrong word order or scale, seldom a meter.

    Units are those of `rolled`. The value stays: validation objects to it, and a person decides.
    """
    if rating is None:
        return False
    pairs = zip(_parts(before), _parts(after), point.mults, strict=True)
    advance = sum(((number(new, point.enc) - number(old, point.enc)) * mult for old, new, mult in pairs), Fraction(0))
    return advance > LEAP * rating * elapsed / US_PER_HOUR + (point.step or 0)


@dataclass(slots=True)
class BlockReads:
    """The recent believed reads of one block of one meter."""

    meter: str
    points: tuple[Point, ...]
    poll: int  # [us]
    tolerance: int  # [us]
    rating: int | None  # [mW]
    update: int = 0  # how often the meter renews its registers, where that is longer than the tolerance [us]
    known: Known = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)
    moved: dict[str, int] = field(default_factory=dict)  # when each register last changed [boot us]
    asked: dict[str, int] = field(default_factory=dict)  # when the read behind `known` was asked for [boot us]
    recent: deque[Believed] = field(default_factory=lambda: deque(maxlen=_RECENT))
    suspect: BlockRead | None = None
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        for point in self.points:
            self.runs.setdefault(point.quantity, 0)
            self.turns.setdefault(point.quantity, 0)

    def feed(self, read: BlockRead) -> None:
        """Take the next read; one that fell without cause waits until the next read confirms it."""
        if self.update:
            read = replace(read, sent=read.sent - self.update // 2, at=read.at - self.update // 2)
        if not self._fallen(self.known, read):
            self._drop_suspect()
            self._believe(read)
        elif self.suspect is None or self._fallen(_known(self.suspect), read):
            self._drop_suspect()
            self.suspect = read
        else:
            confirmed, self.suspect = self.suspect, None
            self._believe(confirmed)
            self._believe(read)

    def take_suspect(self) -> BlockRead | None:
        """Give away the read that waits, because it turned out to be another meter's."""
        taken, self.suspect = self.suspect, None
        return taken

    def _drop_suspect(self) -> None:
        dropped = self.take_suspect()
        if dropped is not None:
            detail: dict[str, object] = {
                name: {"first": [dropped.at, raw]} for name, raw in dropped.registers.items() if raw is not None
            }
            self.events.append(Event(self.meter, "read_discarded", dropped.at, dropped.at, 1, detail))

    def _fallen(self, known: Known, read: BlockRead) -> list[Point]:
        """Return the one-way registers that went down and cannot have rolled over."""
        return [
            point
            for point, (since, old), new in self._one_way(known, read)
            if fell(point, old, new) and not rolled(point, old, new, self._elapsed(point, since, read), self.rating)
        ]

    def _elapsed(self, point: Point, since: int, read: BlockRead) -> int:
        """Return the longest time that a register can have advanced in: a read is from between question and answer."""
        return read.at - min(since, self.asked.get(point.quantity, since))

    def _one_way(self, known: Known, read: BlockRead) -> list[tuple[Point, tuple[int, Raw], Raw]]:
        found = []
        for point in self.points:
            old, new = known.get(point.quantity), read.registers.get(point.quantity)
            if old is not None and new is not None and quantity(point.quantity).one_way:
                found.append((point, old, new))
        return found

    def _believe(self, read: BlockRead) -> None:
        seams = self._fallen(self.known, read)
        for point in seams:
            self.runs[point.quantity] += 1
        if seams:
            self._note("register_reset", seams, read)
        turned = [
            point
            for point, (_, old), new in self._one_way(self.known, read)
            if fell(point, old, new) and point not in seams
        ]
        for point in turned:
            self.turns[point.quantity] += 1
        if turned:
            self._note("register_rollover", turned, read)
        leaps = [
            point
            for point, (since, old), new in self._one_way(self.known, read)
            if not fell(point, old, new)
            and leapt(point, old, new, self._elapsed(point, self.moved.get(point.quantity, since), read), self.rating)
        ]
        if leaps:
            self._note("advance_implausible", leaps, read)
        for name, seen in _known(read).items():
            self.asked[name] = read.sent
            if name not in self.known or self.known[name][1] != seen[1]:
                self.moved[name] = read.at
        self.known |= _known(read)
        marks = dict.fromkeys(read.uncertain, int(Mark.UNCERTAIN))
        self.recent.append(Believed(read.sent, read.at, read.registers, dict(self.runs), dict(self.turns), marks))

    def _note(self, what: str, points: list[Point], read: BlockRead) -> None:
        detail: dict[str, object] = {
            point.quantity: {
                "last": list(self.known[point.quantity]),
                "first": [read.at, read.registers[point.quantity]],
                **worth(point),
            }
            for point in points
        }
        self.events.append(Event(self.meter, what, read.at, read.at, 1, detail))

    def choose(self, boundary: int, now: int) -> Choice | None:
        """Return the reads that stand for a boundary, or None while a better one can still come.

        Args:
            boundary: Where the boundary lies. [boot us]
            now: The present. [boot us]
        """
        half, span = self.update // 2, 2 * self.poll + self.update
        before = next((read for read in reversed(self.recent) if read.at + half <= boundary), None)
        after = next((read for read in self.recent if read.sent - (self.update - half) >= boundary), None)
        if after is not None and not self.update and after.at - boundary <= self.tolerance:
            return Choice((after,))
        if self.suspect is not None and self.suspect.at > boundary and now < self.suspect.at + 2 * self.poll:
            return None
        if after is not None:
            near = before is not None and after.at - before.at <= span
            return Choice((before, after), late=True) if near and before is not None else Choice(())
        limit = boundary + self.tolerance if before is None else before.at + span + half
        return Choice(()) if now > max(limit, boundary + self.tolerance) else None

    def forget(self, boundary: int) -> None:
        """Drop reads that no later boundary can need."""
        while len(self.recent) > 2 and self.recent[1].at + self.update < boundary:
            self.recent.popleft()


def worth(point: Point) -> dict[str, object]:
    """Return what a raw count of a register is worth, for those who read an event about it."""
    return {"enc": point.enc, "mult": [[mult.numerator, mult.denominator] for mult in point.mults]}


def _known(read: BlockRead) -> Known:
    return {name: (read.at, raw) for name, raw in read.registers.items() if raw is not None}
