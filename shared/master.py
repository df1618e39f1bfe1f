"""Points as a `points` record states them: dated formulas that give what is settled (DESIGN.md section 7.4). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared import losses, rounding, share
from shared.errors import ConfigError, Malformed
from shared.formula import Formula, parse
from shared.losses import Losses
from shared.share import Share

PARTS = ("", "positive", "negative")
#: How many points may stand one in the other.
DEEPEST = 32
_DAY = 86_400


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
    #: The point is what is lost of what its formula gives; None: it is what its formula gives.
    losses: Losses | None = None
    #: The point is a party's share of what its formula gives.
    share: Share | None = None
    #: "positive" or "negative": only that part of what its formula gives, as a positive amount; "": all of it.
    part: str = ""
    #: From then on the point is no more, until a later entry of the same id; None: without end. [UTC s]
    until: int | None = None
    #: By which rule its rows are rounded (`shared.rounding`); "": by that of the release.
    rounding: str = ""

    @property
    def parsed(self) -> Formula:
        """Return the formula, parsed."""
        return _parsed(self.formula)

    @property
    def whole(self) -> Formula:
        """Return all that the point is made of, as one formula: for its references, not for its value."""
        if self.share is not None:
            return self.share.with_loads(self.parsed)
        beside = None if self.losses is None else self.losses.reactive
        return self.parsed if beside is None else Formula(self.parsed.terms + beside.terms)

    @property
    def text(self) -> str:
        """Return how the value comes about, as a person reads it."""
        return f"{self._made}, rounded by {self.rounding}" if self.rounding else self._made

    @property
    def _made(self) -> str:
        if self.share is not None:
            users = ", ".join(ref for _, ref in self.share.loads)
            return f"{self.share.whose}'s share of {self.formula} ({self.share.method}, by {users})"
        if self.part:
            return f"{self.part} part of {self.formula}"
        if self.losses is None:
            return self.formula
        return f"losses of {self.formula} ({', '.join(f'{name} {text}' for name, text in self.losses.texts)})"

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
        **({} if one.losses is None else {"losses": dict(one.losses.texts)}),
        **({} if one.share is None else {"share": one.share.body()}), **({"part": one.part} if one.part else {}),
        **({} if one.until is None else {"until": one.until}), **({"rounding": one.rounding} if one.rounding else {}),
    }  # fmt: skip


def points(members: dict[str, Any]) -> list[PointVersion]:
    """Return the points of a record's body.

    Raises:
        Malformed: it is not written so.
    """
    try:
        return [_point(one) for one in members["points"]]
    except (KeyError, TypeError, AttributeError, ConfigError) as error:
        raise Malformed(f"not the body of a points record: {error}") from error


def _point(one: dict[str, Any]) -> PointVersion:
    parties = tuple(one["parties"])
    market = names_of(one.get("market", {}))
    lost = None if one.get("losses") is None else losses.of(one["losses"])
    shared = None if one.get("share") is None else share.of(one["share"])
    part, rounded = one.get("part", ""), one.get("rounding", "")
    if not all(isinstance(one[name], str) for name in ("id", "role", "formula", "quantity")):
        raise Malformed("a point's id, role, formula or quantity is no text")
    if not isinstance(one["from"], int) or not isinstance(one["length_s"], int) or not 0 < one["length_s"] <= _DAY:
        raise Malformed(f"point {one['id'][:80]!r}: its begin or the length of its rows is no whole number of seconds")
    if part not in PARTS:
        raise Malformed(f"a point's part is {str(part)[:40]!r}")
    if rounded != "":
        rounding.rule(rounded, one["quantity"])
    return PointVersion(
        one["id"], one["from"], one["role"], one["formula"], one["length_s"], one["quantity"], parties, market, lost,
        shared, part, one.get("until"), rounded,
    )  # fmt: skip


def names_of(market: Mapping[str, Mapping[str, str]]) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return names by format, sorted."""
    return tuple((form, tuple(sorted(names.items()))) for form, names in sorted(market.items()))


def in_force(versions: Iterable[PointVersion], at: int) -> dict[str, PointVersion]:
    """Return the entry of each point that holds at an instant. [UTC s]"""
    found: dict[str, PointVersion] = {}
    for one in sorted(versions, key=lambda one: (one.id, one.since)):
        if one.since <= at:
            found[one.id] = one
    return {name: one for name, one in found.items() if one.until is None or at < one.until}


def cuts(versions: Iterable[PointVersion], start: int, stop: int) -> list[int]:
    """Return the ends of the parts of a period in which no entry begins or ends, its own ends among them. [UTC s]"""
    edges = {edge for one in versions for edge in (one.since, one.until) if edge is not None}
    return [start, *sorted(edge for edge in edges if start < edge < stop), stop]
