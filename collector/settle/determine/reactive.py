"""Apparent energy, power factor, and reactive energy over an allowance: what needs active and reactive together."""

from collections.abc import Callable
from fractions import Fraction
from math import isqrt

from collector.settle.determine.profile import Beside, Determinant, Profile, figure
from collector.settle.determine.windows import total


def apparent(name: str, profile: Profile, beside: Beside) -> Determinant:
    """Return the root of the squares of active and reactive energy. [mVAh]"""
    return _of_both(name, "mVAh", profile, beside, lambda active, other: _nearest_root(active**2 + other**2, 1))


def power_factor(name: str, profile: Profile, beside: Beside) -> Determinant:
    """Return active over apparent energy. [1e-3]"""
    return _of_both(
        name, "1e-3", profile, beside, lambda active, other: _nearest_root((1000 * active) ** 2, active**2 + other**2)
    )


def reactive_over(name: str, profile: Profile, percent: int, beside: Beside) -> Determinant:
    """Return reactive energy over a part of the active energy that goes free. [mvarh]"""
    reactive = _reactive(name, profile, beside)
    (active, bounds), (other, others) = total(profile), total(reactive)

    def over(reactive_energy: Fraction | None, active_energy: Fraction | None) -> Fraction | None:
        if reactive_energy is None or active_energy is None:
            return None
        return max(Fraction(0), reactive_energy - active_energy * Fraction(percent, 100))

    least = Fraction(0) if bounds[1] is None else over(others[0], bounds[1])
    return figure(name, "mvarh", over(other, active), (least, over(others[1], bounds[0])))


def _reactive(name: str, profile: Profile, beside: Beside) -> Profile:
    reactive = beside.reactive
    if reactive is None or len(reactive.values) != len(profile.values):
        raise ValueError(f"{name}: needs reactive energy over the same intervals")
    return reactive if profile.meant is None else reactive.during(profile.meant)


def _of_both(
    name: str, unit: str, profile: Profile, beside: Beside, rule: Callable[[int, int], int | None]
) -> Determinant:  # fmt: skip
    """Return a figure of both energies; it is provisional as soon as one of them is, and then without bounds."""
    reactive = _reactive(name, profile, beside)
    (active, bounds), (other, other_bounds) = total(profile), total(reactive)
    made = None if active is None or other is None else rule(int(active), int(other))
    sure = bounds == (active, active) and other_bounds == (other, other)
    edge = made if sure else None
    return Determinant(name, unit, made, None if made is None else Fraction(made), edge, edge, not sure)


def _nearest_root(above: int, below: int) -> int | None:
    """Return the integer nearest to the root of a fraction, None where it has none."""
    return (isqrt(4 * above // below) + 1) // 2 if below else None
