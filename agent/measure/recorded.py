"""What a meter's own recorder or history says of boundaries that no poll saw. Pure.

Rules of this file: a label of the meter is moved by the measured offset of its clock and never otherwise; it stands for
a boundary where it lies within the label's resolution, else the two labels around the boundary do, one period apart at
most; what contradicts the polled registers on either side is not used at all, and told.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Literal

from agent.acquire.drivers.base import Recorded
from agent.acquire.points import Point, Profile, Raw
from agent.measure.meterclock import Offset
from shared import registers as rule
from shared.intervals import Block
from shared.quantity import quantity
from shared.registers import Mark, Register

US = 1_000_000
#: No form of a recorder's label is finer than the second of the clock that it is compared with.
SECOND = 1 * US
#: Labels further from the boundary than this are no reading of it (the tolerance of a meter's clock, California). [us]
FARTHEST = 180 * US
#: Where a profile does not say how often the recorder writes. [us]
USUAL = 900 * US


@dataclass(frozen=True, slots=True)
class Keeper:
    """How a meter keeps its own registers."""

    source: Literal["recorder", "history"]
    points: Mapping[str, Point]  # by quantity
    period: int  # farthest that two entries around a boundary may lie apart [us]
    away: int  # farthest that the nearer of them may lie from it [us]
    resolution: int  # of a label [us]
    holds: Literal["registers", "energies"] = "registers"

    @property
    def window(self) -> int:
        """Return how much time is asked for at once. [us]"""
        return 3600 * US if self.source == "history" else 12 * self.period

    @property
    def settled(self) -> int:
        """Return how long after a boundary its entries are there. [us]"""
        return 60 * US if self.source == "history" else self.period + 60 * US


def keeper(profile: Profile, poll: int) -> Keeper | None:
    """Return how a meter keeps its registers; None where it keeps none, or shows no clock to compare labels with.

    Args:
        profile: Of the meter.
        poll: How often it is polled. [us]
    """
    if profile.protocol == "opcua":  # every server tells its clock
        points = {point.quantity: point for point in profile.points if point.kind == "register"}
        return Keeper("history", points, 2 * poll, 2 * poll, 0) if points else None
    kept, clock = profile.recorder, profile.clock
    if kept is None or clock is None or clock.zone != kept.stamp.zone:
        return None
    period = USUAL if kept.interval_s is None else kept.interval_s * US
    polled = {point.quantity for point in profile.points if point.kind == "register"}
    points = {point.quantity: point for point in kept.channels if point.quantity in polled}
    return Keeper("recorder", points, period, min(FARTHEST, period // 5), SECOND, kept.holds) if points else None


Level = tuple[int, int]  # a boundary [UTC s], and the register there [counts]


@dataclass(frozen=True, slots=True)
class Lack:
    """Boundaries of one register that were sealed as unknown, and what was polled on either side."""

    meter: str
    quantity: str
    length: int  # [s]
    first: int  # [UTC s]
    last: int  # [UTC s]
    before: Level | None
    after: Level | None = None  # None: still unknown
    step: int = 0  # of the polled register [counts]
    mod: int | None = None  # of the polled register [counts]

    @property
    def walls(self) -> range:
        """Return the boundaries, with the known ones on either side. [UTC s]"""
        return range(self.first - self.length, self.last + 2 * self.length, self.length)


@dataclass(frozen=True, slots=True)
class Ruler:
    """What lays the labels of a meter on our boot clock."""

    offset: Offset  # of the meter's clock from ours
    ours: int  # wall time less boot time [us]
    tolerance: int  # that a boundary read has [us]

    def at(self, stamp: int) -> int:
        """Return where a label lies. [boot us]"""
        return stamp - self.offset.ahead - self.ours


@dataclass(frozen=True, slots=True)
class Entry:
    """A register as kept, on our boot clock."""

    at: int  # [boot us]
    stamp: int  # the meter's own label [us]
    raw: Raw


def entries(heard: Iterable[Recorded], name: str, ruler: Ruler) -> list[Entry]:
    """Return what was kept of one quantity, oldest first."""
    found = {one.stamp: Entry(ruler.at(one.stamp), one.stamp, one.raw) for one in heard if one.quantity == name}
    return [found[stamp] for stamp in sorted(found)]


def relevant(heard: Sequence[Recorded], lacks: Iterable[Lack], ruler: Ruler) -> list[Recorded]:
    """Return only the entries on either side of a boundary: a history may hold one for each second."""
    kept: set[Recorded] = set()
    for lack in lacks:
        own = sorted((one for one in heard if one.quantity == lack.quantity), key=lambda one: one.stamp)
        stamps = [ruler.at(one.stamp) for one in own]
        for wall in lack.walls:
            here = bisect_right(stamps, wall * US - ruler.ours)
            kept.update(own[max(0, here - 1) : here + 1])
    return sorted(kept, key=lambda one: (one.stamp, one.quantity))


class Disagreement(Exception):  # noqa: N818 - names what was found
    """The recorder contradicts the polled registers; `args[0]` is what it says there. [counts]"""


def filled(keeper: Keeper, lack: Lack, heard: Sequence[Recorded], ruler: Ruler) -> tuple[Block, Point] | None:
    """Return a block over the boundary before a lack and those of it, and what its register is; None: nothing fits.

    Raises:
        Disagreement: nothing of it is to be used.
    """
    point = keeper.points[lack.quantity]
    kept = entries(heard, lack.quantity, ruler)
    if keeper.holds == "energies":
        kept, point = _running(keeper, lack, kept, ruler), _sums(point)
    boundaries = [wall * US - ruler.ours for wall in lack.walls]
    chosen = [_choice(keeper, kept, boundary, ruler) for boundary in boundaries]
    register = Register(
        point.enc, tuple(tuple(one.raw for one in some) or None for some in chosen), point.mult, point.mod, point.step,
        tuple(_flags(chosen)),
    )  # fmt: skip
    at = [tuple(one.at for one in some) or None for some in chosen]
    _check(lack, register, at, boundaries, ruler)
    if not any(chosen[1:-1]):
        return None
    inner = [(), *chosen[1:-1]]
    return _block(lack, inner, register, boundaries[:-1], keeper, ruler), point


def _choice(keeper: Keeper, kept: Sequence[Entry], boundary: int, ruler: Ruler) -> tuple[Entry, ...]:
    """Return the one or two entries that stand for a boundary; none where it stays unknown."""
    here = bisect_right(kept, boundary, key=lambda one: one.at)
    around = kept[max(0, here - 1) : here + 1]
    near = min(around, key=lambda one: abs(one.at - boundary), default=None)
    if near is None:
        return ()
    off = abs(near.at - boundary)
    if off <= ruler.tolerance + ruler.offset.within + keeper.resolution:
        return (near,)
    if len(around) < 2 or off > keeper.away:
        return ()
    before, after = around
    return (before, after) if after.at - before.at <= keeper.period * 3 // 2 or before.raw == after.raw else ()


def _flags(chosen: Sequence[tuple[Entry, ...]]) -> Iterable[int]:
    latest: Raw | None = None
    for some in chosen:
        flag = int(Mark.LATE) if len(some) == 2 else 0
        for one in some:
            flag |= int(Mark.ROLLOVER) if latest is not None and _lower(one.raw, latest) else 0
            latest = one.raw
        yield flag


def _lower(raw: Raw, than: Raw) -> bool:
    ours, theirs = (one if isinstance(one, tuple) else (one,) for one in (raw, than))
    return any(new < old for new, old in zip(ours, theirs, strict=True))  # bits of positive floats order as they do


def _block(
    lack: Lack, chosen: Sequence[tuple[Entry, ...]], whole: Register, boundaries: Sequence[int], keeper: Keeper,
    ruler: Ruler,
) -> Block:  # fmt: skip
    at = tuple(tuple(one.at for one in some) or None for some in chosen)
    raw = (None, *whole.raw[1:-1])
    bare = replace(whole, raw=raw, flags=(0, *whole.flags[1:-1]))
    register = replace(bare, values=tuple(rule.values(bare, at, boundaries)))
    stamps = tuple(tuple(one.stamp for one in some) or None for some in chosen)
    n = len(boundaries) - 1
    clock = (ruler.offset.ahead, ruler.offset.within)
    return Block(lack.meter, None, "none", keeper.source, at, {lack.quantity: register}, {}, (0,) * n, stamps, clock)


# -- against what was polled ----------------------------------------------------------------------------------------


def _check(lack: Lack, register: Register, at: Sequence[rule.At], boundaries: Sequence[int], ruler: Ruler) -> None:
    """Object to a recorder whose registers are not those that were polled.

    Raises:
        Disagreement: they leave what the polled registers allow, or differ from them at the same boundary.
    """
    if not quantity(lack.quantity).one_way:
        return
    levels = _aligned(lack, rule.registers(register, at, boundaries), rule.modulus(register.mod, register.mult))
    known = [level for level in levels if level is not None]
    slack = lack.step + (register.step or 0)
    before, after = _polled(lack)
    path = [*([before] if before is not None else []), *levels[1:-1], *([after] if after is not None else [])]
    ordered = [level for level in path if level is not None]
    if any(new < old - slack for old, new in pairwise(ordered)):
        raise Disagreement(known)
    for place, neighbour, polled in ((0, 1, before), (-1, -2, after)):
        level, next_ = levels[place], levels[neighbour]
        edge = lack.before if place == 0 else lack.after
        if polled is None or level is None or edge is None or edge[0] != lack.walls[place]:
            continue
        times, boundary = at[place] or (), boundaries[place]
        late = min(abs(time - boundary) for time in times) + 2 * ruler.tolerance + SECOND
        moved = 0 if next_ is None else abs(next_ - level) * 2 * late // (lack.length * US)
        if abs(level - polled) > slack + moved:
            raise Disagreement(known)


def _polled(lack: Lack) -> tuple[int | None, int | None]:
    """Return the polled registers on either side, the later one unrolled over a rollover."""
    before = None if lack.before is None else lack.before[1]
    after = None if lack.after is None else lack.after[1]
    if before is not None and after is not None and after < before and lack.mod:
        after += -((after - before) // lack.mod) * lack.mod
    return before, after


def _aligned(lack: Lack, levels: Sequence[int | None], mod: int | None) -> list[int | None]:
    """Return the recorder's registers in the turn of the polled ones."""
    before, after = _polled(lack)
    known = [level for level in levels if level is not None]
    if not mod or not known or (before is None and after is None):
        return list(levels)
    apart = before - known[0] if before is not None else (after or 0) - known[-1]
    shift = (apart + mod // 2) // mod * mod
    return [None if level is None else level + shift for level in levels]


# -- recorders that keep energies -----------------------------------------------------------------------------------


def _sums(point: Point) -> Point:
    """Return what the running sums of an energy are: whole counts of the unit, without end."""
    return replace(point, enc="int", mult=Fraction(1), mod=None)


def _running(keeper: Keeper, lack: Lack, kept: Sequence[Entry], ruler: Ruler) -> list[Entry]:
    """Return running sums from the last polled register on; none where one energy up to the end is lacking.

    Raises:
        Disagreement: they do not lead to the next polled register.
    """
    if lack.before is None or lack.after is None:
        return []
    point, near = keeper.points[lack.quantity], ruler.tolerance + ruler.offset.within + keeper.resolution
    time, end = (wall * US - ruler.ours for wall in (lack.before[0], lack.after[0]))
    level, found = Fraction(lack.before[1]), list[Entry]()
    for one in kept:
        if not time + near < one.at <= end + near:
            continue
        if abs(one.at - time - keeper.period) > near:
            return []
        level += _energy(point, one.raw)
        time += keeper.period
        found.append(replace(one, raw=round(level)))
    after = _polled(lack)[1]
    if not found or abs(time - end) > near or after is None:
        return []
    if abs(round(level) - after) > lack.step + (point.step or 0):
        raise Disagreement([int(one.raw) for one in found if isinstance(one.raw, int)])
    return found


def _energy(point: Point, raw: Raw) -> Fraction:
    parts = raw if isinstance(raw, tuple) else (raw,)
    pairs = zip(parts, point.mults, strict=True)
    return sum((rule.number(part, point.enc) * mult for part, mult in pairs), Fraction(0))
