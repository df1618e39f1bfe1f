"""Shared energy split among parties, to the last unit (market.md section 2.4).

Rules of this file: shares and rest add up to the energy exactly; what a rounding leaves goes to the largest remainders,
ties by id; a load that is not known is refused, never taken for zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, TypeVar

Method = Literal["static", "proportional", "waterfall", "share"]
Number = TypeVar("Number", int, Fraction)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Who gets how much, and what nobody gets (it is exported). [counts]"""

    shares: dict[str, int]
    rest: int


def allocate(
    energy: int,
    loads: Mapping[str, int | None],
    *,
    method: Method = "proportional",
    keys: Mapping[str, Fraction] | None = None,
    priority: Mapping[str, int] | None = None,
) -> Allocation:
    """Return one interval's energy split among parties.

    Args:
        energy: Energy to split. [counts]
        loads: What each party used. [counts]
        method: `static`: key x energy, at most the load. `proportional`: by load, at most the load. `waterfall`: lowest
            priority number first, by load within one number. `share`: the whole energy by key, or by load without keys
            (losses, house loads).
        keys: Each party's part of the energy; for `static` they add up to at most 1. [1]
        priority: Each party's place in the waterfall.

    Raises:
        ValueError: energy, a load or a key is lacking or negative.
    """
    used = _checked(energy, loads)
    match method:
        case "static":
            shares = _static(energy, used, _given(keys, used, "keys"))
        case "proportional":
            shares = _by_load(energy, used)
        case "waterfall":
            shares = _waterfall(energy, used, _given(priority, used, "priority"))
        case "share":
            weights = {party: Fraction(load) for party, load in used.items()} if keys is None else keys
            shares = apportion(energy, _given(weights, used, "keys"))
    return Allocation(shares, energy - sum(shares.values()))


def _checked(energy: int, loads: Mapping[str, int | None]) -> dict[str, int]:
    if energy < 0:
        raise ValueError(f"energy: {energy} cannot be shared out; it is negative")
    used = {party: load for party, load in sorted(loads.items()) if load is not None}
    lacking = sorted(set(loads) - set(used))
    if lacking or not used:
        raise ValueError(f"loads: no value for {', '.join(lacking) or 'anyone'}; estimate it before sharing out")
    if min(used.values()) < 0:
        raise ValueError("loads: negative; share out to consumption only")
    return used


def _given(of: Mapping[str, Number] | None, used: dict[str, int], name: str) -> dict[str, Number]:
    """Return the numbers of exactly the parties."""
    if of is None or set(of) != set(used):
        raise ValueError(f"{name}: must name exactly the parties {', '.join(used)}")
    return {party: of[party] for party in used}


def apportion(total: int, weights: Mapping[str, Fraction]) -> dict[str, int]:
    """Return integers in proportion to weights, adding up to `total` exactly: largest remainder, ties by id.

    Raises:
        ValueError: no weight is positive, or one is negative.
    """
    whole = sum(weights.values(), Fraction(0))
    if whole <= 0 or min(weights.values()) < 0:
        raise ValueError("weights: none is positive, or one is negative; nothing says how to share out")
    exact = {party: total * weight / whole for party, weight in weights.items()}
    shares = {party: int(value) for party, value in exact.items()}
    left = total - sum(shares.values())
    for party in sorted(exact, key=lambda name: (shares[name] - exact[name], name))[:left]:
        shares[party] += 1
    return shares


def _static(energy: int, used: dict[str, int], keys: dict[str, Fraction]) -> dict[str, int]:
    whole = sum(keys.values(), Fraction(0))
    if whole > 1:
        raise ValueError(f"keys: add up to {whole}, more than 1")
    entitled = apportion(int(energy * whole), keys)
    return {party: min(share, used[party]) for party, share in entitled.items()}


def _by_load(energy: int, used: dict[str, int]) -> dict[str, int]:
    if energy >= sum(used.values()):
        return dict(used)
    return apportion(energy, {party: Fraction(load) for party, load in used.items()})


def _waterfall(energy: int, used: dict[str, int], priority: dict[str, int]) -> dict[str, int]:
    shares: dict[str, int] = {}
    for place in sorted(set(priority.values())):
        group = {party: used[party] for party in used if priority[party] == place}
        shares |= _by_load(energy - sum(shares.values()), group)
    return shares
