"""Rows of a release redone from its evidence: what each formula gives exactly, then rounded. Pure.

Rules of this file: nothing of the collector's own computation is used, so that both are held against each other; a
point that others are made of counts as it is rounded, whatever its rule; fractions all the way to the one rounding.
"""

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol

from shared import rounding
from shared.errors import Malformed
from shared.evidence import Evidence, Slot, Version
from shared.formula import Formula
from shared.master import DEEPEST, PointVersion
from shared.quantity import INT64_MAX, INT64_MIN
from shared.rounding import CARRY_DAY, CARRY_MONTH, HALF_AWAY, HALF_EVEN, Rule, carried, local_day, local_month
from shared.status import READ_AT_ENDS, Flags, Status, distance, worst

#: Value, status and set of qualities of a row.
Redone = tuple[int | None, str, set[str]]
_LACKING = Version(None, Status.MISSING, 0, None, -1)


class Redo:
    """Rows redone with the remainders that are carried from row to row (`shared.rounding`).

    Args:
        found: The evidence.
        since: Where the release begins. [UTC s]
        timezone: Whose days and months.
        otherwise: The rule of points that state none.

    Raises:
        KeyError, ValueError, OSError: no such zone is known on this machine.
    """

    def __init__(self, found: Evidence, since: int, timezone: str, otherwise: str = CARRY_DAY) -> None:
        self._found, self._since, self._otherwise = found, since, otherwise
        self._periods: Mapping[str, Callable[[int], int]] = {
            CARRY_DAY: local_day(timezone), CARRY_MONTH: local_month(timezone)
        }  # fmt: skip
        self._known: dict[tuple[PointVersion, int], tuple[Redone, Fraction]] = {}
        #: The rules by which rows were rounded so far, those of the points between too.
        self.used = set[str]()

    def row(self, point: PointVersion, start: int, through: frozenset[str] = frozenset()) -> Redone:
        """Return value, status and set of qualities that the evidence gives for one row. [UTC s, counts]"""
        for at in self._chain(point, start):
            left = self._known.get((point, at - point.length)) if self._goes_on(point, at) else None
            self._known[point, at] = self._one(point, at, Fraction(0) if left is None else left[1], through)
        return self._known[point, start][0]

    def _rule(self, point: PointVersion) -> Rule:
        return rounding.by(point.rounding, self._otherwise, point.quantity)

    def _chain(self, point: PointVersion, start: int) -> list[int]:
        """Return the rows that must be known before, first to last, with this one."""
        chain = [] if (point, start) in self._known else [start]
        while chain and self._goes_on(point, chain[-1]) and (point, chain[-1] - point.length) not in self._known:
            chain.append(chain[-1] - point.length)
        return chain[::-1]

    def _goes_on(self, point: PointVersion, at: int) -> bool:
        """Return whether a row takes over the remainder of the row before it."""
        before, period = at - point.length, self._periods.get(self._rule(point).name)
        same = period is not None and before >= self._since and period(before) == period(at)
        return same and self._found.force(before).get(point.id) == point

    def _one(self, point: PointVersion, at: int, left: Fraction, through: frozenset[str]) -> tuple[Redone, Fraction]:
        rule = self._rule(point)
        self.used.add(point.rounding or self._otherwise)
        total, statuses, sets = _exact(self._found, point, at, through, self.row)
        if total is None or not _fits(total):
            return (None, Status.MISSING.name, sets), left
        whole, left = _rounded(rule, total, left)
        return (whole, worst(*statuses).name, sets), left


def _rounded(rule: Rule, total: Fraction, left: Fraction) -> tuple[int, Fraction]:
    if rule.name == HALF_EVEN:
        return round(total), Fraction(0)
    if rule.name == HALF_AWAY:
        return carried(total, Fraction(0), rule.place)[0], Fraction(0)
    return carried(total, left, rule.place)


def _fits(total: Fraction) -> bool:
    """Return whether a value can be released at all."""
    return INT64_MIN <= round(total) <= INT64_MAX


class _Inner(Protocol):
    """Gives a row of a point that another is made of."""

    def __call__(self, point: PointVersion, start: int, through: frozenset[str]) -> Redone: ...


_Total = tuple[Fraction | None, list[Status], set[str]]


def _exact(
    found: Evidence, point: PointVersion, start: int, through: frozenset[str], inner: _Inner
) -> _Total:  # fmt: skip
    """Return what a row is before it is rounded, with the statuses and qualities of its terms."""
    total, statuses, sets = _total(found, point.whole if point.share else point.parsed, point, start, through, inner)
    if point.share is not None:
        energy, *_ = _term(found, point.parsed.refs[0], start, point.length, through | {point.id}, inner)
        loads = {
            ref: 0 if _absent(found, ref, start)  # who left uses nothing
            else _term(found, ref, start, point.length, through | {point.id}, inner)[0]
            for _, ref in point.share.loads
        }  # fmt: skip
        made = None if total is None else point.share.of(energy, loads)
        return None if made is None else Fraction(made), statuses, sets
    if point.part and total is not None:
        total = max(total if point.part == "positive" else -total, Fraction(0))
    if point.losses is None:
        return total, statuses, sets
    beside: Fraction | None = Fraction(0)
    if point.losses.reactive is not None:
        beside, more, others = _total(found, point.losses.reactive, point, start, through, inner)
        statuses, sets = statuses + more, sets | others
    lost = None if total is None or beside is None else point.losses.energy(total, beside, point.length)
    return lost, statuses, sets


def _total(
    found: Evidence, formula: Formula, point: PointVersion, start: int, through: frozenset[str], inner: _Inner
) -> _Total:  # fmt: skip
    """Return what a formula of a point gives, exactly, with the statuses and qualities of its terms."""
    total: Fraction | None = Fraction(0)
    statuses: list[Status] = []
    sets: set[str] = set()
    present = [(factor, ref) for factor, ref in formula.terms if not _absent(found, ref, start)]
    if not present:
        return None, [], set()
    for factor, ref in present:
        value, status, qualities = _term(found, ref, start, point.length, through | {point.id}, inner)
        total = None if value is None or total is None else total + factor * value
        statuses.append(status)
        sets |= qualities
    return total, statuses, sets


def _absent(found: Evidence, ref: str, start: int) -> bool:
    """Return whether a point is outside its dated validity: then it is no part of any sum."""
    return "/" not in ref and ref not in found.force(start) and any(one.id == ref for one in found.points)


def _term(
    found: Evidence, ref: str, start: int, length: int, through: frozenset[str], inner: _Inner
) -> tuple[int | None, Status, set[str]]:
    if "/" not in ref:
        point = found.force(start).get(ref)
        if point is None or ref in through:
            return None, Status.MISSING, {Status.MISSING.name}
        if len(through) > DEEPEST:
            raise Malformed(f"points stand in more than {DEEPEST} points one in the other, down to {ref!r}")
        value, name, sets = inner(point, start, through)
        return value, Status[name], sets
    slots = _slots(found, ref, start, length)
    if not slots:
        return None, Status.MISSING, {Status.MISSING.name}
    qualities = {slot.status.name for slot in slots}
    values = [slot.value for slot in slots if slot.value is not None]
    if len(values) < len(slots):
        return None, Status.MISSING, qualities
    status = Status.VALID if _read_at_ends(slots) else worst(*(slot.status for slot in slots))
    return sum(values), status, qualities


def _slots(found: Evidence, ref: str, start: int, length: int) -> list[Version]:
    """Return the versions that tile a span."""
    return [found.versions.get(tile, _LACKING) for tile in tiles(found, ref, start, length)]


def tiles(found: Evidence, ref: str, start: int, length: int) -> list[Slot]:
    """Return the intervals that tile a span: measured before estimated, then on the finest grid."""
    grids = [
        [(ref, at, step) for at in range(start, start + length, step)]
        for step in sorted(found.lengths.get(ref, ()))
        if length % step == 0
    ]
    if len(grids) < 2:
        return grids[0] if grids else []
    return min(grids, key=lambda tiles: _far([found.versions.get(tile, _LACKING) for tile in tiles]))


def _far(slots: Sequence[Version]) -> int:
    """Return how far a row is from what was read."""
    return READ_AT_ENDS if _read_at_ends(slots) else max(distance(slot.status, slot.flags) for slot in slots)


def _read_at_ends(slots: Sequence[Version]) -> bool:
    """Return whether only inner intervals are estimated while the outer boundaries are measured in one run."""
    made = [slot for slot in slots if slot.status == Status.ESTIMATED]
    if not made or len(made) == len(slots) or any(not slot.flags & Flags.SCALED for slot in made):
        return False
    if any(slot.status not in (Status.ESTIMATED, Status.VALID) for slot in slots):
        return False
    return slots[0].status == Status.VALID and slots[-1].status == Status.VALID
