"""A party's share of energy that several use, as a point: each row split to the last count, and the rest kept. Pure.

Rules of this file: energy and loads are whole counts of single channels or points, so that nothing is rounded twice;
where the energy or a load is not known, or negative, no share is: nobody's is guessed from the others'.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

from shared.allocation import Method, allocate
from shared.errors import ConfigError
from shared.formula import Formula

#: Whose share is what nobody gets.
REST = "rest"
METHODS = ("static", "proportional", "waterfall", "share")


@dataclass(frozen=True, slots=True)
class Share:
    """How a party's share comes about; texts as the master data have them."""

    whose: str
    method: str
    loads: tuple[tuple[str, str], ...]  # party, and the channel or point of its load
    keys: tuple[tuple[str, str], ...] = ()  # party, decimal text
    priority: tuple[tuple[str, int], ...] = ()

    def with_loads(self, energy: Formula) -> Formula:
        """Return energy and loads as one formula: for its references, not for its value."""
        return Formula(energy.terms + tuple((Fraction(1), ref) for _, ref in self.loads))

    def of(self, energy: int | None, loads: Mapping[str, int | None]) -> int | None:
        """Return the party's share of one row; None where it cannot be said.

        Args:
            energy: What is shared. [counts]
            loads: What each channel or point used, by its name. [counts]
        """
        used = {party: loads[ref] for party, ref in self.loads}
        if energy is None or energy < 0 or any(load is None or load < 0 for load in used.values()):
            return None
        try:
            made = allocate(
                energy, used, method=cast("Method", self.method),
                keys={party: Fraction(text) for party, text in self.keys} or None,
                priority=dict(self.priority) or None,
            )  # fmt: skip
        except ValueError:  # nothing says how to share: no load at all
            return None
        return made.rest if self.whose == REST else made.shares[self.whose]

    def body(self) -> dict[str, object]:
        """Return it as a record states it."""
        return {
            "whose": self.whose, "method": self.method, "loads": dict(self.loads), "keys": dict(self.keys),
            "priority": dict(self.priority),
        }  # fmt: skip


def of(members: Mapping[str, Any]) -> Share:
    """Return the share that master data state.

    Raises:
        ConfigError: parties, keys and priorities do not fit each other.
    """
    loads, keys, priority = (dict(members.get(name) or {}) for name in ("loads", "keys", "priority"))
    method, whose = str(members["method"]), str(members["whose"])
    if method not in METHODS:
        raise ConfigError(f"allocation: no method {method!r}; known: {', '.join(METHODS)}")
    if not loads or REST in loads or whose not in {*loads, REST}:
        raise ConfigError(f"allocation: {whose!r} is not one of the loads' parties {', '.join(sorted(loads))}")
    for name, found, wanted in (("keys", keys, method == "static"), ("priority", priority, method == "waterfall")):
        if (wanted or found) and set(found) != set(loads):
            raise ConfigError(f"allocation: {name} must name exactly the parties {', '.join(sorted(loads))}")
    if method == "static" and sum(Fraction(text) for text in keys.values()) > 1:
        raise ConfigError("allocation: keys add up to more than 1")
    return Share(
        whose, method, tuple(sorted(loads.items())), tuple(sorted((party, str(text)) for party, text in keys.items())),
        tuple(sorted((party, int(place)) for party, place in priority.items())),
    )  # fmt: skip
