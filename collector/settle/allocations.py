"""`[[allocation]]` of points.toml: shared energy, as one point for each party and one for the rest."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from collector.config import Id, Moment, Strict
from shared import share
from shared.errors import ConfigError
from shared.formula import parse
from shared.master import PointVersion
from shared.quantity import QUANTITIES

Key = Annotated[str, StringConstraints(pattern=r"^(0|1)(\.[0-9]{1,9})?$|^0\.[0-9]{1,9}$")]
Place = Annotated[int, Field(ge=0, le=999)]
_LONGEST = 63


def divides(length: int) -> int:
    """Return the length of a row if it divides a day. [s]

    Raises:
        ValueError: it does not.
    """
    if 86_400 % length:
        raise ValueError(f"{length} s does not divide a day")
    return length


class AllocationEntry(Strict):
    """One `[[allocation]]`; its points are `<id>-<party>` and `<id>-rest`."""

    id: Id
    from_: Moment = Field(alias="from", description="in force from here until a later entry of the same id")
    until: Moment | None = Field(default=None, description="from then on nothing is shared, until a later entry")
    energy: str = Field(description="the channel or point that is shared")
    method: Literal["static", "proportional", "waterfall", "share"] = "proportional"
    loads: dict[Id, str] = Field(min_length=1, description="party, and the channel or point of its load")
    keys: dict[Id, Key] = Field(default={}, description='each party\'s part, as "0.6"; of static and share')
    priority: dict[Id, Annotated[int, Field(ge=0, le=999)]] = Field(
        default={}, description="of waterfall, lowest first"
    )
    length_s: Annotated[int, Field(ge=1, le=3600)] = 900
    quantity: str | None = Field(default=None, description="what is shared; taken from `energy` when it is a channel")
    parties: list[Id] = Field(default=[], description="who may see the shares; everybody when left out")

    @field_validator("length_s")
    @classmethod
    def _divides(cls, length: int) -> int:
        return divides(length)

    def points(self) -> list[PointVersion]:
        """Return the points of all parties and of the rest.

        Raises:
            ConfigError: energy or a load is no single channel or point, or parties do not fit each other.
        """
        for ref in (self.energy, *self.loads.values()):
            if len(parse(ref).terms) != 1 or parse(ref).terms[0][0] != 1:
                raise ConfigError(f"{ref!r} is no single channel or point; make a point of it and name that")
        quantity = self.quantity or (self.energy.rpartition(".")[2] if "/" in self.energy else "energy_active_net")
        if quantity not in QUANTITIES:
            raise ConfigError(f"no quantity {quantity!r}")
        return [self._point(party, quantity) for party in (*sorted(self.loads), share.REST)]

    def _point(self, party: str, quantity: str) -> PointVersion:
        name = f"{self.id}-{party}"
        if len(name) > _LONGEST:
            raise ConfigError(f"the point {name!r} would have more than {_LONGEST} signs; shorten the id")
        told = {
            "whose": party,
            "method": self.method,
            "loads": self.loads,
            "keys": self.keys,
            "priority": self.priority,
        }
        since = int(self.from_.astimezone(UTC).timestamp())
        return PointVersion(
            name, since, "tenant", self.energy, self.length_s, quantity, tuple(sorted(self.parties)),
            share=share.of(told), until=None if self.until is None else int(self.until.timestamp()),
        )  # fmt: skip


def left(entries: Sequence[AllocationEntry], points: Sequence[PointVersion]) -> list[PointVersion]:
    """Return the points so that a party that a later entry of an allocation does not name has left with that entry."""
    begins: dict[str, list[tuple[int, set[str]]]] = {}
    for one in entries:
        since = int(one.from_.astimezone(UTC).timestamp())
        begins.setdefault(one.id, []).append((since, {f"{one.id}-{party}" for party in (*one.loads, share.REST)}))
    ends: dict[tuple[str, int], int] = {}
    for told in begins.values():
        for (since, names), (following, others) in pairwise(sorted(told, key=lambda one: one[0])):
            ends |= {(name, since): following for name in names - others}
    return [
        replace(one, until=min(end, one.until or end)) if (end := ends.get((one.id, one.since))) is not None else one
        for one in points
    ]
