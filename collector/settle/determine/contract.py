"""Demand as contracts bill it: ratchets over the months before, minima, and a surcharge for a poor power factor."""

from collections.abc import Iterable
from fractions import Fraction

from collector.settle.determine.demand import max_block
from collector.settle.determine.profile import Beside, Bound, Contract, Determinant, Profile, figure
from collector.settle.determine.reactive import power_factor

_MONTHS = 11


def ratchet(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:
    """Return the demand, or a part of the highest of the eleven months before if that is more. [mW]"""
    terms = _terms(name, beside)
    if len(terms.history) > _MONTHS:
        raise ValueError(f"{name}: {len(terms.history)} months before; a ratchet looks back on {_MONTHS}")
    earlier = [_times(one, terms.ratchet) for one in terms.history]
    return _largest(name, [max_block(name, profile, window, beside), *earlier])


def minimum(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:
    """Return the demand, or the part of the contract's capacity that is billed at least if that is more. [mW]"""
    return _largest(name, [max_block(name, profile, window, beside), _floor(name, _terms(name, beside))])


def billing_demand(name: str, profile: Profile, window: int, beside: Beside) -> Determinant:
    """Return the demand that is billed: raised for the power factor, then not less than ratchet and minimum. [mW]"""
    terms = _terms(name, beside)
    metered = max_block(name, profile, window, beside)
    raised = metered if beside.reactive is None else _raised(metered, profile, beside, terms)
    earlier = [_times(one, terms.ratchet) for one in terms.history]
    floor = [] if terms.capacity is None else [_floor(name, terms)]
    return _largest(name, [raised, *earlier, *floor])


def _terms(name: str, beside: Beside) -> Contract:
    if beside.contract is None:
        raise ValueError(f"{name}: needs the contract")
    return beside.contract


def _floor(name: str, terms: Contract) -> Determinant:
    if terms.capacity is None:
        raise ValueError(f"{name}: needs contract.capacity")
    least = terms.capacity * terms.least
    return figure(name, "mW", least, (least, least))


def _raised(metered: Determinant, profile: Profile, beside: Beside, terms: Contract) -> Determinant:
    """Return demand x 0.95 / power factor where that is below 0.95."""
    factor = power_factor("power_factor", profile, beside)
    if not factor.exact or factor.exact >= 1000 * terms.power_factor:
        sure = not factor.provisional and not metered.provisional
        return metered if sure else figure(metered.name, "mW", metered.exact, (_fraction(metered.low), None))
    raise_by = 1000 * terms.power_factor / factor.exact
    made = _times(metered, raise_by)
    return made if not factor.provisional else figure(made.name, "mW", made.exact, (_fraction(metered.low), None))


def _times(one: Determinant, share: Fraction) -> Determinant:
    scaled = [None if bound is None else bound * share for bound in (one.exact, _low(one), _high(one))]
    return figure(one.name, one.unit, scaled[0], (scaled[1], scaled[2]), one.at)


def _low(one: Determinant) -> Bound:
    return one.exact if not one.provisional else _fraction(one.low)


def _high(one: Determinant) -> Bound:
    return one.exact if not one.provisional else _fraction(one.high)


def _fraction(value: int | None) -> Bound:
    return None if value is None else Fraction(value)


def _largest(name: str, several: Iterable[Determinant]) -> Determinant:
    """Return the largest of several, with bounds; unknown where any is unknown that could be it."""
    found = list(several)
    lows = [bound for one in found if (bound := _low(one)) is not None]
    highs = [_high(one) for one in found]
    high = None if any(bound is None for bound in highs) else max(bound for bound in highs if bound is not None)
    known = [one for one in found if one.exact is not None]
    if not known:
        return figure(name, "mW", None, (max(lows, default=None), high))
    best = max(known, key=lambda one: one.exact or 0)
    return figure(name, "mW", best.exact, (max(lows, default=None), high), best.at)
