"""The determinants by name."""

from collections.abc import Callable, Mapping, Sequence

from collector.settle.determine import contract, demand, energy, reactive
from collector.settle.determine.profile import Beside, Contract, Determinant, Profile
from collector.vee.series import Bools

_PLAIN: dict[str, Callable[[str, Profile, Beside], Determinant]] = {
    "energy": energy.energy,
    "take_or_pay": energy.take_or_pay,
    "heat_rate": energy.heat_rate,
    "power_factor": reactive.power_factor,
    "apparent": reactive.apparent,
}
_NUMBERED: dict[str, Callable[[str, Profile, int, Beside], Determinant]] = {
    "max_block": demand.max_block,
    "max_sliding": demand.max_sliding,
    "coincident": demand.coincident,
    "ramp": demand.ramp,
    "top_hours": energy.top_hours,
    "load_factor": energy.load_factor,
    "ratchet": contract.ratchet,
    "minimum": contract.minimum,
    "billing_demand": contract.billing_demand,
    "reactive_over": reactive.reactive_over,
}


def determinants(
    profile: Profile, wanted: Sequence[str], *, reactive: Profile | None = None, fuel: Profile | None = None,
    periods: Mapping[str, Bools] | None = None, peaks: Sequence[int] | None = None, contract: Contract | None = None,
) -> dict[str, Determinant]:  # fmt: skip
    """Return the determinants asked for, by name.

    Args:
        profile: Active energy. [mWh]
        wanted: ``energy``, ``max_block:SECONDS`` (blocks of the local clock), ``max_sliding:SECONDS``,
            ``top_hours:COUNT`` (mean of the largest local hours), ``load_factor:SECONDS`` (of the block demand),
            ``ramp:SECONDS``; with `reactive` ``power_factor``, ``apparent`` and ``reactive_over:PERCENT``; with `fuel`
            ``heat_rate``; with `peaks` ``coincident:SECONDS``; with `contract` ``ratchet:SECONDS``,
            ``minimum:SECONDS``, ``billing_demand:SECONDS`` and ``take_or_pay``. Each may end in ``@PERIOD`` for the
            intervals of a tariff period.
        reactive: Reactive energy over the same intervals. [mvarh]
        fuel: Heat of the fuel over the same intervals. [mWh]
        periods: Which intervals each tariff period has, as `tariff.periods` gives them.
        peaks: Starts of the system's peak intervals. [UTC s]
        contract: What is billed at least, and the months before.

    Raises:
        ValueError: no such determinant, or one that needs what is not given; the text lists what there is.
    """
    beside = Beside(reactive=reactive, fuel=fuel, periods=periods, peaks=peaks, contract=contract)
    return {name: _one(name, profile, beside) for name in wanted}


def _one(name: str, profile: Profile, beside: Beside) -> Determinant:
    what, at, period = name.partition("@")
    kind, _, number = what.partition(":")
    seen = _during(name, period, profile, beside) if at else profile
    if kind in _PLAIN and not number:
        return _PLAIN[kind](name, seen, beside)
    if kind in _NUMBERED and number.isdecimal() and int(number):
        return _NUMBERED[kind](name, seen, int(number), beside)
    known = [*_PLAIN, *(f"{kind}:NUMBER" for kind in _NUMBERED)]
    raise ValueError(f"no determinant {name!r}; known: {', '.join(known)}, each also with @PERIOD")


def _during(name: str, period: str, profile: Profile, beside: Beside) -> Profile:
    known = beside.periods or {}
    if period not in known:
        raise ValueError(f"{name}: no tariff period {period!r}; known: {', '.join(sorted(known)) or 'none'}")
    return profile.during(known[period])
