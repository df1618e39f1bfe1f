"""`points.toml`: what is settled, as dated formulas; loaded into the log as one signed record."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import tomlkit
from pydantic import Field, field_validator, model_validator

from collector.config import Id, Market, Moment, Strict, keys_in
from collector.settle.allocations import AllocationEntry, divides, left
from collector.settle.evaluation import evaluation_order
from shared import losses, master, places, rounding, strictjson
from shared.errors import ConfigError, Malformed
from shared.formula import Formula, parse
from shared.losses import Losses
from shared.master import PointVersion, in_force, names_of
from shared.places import Document
from shared.quantity import QUANTITIES
from shared.release import instant
from shared.rounding import CARRY_DAY

LENGTHS = (300, 900, 1800, 3600)


class PointEntry(Strict):
    """One `[[point]]`."""

    id: Id
    from_: Moment = Field(alias="from", description="in force from here until a later entry of the same id")
    until: Moment | None = Field(default=None, description="from then on it is no more, until a later entry")
    role: Literal["grid", "generation", "storage", "load", "tenant"]
    formula: str
    length_s: Annotated[int, Field(ge=1, le=3600)] = 900
    quantity: str | None = Field(default=None, description="what the result is; taken from the formula when left out")
    parties: list[Id] = Field(default=[], description="who may see it; everybody when left out")
    losses: dict[str, str] | None = Field(
        default=None, description=f"the point is what is lost of its formula: {', '.join(losses.KEYS)}"
    )
    part: Literal["positive", "negative"] | None = Field(default=None, description="only that part, as an amount")
    rounding: str = Field(default=CARRY_DAY, description="how rows become whole counts, and of which place")
    market: Market = Field(default={}, description="what each format's market calls it")

    @field_validator("length_s")
    @classmethod
    def _divides(cls, length: int) -> int:
        return divides(length)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.until is not None and self.until <= self.from_:
            raise ValueError("until lies before from; a point ends after it has begun")
        if self.part and self.losses is not None:
            raise ValueError("part and losses exclude each other; make the part a point of its own")
        return self


class PointsFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    point: list[PointEntry] = Field(default=[])
    allocation: list[AllocationEntry] = Field(default=[])


def load(path: Path) -> list[PointVersion]:
    """Return the points of a file, sorted by id and time.

    Raises:
        ConfigError: one or more lines, each `file:line:column: what, and what to do`.
    """
    return _read(
        places.document(path, tomlkit.parse, "write it as config/points.toml shows"), PointsFile.model_validate
    )


def of_toml(text: str) -> list[PointVersion]:
    """Return the points of a text written as the file is.

    Raises:
        ConfigError: one or more lines, each `points.toml:line:column: what, and what to do`.
    """
    return _read(places.of_toml("points.toml", text, tomlkit.parse), PointsFile.model_validate)


def of_json(text: str) -> list[PointVersion]:
    """Return the points of JSON with the members of the file; times are texts.

    Raises:
        ConfigError: one or more lines, each `/point/0/formula: what, and what to do`.
    """
    try:
        members = strictjson.loads(text.encode())
    except Malformed as error:
        raise ConfigError(f"not JSON: {error}") from error
    if not isinstance(members, dict):
        raise ConfigError("not the members of a points file: write an object with schema and point")
    return _read(Document("", text, members, None), lambda _: PointsFile.model_validate_json(text))


def _read(document: Document, validate: Callable[[Any], PointsFile]) -> list[PointVersion]:
    file = document.checked(validate, keys_in(PointsFile, point=PointEntry, allocation=AllocationEntry))
    complaints: list[str] = []
    made = [
        _version(document, at, entry, complaints)
        for at, entry in enumerate(file.point)
        if len(complaints) < places.MOST
    ]
    owners = {entry.id: "a [[point]]" for entry in file.point}
    for at, one in enumerate(file.allocation):
        try:
            shares = one.points()
            _taken(shares, one.id, owners)
            made += shares
        except ConfigError as error:
            complaints.append(f'{document.place(("allocation", at, "id"))}: allocation "{one.id}": {error}')
    if complaints:
        raise ConfigError("\n".join(complaints))
    ended = left(file.allocation, [one for one in made if one is not None])
    found = sorted(ended, key=lambda one: (one.id, one.since))
    _doubles(found)
    _whole_rows(found)
    _circles(found)
    return found


def _taken(shares: Sequence[PointVersion], allocation: str, owners: dict[str, str]) -> None:
    """Note whose the points of an allocation are; refuse one that is another's: it would take over from that."""
    for name in dict.fromkeys(one.id for one in shares):
        owner = owners.setdefault(name, f"allocation {allocation!r}")
        if owner != f"allocation {allocation!r}":
            raise ConfigError(f"its point {name!r} is {owner} already; give one of them another id")


def _version(document: Document, at: int, entry: PointEntry, complaints: list[str]) -> PointVersion | None:
    try:
        quantity = entry.quantity or quantity_of(parse(entry.formula))
        if quantity not in QUANTITIES:
            raise ConfigError(f"no quantity {quantity!r}")
        lost = None if entry.losses is None else _losses(entry, quantity)
        rounding.rule(entry.rounding, quantity)
    except ConfigError as error:
        key = _blamed(entry, str(error))
        complaints.append(f'{document.place(("point", at, key))}: point "{entry.id}": {error}')
        return None
    since = int(entry.from_.astimezone(UTC).timestamp())
    parties = tuple(sorted(entry.parties))
    return PointVersion(
        entry.id, since, entry.role, entry.formula, entry.length_s, quantity, parties, names_of(entry.market),
        lost, None, entry.part or "", None if entry.until is None else int(entry.until.timestamp()),
        "" if entry.rounding == CARRY_DAY else entry.rounding,
    )  # fmt: skip


def _blamed(entry: PointEntry, error: str) -> str:
    """Return the key that an error is about."""
    for key in ("losses", "rounding"):
        if error.startswith((key, f"no {key}")):
            return key
    return "quantity" if "quantity" in error and entry.quantity else "formula"


def _losses(entry: PointEntry, quantity: str) -> Losses:
    """Return the losses of a point; what passes must be active energy, and reactive energy beside it."""
    found = losses.of(entry.losses or {})
    beside = () if found.reactive is None else found.reactive.refs
    for refs, unit in ((parse(entry.formula).refs, "mWh"), (beside, "mvarh")):
        for ref in refs:
            if "/" in ref and QUANTITIES[ref.rpartition(".")[2]].unit != unit:
                raise ConfigError(
                    f"losses: {ref} does not count {unit}; losses are of active energy, reactive beside it"
                )
    if QUANTITIES[quantity].unit != "mWh":
        raise ConfigError(f"losses: they are active energy, and quantity says {quantity}")
    return found


def quantity_of(formula: Formula) -> str:
    """Return what a formula gives: its one quantity if all terms agree and add, else the net of active energies.

    Raises:
        ConfigError: that is not clear from the formula.
    """
    names = {ref.rpartition(".")[2] for ref in formula.refs if "/" in ref}
    if len(names) == 1 and all(factor > 0 for factor, _ in formula.terms) and all("/" in ref for ref in formula.refs):
        return names.pop()
    kinds = {name.split("_")[1] if name.startswith("energy_") else name for name in names}
    if kinds <= {"active"}:
        return "energy_active_net"
    raise ConfigError("what this formula gives is not clear; write quantity = ")


def _doubles(found: Sequence[PointVersion]) -> None:
    for one, other in pairwise(found):
        if (one.id, one.since) == (other.id, other.since):
            raise ConfigError(f'point "{one.id}" has two entries from {instant(one.since)}; keep one')


def _whole_rows(found: Sequence[PointVersion]) -> None:
    """Refuse an entry that begins or ends inside a row of any point: that row would be neither's."""
    longest = max(found, key=lambda one: one.length, default=None)
    for one in found:
        for name, edge in (("from", one.since), ("until", one.until)):
            if longest is not None and edge is not None and edge % longest.length:
                raise ConfigError(
                    f'point "{one.id}": {name} {instant(edge)} lies inside a row of point "{longest.id}"'
                    f" ({longest.length} s); let it lie between two rows"
                )


def _circles(found: Sequence[PointVersion]) -> None:
    """Refuse points that refer to each other in a circle, or to a point whose rows are longer or shorter."""
    for since in sorted({one.since for one in found}):
        force = in_force(found, since)
        _shallow(evaluation_order({one.id: one.whole for one in force.values()}, {one.id for one in found}), force)
        for one in force.values():
            for ref in one.whole.refs:
                if ref in force and force[ref].length != one.length:
                    raise ConfigError(
                        f'point "{one.id}": its rows have {one.length} s, those of {ref} {force[ref].length} s;'
                        " give both the same length_s"
                    )


def _shallow(order: Sequence[str], force: Mapping[str, PointVersion]) -> None:
    """Refuse points that stand too deep one in the other; order: each after those that it is made of."""
    depth: dict[str, int] = {}
    for name in order:
        depth[name] = 1 + max((depth.get(ref, 0) for ref in force[name].whole.refs), default=0)
        if depth[name] > master.DEEPEST:
            raise ConfigError(
                f'point "{name}": more than {master.DEEPEST} points stand one in the other; name channels, or a total'
            )


def diff(old: Sequence[PointVersion], new: Sequence[PointVersion]) -> list[str]:
    """Return what changes from one master data to another, a line each; the first sign says how."""
    before = {(one.id, one.since): one for one in old}
    after = {(one.id, one.since): one for one in new}
    lines = []
    for key in sorted(before.keys() | after.keys()):
        was, becomes = before.get(key), after.get(key)
        if was == becomes:
            continue
        if was and becomes and was.formula == becomes.formula:
            lines.append(f"~ {key[0]} from {instant(key[1])}: {_changed(was, becomes)}")
            continue
        lines += [f"- {key[0]} from {instant(key[1])}: {was.text}"] if was else []
        lines += [f"+ {key[0]} from {instant(key[1])}: {becomes.text}"] if becomes else []
    return lines


def _changed(was: PointVersion, becomes: PointVersion) -> str:
    """Say which members beside the formula differ."""
    old, new = master.entry(was), master.entry(becomes)
    names = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    return ", ".join(f"{name} {_said(old.get(name))} -> {_said(new.get(name))}" for name in names)


def _said(value: object) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
