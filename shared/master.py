"""Points as a `points` record states them: dated formulas that give what is settled (DESIGN.md section 7.4). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.errors import Malformed
from shared.formula import Formula, parse


@dataclass(frozen=True, slots=True)
class PointVersion:
    """One settlement point from an instant on, until a later entry of the same id takes over."""

    id: str
    since: int  # [UTC s]
    role: str
    formula: str
    length: int  # [s]
    quantity: str
    parties: tuple[str, ...]
    #: What a format's market calls the point: format, then names and values; sorted.
    market: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = ()

    @property
    def parsed(self) -> Formula:
        """Return the formula, parsed."""
        return _parsed(self.formula)

    def named(self, form: str) -> dict[str, str]:
        """Return what the market of a format calls the point."""
        return dict(dict(self.market).get(form, ()))


@lru_cache(maxsize=16_384)  # a formula is asked for once a row
def _parsed(text: str) -> Formula:
    return parse(text)


def body(points: Iterable[PointVersion]) -> dict[str, object]:
    """Return the body of a `points` record: the whole master data, sorted."""
    return {"points": [entry(one) for one in sorted(points, key=lambda one: (one.id, one.since))]}


def entry(one: PointVersion) -> dict[str, object]:
    """Return a point as its record states it."""
    market = {form: dict(names) for form, names in one.market}
    return {
        "id": one.id, "from": one.since, "role": one.role, "formula": one.formula, "length_s": one.length,
        "quantity": one.quantity, "parties": list(one.parties), **({"market": market} if market else {}),
    }  # fmt: skip


def points(members: dict[str, Any]) -> list[PointVersion]:
    """Return the points of a record's body.

    Raises:
        Malformed: it is not written so.
    """
    try:
        return [_point(one) for one in members["points"]]
    except (KeyError, TypeError, AttributeError) as error:
        raise Malformed(f"not the body of a points record: {error}") from error


def _point(one: dict[str, Any]) -> PointVersion:
    parties = tuple(one["parties"])
    market = names_of(one.get("market", {}))
    return PointVersion(
        one["id"], one["from"], one["role"], one["formula"], one["length_s"], one["quantity"], parties, market
    )


def names_of(market: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return names by format, sorted."""
    return tuple((form, tuple(sorted(names.items()))) for form, names in sorted(market.items()))


def in_force(versions: Iterable[PointVersion], at: int) -> dict[str, PointVersion]:
    """Return the entry of each point that holds at an instant. [UTC s]"""
    found: dict[str, PointVersion] = {}
    for one in sorted(versions, key=lambda one: (one.id, one.since)):
        if one.since <= at:
            found[one.id] = one
    return found
