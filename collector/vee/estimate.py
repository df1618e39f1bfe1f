"""A gap filled: method chosen, shape made, integers that obey every known register (DESIGN.md section 7.3).

Rules of this file: slots [first, stop) are never read; the same input gives the same output, bit for bit; what cannot
be estimated is refused, and the caller leaves the gap missing. Order and prior: vee.md section 5, accuracy.md
section 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

import collector.vee.estimators  # noqa: F401 - importing it registers the methods
from collector.vee.backtest import Trial, places, trials
from collector.vee.choice import BESIDE_AN_OUTAGE, LONG_PRIOR, SHORT_PRIOR, best
from collector.vee.estimators.linear import flat
from collector.vee.frame import Frame, Shapes, Window, frame, window
from collector.vee.heap import keep_freed
from collector.vee.reconcile import Constraint, constraint, fill
from collector.vee.registry import ESTIMATORS
from collector.vee.series import Estimate, Floats, Ints, NotEstimable, Series

SHORT = 7_200  # [s] up to here a line is the method of first choice (California 4.1)
#: What another meter says comes before any shape of the channel's own (vee.md section 5, steps 2 and 3).
WITNESSES = ("check", "balance")
PRESCRIBED = "eei"  # computed beside every other method
OTHER_DAYS = 0.5  # how much a back-test on a day of another type counts
DOUBTFUL = 0.25  # median back-test error above which no method does well: jobs, dispatch [of the mean value]


@dataclass(frozen=True, slots=True, eq=False)
class _Choice:
    method: str
    shape: Floats
    inputs: dict[str, object]
    trial: Trial | None = None


def estimate(series: Series, first: int, stop: int, *, total: int | None = None, method: str | None = None) -> Estimate:
    """Return values for the slots [first, stop), how they were made, and a 90 % range of their energy.

    Args:
        series: The channel around the gap.
        first: First slot to fill.
        stop: Slot after the last.
        total: Energy of the gap, if known otherwise than from `series.registers`. [counts]
        method: One registered method, or None to let the channel's own history choose.

    Raises:
        NotEstimable: nothing that is known says what the gap held, or `method` cannot fill it (the text says why).
        ValueError: no such span or method, or a total that contradicts the registers.
    """
    if not 0 <= first < stop <= series.size:
        raise ValueError(f"first, stop: [{first}, {stop}) is no span of a series of {series.size} intervals")
    keep_freed()
    known = constraint(series, first, stop, total)
    seen = frame(series, first, stop)
    view = window(seen, places(seen, first - seen.origin, stop - first))
    chosen = _chosen(seen, view, known) if method is None else _named(seen, view, method, known)
    values = fill(chosen.shape, known, one_way=series.one_way)
    low, high = _range(values, chosen.trial, known, one_way=series.one_way)
    inputs = chosen.inputs | _scaling(chosen.shape, known)
    return Estimate(values, chosen.method, low, high, inputs, _error(chosen.trial))


def _named(seen: Frame, view: Window, method: str, known: Constraint) -> _Choice:
    """Return exactly the method asked for."""
    entry = ESTIMATORS.get(method)
    if not entry.fits(seen.series):
        raise NotEstimable(f"method {method!r} does not apply to this {seen.series.kind} channel; choose another")
    shapes = entry.work(seen, view)
    if not shapes.usable[0]:
        raise NotEstimable(f"method {method!r} cannot fill {_span(seen, view)}: {shapes.why}; choose another")
    return _Choice(method, shapes.values[0], shapes.inputs, _tried(seen, view, {method: shapes}, known)[method])


def _chosen(seen: Frame, view: Window, known: Constraint) -> _Choice:
    """Return another meter's word where there is one, else the best by prior and back-test, else what is left."""
    prior = SHORT_PRIOR if _short(seen, view) else LONG_PRIOR
    made = _witness(seen, view) or _applicable(seen, view, prior)
    if prior is SHORT_PRIOR and not made.keys() & {"linear", *WITNESSES}:
        prior = BESIDE_AN_OUTAGE
        made = _applicable(seen, view, prior)
    if not made:
        return _last_resort(seen, view, known)
    tried = _tried(seen, view, made, known)
    method, expected = best(tried, prior | dict.fromkeys(WITNESSES, 1.0), _weights(seen, view))
    errors = {name: error for name, one in tried.items() if (error := _error(one)) is not None}
    medians = {name: format(error, ".4g") for name, error in errors.items()}
    inputs = made[method].inputs | {
        "back_tests": len(view.gaps.firsts) - 1, "back_test_errors": medians,
        "expected": {name: format(ratio, ".4g") for name, ratio in expected.items()},
    }  # fmt: skip
    if errors.get(method, 0.0) > DOUBTFUL:
        inputs["doubtful"] = "no method foretells this channel well; look for a second source"
    return _Choice(method, made[method].values[0], inputs | _beside(seen, view, known, made), tried[method])


def _witness(seen: Frame, view: Window) -> dict[str, Shapes]:
    """Return what the first other meter says that can speak for the gap."""
    return next((made for name in WITNESSES if (made := _applicable(seen, view, (name,)))), {})


def _weights(seen: Frame, view: Window) -> Floats:
    """Return how much each back-test gap counts: those on days of the gap's own type most. [gaps]"""
    types = seen.daytype[seen.layout.day[view.gaps.firsts]]
    return np.where(types[1:] == types[0], 1.0, OTHER_DAYS)


def _beside(seen: Frame, view: Window, known: Constraint, made: Mapping[str, Shapes]) -> dict[str, object]:
    """Return the energy that the prescribed method would have given. [counts]"""
    shapes = made.get("linear" if _short(seen, view) else "like_day_avg") or ESTIMATORS.get(PRESCRIBED).work(seen, view)
    energy = known.total
    if energy is None and shapes.usable[0]:
        energy = round(float(shapes.values[0].sum()))
    return {"prescribed": {"method": PRESCRIBED, "energy": energy if shapes.usable[0] else None}}


def _short(seen: Frame, view: Window) -> bool:
    return view.gaps.length * seen.series.length <= SHORT


def _applicable(seen: Frame, view: Window, names: Iterable[str]) -> dict[str, Shapes]:
    made = {}
    for name in names:
        entry = ESTIMATORS.get(name)
        if entry.fits(seen.series) and (shapes := entry.work(seen, view)).usable[0]:
            made[name] = shapes
    return made


def _tried(seen: Frame, view: Window, made: Mapping[str, Shapes], known: Constraint) -> dict[str, Trial]:
    return trials(seen, view.gaps, made, scaled=known.total is not None)


def _last_resort(seen: Frame, view: Window, known: Constraint) -> _Choice:
    """Return the one usable end, or an even spread of known energy; both stand under the name linear."""
    level = flat(seen, view)
    if level.usable[0] and (_short(seen, view) or known.total is not None):
        return _Choice("linear", level.values[0], level.inputs | {"form": "flat"})
    if known.total is not None:
        return _Choice("linear", np.ones(view.gaps.length), level.inputs | {"form": "even"})
    raise NotEstimable(
        f"{_span(seen, view)}: no usable neighbour, no like day and no register advance; the gap stays missing"
    )


def _span(seen: Frame, view: Window) -> str:
    first = int(view.gaps.firsts[0]) + seen.origin
    return f"slots [{first}, {first + view.gaps.length})"


def _range(values: Ints, tried: Trial | None, known: Constraint, *, one_way: bool) -> tuple[int | None, int | None]:
    energy = sum(values.tolist())
    if known.total is not None:
        return known.total, known.total
    margin = None if tried is None else tried.margin()
    if margin is None:
        return None, None
    floor = sum(part.energy for part in known.parts if part.energy is not None)
    low = energy - margin
    return (max(low, floor) if one_way else low), energy + margin


def _scaling(shape: Floats, known: Constraint) -> dict[str, object]:
    """Return what was known of the energy, and the factor from shape to energy where all of it was."""
    parts = [[part.first, part.stop, part.energy] for part in known.parts if part.energy is not None]
    noted: dict[str, object] = {"registers": parts} if parts else {}
    if known.total is None:
        return noted
    whole = float(shape.sum())
    factor = format(known.total / whole, ".12g") if whole else None
    return noted | {"total": known.total, "factor": factor}


def _error(tried: Trial | None) -> float | None:
    return None if tried is None else tried.median(tried.usable)
