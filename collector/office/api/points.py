"""Points: what is settled, as the dated formulas that the log holds."""

from typing import Any

from fastapi import APIRouter

from collector.office.answers import Answer, Whole
from collector.office.parts import Office
from collector.office.terms import Time, instant_of, tree_size
from collector.settle import sources
from shared.master import in_force
from shared.release import instant

router = APIRouter(prefix="/points", tags=["points"])


class Point(Answer):
    """A settlement point from `since` on, until a later entry of the same id takes over."""

    id: str
    since: str
    role: str
    formula: str
    length_s: int
    quantity: str
    parties: list[str]
    market: dict[str, dict[str, str]]
    losses: dict[str, str] | None  # the point is what is lost of its formula
    share: dict[str, Any] | None  # the point is a party's share of what its formula gives
    part: str | None  # positive or negative: only that part of what its formula gives
    until: str | None  # from then on the point is no more, until a later entry
    in_force: bool


class Points(Answer):
    """Every entry of the master data, and which of them hold at `at`; `position` is that of their record."""

    at: str
    position: Whole | None
    points: list[Point]


@router.get("")
def points(office: Office, at: Time = None, as_of: Time = None) -> Points:
    """Return the points as a reader of the log at `as_of` knows them."""
    moment = office.clock.wall() // 1_000_000 if at is None else instant_of(at, "at")
    with office.store.read() as connection:
        found = sources.points(connection, tree_size(connection, office.log, as_of))
    holding = in_force(found.versions, moment)
    entries = [
        Point(
            id=one.id, since=instant(one.since), role=one.role, formula=one.formula, length_s=one.length,
            quantity=one.quantity, parties=list(one.parties),
            market={form: dict(names) for form, names in one.market},
            losses=None if one.losses is None else dict(one.losses.texts),
            share=None if one.share is None else one.share.body(), part=one.part or None,
            until=None if one.until is None else instant(one.until), in_force=holding.get(one.id) == one,
        )
        for one in found.versions
    ]  # fmt: skip
    return Points(at=instant(moment), position=None if found.position < 0 else found.position, points=entries)
