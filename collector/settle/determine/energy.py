"""Energy of a period, its largest hours, and how evenly it is spread."""

from fractions import Fraction

import numpy as np

from collector.settle.determine.demand import max_block
from collector.settle.determine.profile import HOUR, Beside, Determinant, Profile, figure
from collector.settle.determine.windows import blocks, total
from collector.vee.series import HAS_VALUE, Ints


def energy(name: str, profile: Profile, beside: Beside) -> Determinant:  # noqa: ARG001 - the form of a determinant
    """Return the sum. [mWh]"""
    return figure(name, "mWh", *total(profile))


def top_hours(name: str, profile: Profile, count: int, beside: Beside) -> Determinant:  # noqa: ARG001
    """Return the mean of the largest local hours; what is missing is left out of the figure but not of the bounds."""
    seen = blocks(profile, HOUR)
    order = np.lexsort((seen.start, -seen.known))
    best = order[seen.some[order]][:count]
    exact = Fraction(int(seen.known[best].sum()), len(best)) if len(best) else None
    high = _mean_of_largest(seen.high, count) if seen.bounded.all() and len(seen.high) else None
    low = _mean_of_largest(seen.low, count) if len(seen.low) else None
    return figure(name, "mWh", exact, (low, high), tuple(sorted(seen.start[best].tolist())))


def _mean_of_largest(values: Ints, count: int) -> Fraction:
    largest = np.sort(values)[-count:]
    return Fraction(int(largest.sum()), len(largest))


def load_factor(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:
    """Return energy over what the highest demand would have given throughout. [1e-3]"""
    demand = max_block(name, profile, window, beside)
    exact, (low, high) = total(profile)
    span = Fraction(int(profile.counted.sum()) * profile.length, HOUR) / 1000
    if exact is None or not demand.exact:
        return figure(name, "1e-3", None, (None, None))
    least = low / (demand.high * span) if low is not None and demand.high else Fraction(0)
    most = min(high / (demand.low * span), Fraction(1000)) if high is not None and demand.low else Fraction(1000)
    factor = exact / (demand.exact * span)
    return figure(name, "1e-3", factor, (factor, factor) if not demand.provisional and low == high else (least, most))


def take_or_pay(name: str, profile: Profile, beside: Beside) -> Determinant:
    """Return what was to be taken and was not. [mWh]"""
    wanted = None if beside.contract is None else beside.contract.quantity
    if wanted is None:
        raise ValueError(f"{name}: needs contract.quantity")
    exact, (low, high) = total(profile)

    def short(taken: Fraction | None) -> Fraction | None:
        return None if taken is None else max(Fraction(0), wanted - taken)

    return figure(name, "mWh", short(exact), (Fraction(0) if high is None else short(high), short(low)))


def heat_rate(name: str, profile: Profile, beside: Beside) -> Determinant:
    """Return heat of fuel over net electric energy, of the intervals in which both are known. [1e-3]"""
    fuel = beside.fuel
    if fuel is None or (fuel.start, fuel.length, len(fuel.values)) != (
        profile.start, profile.length, len(profile.values),
    ):  # fmt: skip
        raise ValueError(f"{name}: needs fuel over the same intervals")
    both = HAS_VALUE[profile.status] & HAS_VALUE[fuel.status]
    (heat, heat_bounds), (power, bounds) = total(fuel.during(both)), total(profile.during(both))
    rate = None if not heat or not power or power <= 0 else 1000 * heat / power
    sure = bool(both[profile.counted].all()) and heat_bounds == (heat, heat) and bounds == (power, power)
    return figure(name, "1e-3", rate, (rate, rate) if sure else (None, None))
