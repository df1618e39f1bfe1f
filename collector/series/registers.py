"""From packed segments to one continuous register of a channel, and the choice between its sources. Pure.

Rules of this file: equal boundary reads of two batches agree modulo the rollover modulus, and what is joined is
exact; where they do not agree, the serial number or the encoding changed or a seam was flagged, a new run begins and
no energy is claimed across it. Nothing guesses a rollover between batches. Sources are chosen per boundary and never
per interval, so that energy telescopes across every switch (DESIGN.md section 7.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from collector.series.codec import UNTOLD, Bools, Ints, Records
from shared.registers import Mark
from shared.status import Flags

#: A better source must have been there for so many boundaries before it is used again.
HYSTERESIS = 3
_AT_END = ((Mark.ROLLOVER, Flags.ROLLOVER), (Mark.SEAM, Flags.SEAM))
_AT_EITHER = (  # a boundary that is not what it should be touches both its neighbours
    (Mark.FROZEN, Flags.FROZEN), (Mark.LATE, Flags.LATE), (Mark.UNCERTAIN, Flags.UNCERTAIN),
    (Mark.SETTINGS, Flags.SETTINGS), (Mark.RETIMED, Flags.RETIMED),
    (Mark.RECORDER, Flags.RECORDER),
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """n + 1 consecutive boundary registers of one source, without a change of meter in between."""

    start: int  # [UTC s]
    length: int  # [s]
    serial: str | None
    enc: str
    step: int | None  # [counts]
    modulus: int | None  # [counts]
    boundaries: Records  # RAW

    @property
    def n(self) -> int:
        """Return the number of intervals."""
        return len(self.boundaries) - 1

    @property
    def stop(self) -> int:
        """Return the end of the last interval. [UTC s]"""
        return self.start + self.n * self.length


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """A channel's register at each boundary of [start, start + n * length), and the values that follow.

    ``registers`` of one ``run`` are continuous: between any two known boundaries of a run the energy is known.
    """

    start: int  # [UTC s]
    length: int  # [s]
    registers: Ints  # n + 1 [counts]
    known: Bools  # n + 1
    run: NDArray[np.int32]  # n + 1; -1 where nothing is known
    low: Ints  # n + 1 [counts]
    high: Ints  # n + 1 [counts]
    flags: NDArray[np.uint16]  # n + 1, shared.registers.Mark
    positions: Ints  # n + 1, of the batches; -1 where nothing is known
    since: Ints  # n + 1, from which position on that counts; -1 where nothing is known
    samples: NDArray[np.uint32]  # n
    unsynchronised: Bools  # n + 1
    serials: NDArray[np.object_]  # n + 1
    values: Ints  # n [counts]
    values_known: Bools  # n
    evidence: Ints  # n, position of the batch that gives the value; -1 where nothing is known
    overlaid: Ints  # n, position of another batch of the same source that gave it otherwise; -1 where there is none
    late: Ints  # n + 1, from the boundary to its read, or between both reads [us]; UNTOLD where nobody knows
    longer: Ints  # n, what the interval lasted more than its label, by the boot clock [us]; UNTOLD likewise
    step: int  # the coarsest in the span [counts]
    modulus: int | None
    behind: bool = False  # it came after its gateway had begun anew: it counts only where no other source does

    @property
    def n(self) -> int:
        """Return the number of intervals."""
        return len(self.values)


def empty(start: int, stop: int, length: int) -> Registers:
    """Return a span of which nothing is known."""
    n = (stop - start) // length
    ints, bools, nowhere = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.bool_), np.full(n + 1, -1, np.int64)
    return Registers(
        start, length, ints, bools, np.full(n + 1, -1, np.int32), ints.copy(), ints.copy(), np.zeros(n + 1, np.uint16),
        nowhere, nowhere.copy(), np.zeros(n, np.uint32), bools.copy(), np.full(n + 1, None, np.object_),
        np.zeros(n, np.int64), np.zeros(n, np.bool_), np.full(n, -1, np.int64), np.full(n, -1, np.int64),
        np.full(n + 1, UNTOLD, np.int64), np.full(n, UNTOLD, np.int64), 1, None,
    )  # fmt: skip


def interval_flags(seen: Registers) -> Ints:
    """Return the flags (shared.status.Flags) of each interval, from the marks of its boundaries."""
    marks = seen.flags.astype(np.int64)
    end, either = marks[1:], marks[1:] | marks[:-1]
    flags = np.zeros(seen.n, dtype=np.int64)
    for mark, flag in _AT_END:
        flags |= np.where(end & int(mark), int(flag), 0)
    for mark, flag in _AT_EITHER:
        flags |= np.where(either & int(mark), int(flag), 0)
    drifting = seen.unsynchronised[1:] | seen.unsynchronised[:-1]
    return flags | np.where(drifting, int(Flags.UNSYNCHRONISED), 0)


def agree(before: int, after: int, modulus: int | None) -> bool:
    """Return whether two reads of the same boundary are of one register.

    >>> agree(1_000_018, 18, modulus=1_000_000)
    True
    """
    return before == after if modulus is None else (before - after) % modulus == 0


def same_register(one: Segment, other: Segment) -> bool:
    """Return whether two segments speak of the same register of the same meter."""
    return (one.serial, one.enc, one.modulus, one.length) == (other.serial, other.enc, other.modulus, other.length)


def finer(segment: Segment, length: int) -> Segment:
    """Return a segment on a finer grid: a register at a boundary is the same, whatever intervals it was sealed for.

    What lies between its boundaries stays unknown, so that no interval gets a value of it; an estimate must obey it.
    """
    each = segment.length // length
    if each == 1:
        return segment
    boundaries = np.zeros(segment.n * each + 1, segment.boundaries.dtype)
    boundaries[::each] = segment.boundaries
    boundaries["samples"] = 0
    return replace(segment, length=length, boundaries=boundaries)


class _Join:
    """Lays segments into a span one after the other."""

    def __init__(self, into: Registers, *, one_way: bool) -> None:
        self.into, self.one_way = into, one_way
        self.run = -1
        self.last: tuple[Segment, int, int] | None = None  # segment, time and unrolled register of its last known

    def lay(self, segment: Segment) -> None:
        """Put one segment in its place, continuing the run before it where that is certain."""
        records, known = segment.boundaries, segment.boundaries["known"].astype(np.bool_)
        if not known.any():
            self.run += bool((records["flags"] & Mark.SEAM).any())
            return
        shift = self._shift(segment, int(np.argmax(known)))
        if shift is None:
            shift, self.run = 0, self.run + 1
        seams = np.cumsum((records["flags"] & Mark.SEAM) != 0)
        seams -= seams[int(np.argmax(known))]  # a seam before the first known boundary was the join's affair
        runs = (self.run + np.maximum(seams, 0)).astype(np.int32)
        self._put(segment, known, shift, runs)
        self.run = int(runs[-1])
        at = int(np.flatnonzero(known)[-1])
        self.last = (segment, segment.start + at * segment.length, int(records["register"][at]) + shift)

    def _shift(self, segment: Segment, first: int) -> int | None:
        """Return what is added to a segment so that it continues the run, None where a new run begins."""
        if self.last is None:
            return None
        before, at, level = self.last
        records, time = segment.boundaries, segment.start + first * segment.length
        seam = bool((records["flags"][: first + 1] & Mark.SEAM).any())
        if not same_register(before, segment) or (seam and time != at):  # at a repeated boundary it was told before
            return None
        value = int(records["register"][first])
        turns = 0 if segment.modulus is None else level // segment.modulus * segment.modulus
        if time != at:
            return turns if value + turns >= level or not self.one_way else None
        if agree(level, value, segment.modulus):
            return level - value
        moved = (int(before.boundaries["flags"][-1]) | int(records["flags"][first])) & int(Mark.RETIMED)
        return turns if moved and self._parted(before, at, level, value + turns) else None

    def _parted(self, before: Segment, at: int, level: int, value: int) -> bool:
        """Return whether a read is of the same boundary, though an anchor says that it was up to a second beside it.

        Then it stands for the boundary on both sides, and the interval before it follows from the registers.
        """
        known = before.boundaries["register"][before.boundaries["known"] != 0]
        least = level + int(known[-2]) - int(known[-1]) if len(known) > 1 else level
        if self.one_way and value < least:
            return False
        index = (at - self.into.start) // self.into.length - 1
        if 0 <= index < self.into.n:
            self.into.values_known[index] = False
        return True

    def _put(self, segment: Segment, known: Bools, shift: int, runs: NDArray[np.int32]) -> None:
        into, records = self.into, segment.boundaries
        offset = (segment.start - into.start) // into.length
        first, stop = max(0, -offset), min(len(records), len(into.known) - offset)
        if first >= stop:
            return
        here = np.flatnonzero(known[first:stop]) + first
        there = here + offset
        for name in ("low", "high"):
            getattr(into, name)[there] = records[name][here] + shift
        into.registers[there] = records["register"][here] + shift
        into.known[there], into.run[there] = True, runs[here]
        into.positions[there], into.serials[there] = records["position"][here], segment.serial
        into.since[there], into.late[there] = records["since"][here], records["late"][here]
        into.unsynchronised[there] = records["unsynchronised"][here] != 0
        into.flags[there] |= records["flags"][here]
        self._values(records, known, offset)

    def _values(self, records: Records, known: Bools, offset: int) -> None:
        """The interval values of a segment follow from its own boundaries alone (WIRE.md section 3, rule 4)."""
        into = self.into
        whole = known[1:] & known[:-1] & ((records["flags"][1:] & Mark.SEAM) == 0)
        first, stop = max(0, -offset), min(len(whole), into.n - offset)
        if first >= stop:
            return
        here = np.flatnonzero(whole[first:stop]) + first  # what another meter gave beside this one stays
        there = here + offset
        values, places = np.diff(records["register"])[here], records["position"][1:][here]
        twice = into.values_known[there] & (into.values[there] != values) & (into.evidence[there] != places)
        into.overlaid[there] = np.where(twice, into.evidence[there], into.overlaid[there])
        into.values[there], into.values_known[there], into.evidence[there] = values, True, places
        into.longer[there] = records["longer"][1:][here]
        counts = into.samples[offset + first : offset + stop]
        np.maximum(counts, records["samples"][1:][first:stop], out=counts)


def join(
    segments: Sequence[Segment], start: int, stop: int, length: int, *, one_way: bool = True, as_of: int | None = None
) -> Registers:
    """Return the continuous register of one source over [start, stop).

    Args:
        segments: Of one channel and one source, in any order.
        start: A multiple of the length. [UTC s]
        stop: The same. [UTC s]
        length: Of one interval; segments of another length are left out. [s]
        one_way: Whether the register can only rise.
        as_of: Size of the log's tree; what counts only later is unknown.
    """
    into = empty(start, stop, length)
    chosen = [one for one in segments if one.length == length and one.start <= stop and one.stop >= start]
    join_ = _Join(into, one_way=one_way)
    for segment in _trusted([_known_at(one, as_of) for one in chosen]):
        join_.lay(segment)
    _between_retimed(into)
    steps = [one.step for one in chosen if one.step is not None]
    moduli = [one.modulus for one in chosen if one.modulus is not None]
    return replace(into, step=max(steps, default=1), modulus=moduli[-1] if moduli else None)


def _trusted(segments: Sequence[Segment]) -> list[Segment]:
    """Return segments in order of time; what a doubtful clock labelled counts only where no right one did."""
    ordered = sorted(segments, key=lambda one: (one.start, one.stop))
    if not any(one.boundaries["unsynchronised"].any() for one in ordered):
        return ordered
    sure = {
        one.start + at * one.length
        for one in ordered
        for at in np.flatnonzero((one.boundaries["known"] != 0) & (one.boundaries["unsynchronised"] == 0)).tolist()
    }
    return [_without(one, sure) if one.boundaries["unsynchronised"].any() else one for one in ordered]


def _without(segment: Segment, times: set[int]) -> Segment:
    """Return a doubtful segment without its boundaries at some times. [UTC s]"""
    boundaries = segment.boundaries.copy()
    told = [segment.start + at * segment.length in times for at in range(len(boundaries))]
    boundaries["known"] &= ~(np.array(told) & (boundaries["unsynchronised"] != 0))
    return replace(segment, boundaries=boundaries)


def _between_retimed(into: Registers) -> None:
    """Give the value of an interval that ends one batch and begins another where an anchor has moved them."""
    moved = (into.flags & int(Mark.RETIMED)) != 0
    seam = (into.flags[1:] & int(Mark.SEAM)) != 0
    whole = into.known[1:] & into.known[:-1] & (into.run[1:] == into.run[:-1]) & (moved[1:] | moved[:-1]) & ~seam
    fresh = whole & ~into.values_known
    into.values[fresh], into.values_known[fresh] = np.diff(into.registers)[fresh], True
    into.evidence[fresh] = into.positions[1:][fresh]


def _known_at(segment: Segment, size: int | None) -> Segment:
    """Return a segment as it was when the log had that size; None for all of the log."""
    until, boundaries = segment.boundaries["until"], segment.boundaries
    if size is None and not until.any():
        return segment
    boundaries = boundaries.copy()
    if size is None:
        boundaries["known"] &= until == 0
    else:
        boundaries["known"] &= (boundaries["since"] < size) & ((until == 0) | (until >= size))
    return replace(segment, boundaries=boundaries)


def select(sources: Sequence[Registers], hysteresis: int = HYSTERESIS, *, one_way: bool = True) -> Registers:
    """Return one register chosen per boundary between sources, the preferred first.

    A source stays in use until it has no register, or until a better one has been there for `hysteresis` boundaries.
    One whose clock is in doubt, or that came behind, is used only where no other has a register.
    """
    if len(sources) == 1:
        return sources[0]
    known, doubtful = (
        np.stack(column) for column in zip(*((one.known, one.unsynchronised) for one in sources), strict=True)
    )
    doubtful = doubtful | np.array([[one.behind] for one in sources])
    sure = (known & ~doubtful).any(axis=0)
    choice = choose(known & ~(doubtful & sure), hysteresis)
    return _Switch(sources, choice, one_way=one_way).registers()


def choose(known: Bools, hysteresis: int) -> NDArray[np.int64]:
    """Return the index of the source for each boundary, -1 where none has a register. known: [source, boundary]"""
    ranks, count = known.shape
    steady = np.zeros(ranks, np.int64)
    now, chosen = -1, np.full(count, -1, np.int64)
    for at in range(count):
        here = known[:, at]
        steady = np.where(here, steady + 1, 0)
        if now >= 0 and here[now]:
            better = np.flatnonzero(steady[:now] >= hysteresis)
            now = int(better[0]) if len(better) else now
            chosen[at] = now
        elif here.any():
            now = chosen[at] = int(np.argmax(here))
    return chosen


class _Switch:
    """Puts the chosen boundaries together, and the values across switches."""

    def __init__(self, sources: Sequence[Registers], choice: NDArray[np.int64], *, one_way: bool) -> None:
        self.sources, self.choice, self.one_way = sources, choice, one_way
        base = sources[0]
        self.out = empty(base.start, base.start + base.n * base.length, base.length)
        self.run = -1
        self.shift = 0

    def registers(self) -> Registers:
        """Return the chosen register."""
        before: tuple[int, int] | None = None  # source and boundary of the last known
        for at in np.flatnonzero(self.choice >= 0).tolist():
            source = int(self.choice[at])
            self._continue(before, source, at)
            self._copy(source, at)
            before = (source, at)
        self._values()
        steps = max(one.step for one in self.sources)
        return replace(self.out, step=steps, modulus=self.sources[0].modulus)

    def _continue(self, before: tuple[int, int] | None, source: int, at: int) -> None:
        new = self.sources[source]
        if before is None or before[0] == source:
            old_run = None if before is None else new.run[before[1]]
            self.run += old_run is None or old_run != new.run[at]
            return
        old = self.sources[before[0]]
        level = int(old.registers[before[1]]) + self.shift
        kept = (int(old.flags[before[1]]) | int(new.flags[at])) & int(Mark.RECORDER)  # it counts in its own way
        if old.serials[before[1]] != new.serials[at] or (old.modulus != new.modulus and not kept):
            self.run, self.shift = self.run + 1, 0
            return
        apart = level - int(new.registers[at])
        self.shift = 0 if new.modulus is None else (apart + new.modulus // 2) // new.modulus * new.modulus
        if self.one_way and apart > self.shift:  # of two clocks that do not agree one is wrong
            self.run += 1

    def _copy(self, source: int, at: int) -> None:
        one, out = self.sources[source], self.out
        out.registers[at] = one.registers[at] + self.shift
        out.low[at], out.high[at] = one.low[at] + self.shift, one.high[at] + self.shift
        out.known[at], out.run[at], out.flags[at] = True, self.run, one.flags[at]
        out.positions[at], out.serials[at] = one.positions[at], one.serials[at]
        out.since[at], out.late[at] = one.since[at], one.late[at]
        out.unsynchronised[at] = one.unsynchronised[at]

    def _values(self) -> None:
        out, choice = self.out, self.choice
        pairs = out.known[1:] & out.known[:-1] & (out.run[1:] == out.run[:-1])
        out.values[:] = np.where(pairs, np.diff(out.registers), 0)
        out.values_known[:] = pairs
        out.evidence[:] = np.where(pairs, out.positions[1:], -1)
        for index, one in enumerate(self.sources):
            own = (choice[1:] == index) & (choice[:-1] == index)
            out.values[own], out.values_known[own] = one.values[own], one.values_known[own]
            for name in ("evidence", "overlaid", "longer"):
                getattr(out, name)[own] = getattr(one, name)[own]
            here = choice[1:] == index
            out.samples[here] = one.samples[here]
