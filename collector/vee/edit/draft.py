"""A request turned into versions: values, status, method and what they rest on. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collector.vee.edit.request import Draft, Request
from collector.vee.localtime import layout
from collector.vee.reconcile import spread
from collector.vee.rules.i3_second_person import Second
from collector.vee.series import HAS_VALUE, Bools, Codes, Estimate, Ints, NotEstimable
from shared.errors import ConfigError
from shared.quantity import QUANTITIES
from shared.status import Flags, Status
from shared.veeblob import Span

MADE_BY = "edit/1"
_KWH = 1_000_000  # [mWh]
_FROM_METERS = frozenset({"check", "balance", "aemo_11", "aemo_12"})
#: Flags that a changed value does not keep: they spoke of how the former one came about.
_OF_READS = int(Flags.SCALED | Flags.INNER_ESTIMATED | Flags.RULE_DIFFERS | Flags.OUTSIDE)


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """What stands on the span of a request, and what can be asked around it."""

    size: int  # of the log
    length: int  # [s]
    values: Ints
    status: Codes
    flags: Ints
    methods: Sequence[str | None]
    timezone: str
    one_way: bool
    copied: tuple[Ints, Bools] | None  # of the source channel, and where it is known
    marks: Ints | int  # flags that go with what is copied: whose word it is
    day_energy: Callable[[Ints], list[int]]  # by interval, the energy of its local day as it stands [counts]
    alone: Mapping[int, int]  # by local day since 1970, what changes that nobody else approved move already [counts]
    #: Fills the span by a method, None: the one that back-tests best; bound to registers or not.
    estimate: Callable[[str | None, bool], Estimate]


def draft(request: Request, ground: Ground, limit: Second) -> Draft:
    """Return what a request would do.

    Raises:
        ConfigError: it cannot be done; the text says why and what can.
    """
    values, status, method, estimates = _MAKERS[request.action](request, ground)
    decided = ground.status == Status.SUSPECT if request.action == "accept" else np.ones(len(values), np.bool_)
    flags = np.where(decided, (ground.flags & ~_OF_READS) | int(Flags.AUTHORED) | ground.marks, ground.flags)
    _check_range(request, values, status, one_way=ground.one_way)
    shown = tuple(None if code == Status.MISSING else value for value, code in zip(values, status, strict=True))
    span = Span(
        request.channel, request.start, ground.length, shown, tuple(status), tuple(flags.tolist()), tuple(method),
        MADE_BY, estimates,
    )  # fmt: skip
    before = tuple(
        value if HAS_VALUE[code] else None
        for value, code in zip(ground.values.tolist(), ground.status.tolist(), strict=True)
    )
    change = [abs((new or 0) - (old or 0)) for new, old in zip(shown, before, strict=True)]
    codes = tuple(ground.status.tolist())
    return Draft(request, ground.size, before, codes, span, sum(change), _needs_second(request, ground, change, limit))


_Made = tuple[list[int], list[int], list[str | None], tuple[dict[str, object], ...]]


def _edit(request: Request, ground: Ground) -> _Made:
    n = len(ground.values)
    if request.total is not None:
        if request.total < 0 and ground.one_way:
            raise ConfigError(f"{request.channel}: energy passes one way only; a total of {request.total} cannot be")
        if not -(2**63) <= request.total < 2**63:
            raise ConfigError(
                f"{request.channel}: a total of {str(request.total)[:30]} cannot be: it has 64 bits at most"
            )
        form = np.where(HAS_VALUE[ground.status], ground.values, 0).astype(np.float64)
        values = spread(form, request.total, one_way=ground.one_way)
    elif len(request.values) != n:
        raise ConfigError(f"{request.channel}: {len(request.values)} values for {n} intervals; give one for each")
    else:
        values = list(request.values)
    return values, [int(Status.EDITED)] * n, ["manual"] * n, ()


def _accept(request: Request, ground: Ground) -> _Made:
    suspect = ground.status == Status.SUSPECT
    if not suspect.any():
        raise ConfigError(
            f"{request.channel}: nothing suspect in that time; only what a check has failed can be accepted"
        )
    status = np.where(suspect, int(Status.VERIFIED), ground.status)
    return ground.values.tolist(), status.tolist(), list(ground.methods), ()


def _reject(request: Request, ground: Ground) -> _Made:
    return _estimated(request, ground, bound=False)


def _estimate(request: Request, ground: Ground) -> _Made:
    return _estimated(request, ground, bound=True)


def _estimated(request: Request, ground: Ground, *, bound: bool) -> _Made:
    n = len(ground.values)
    try:
        made = ground.estimate(request.method, bound)
    except (NotEstimable, ValueError) as error:
        if request.action == "reject" and isinstance(error, NotEstimable):
            return [0] * n, [int(Status.MISSING)] * n, [None] * n, ()
        raise ConfigError(f"{request.channel}: {error}") from error
    status = Status.SUBSTITUTED if made.method in _FROM_METERS else Status.ESTIMATED
    told: dict[str, object] = {
        "first": request.start, "stop": request.stop, "total": made.low if bound and made.low == made.high else None,
        "method": made.method, "low": made.low, "high": made.high,
        "back_test": None if made.back_test is None else f"{made.back_test:.6f}", "inputs": made.inputs,
    }  # fmt: skip
    return made.values.tolist(), [int(status)] * n, [made.method] * n, (told,)


def _copy(request: Request, ground: Ground) -> _Made:
    n = len(ground.values)
    if ground.copied is None or not ground.copied[1].all():
        known = 0 if ground.copied is None else int(ground.copied[1].sum())
        raise ConfigError(f"{request.source}: knows {known} of {n} intervals; copy only what it knows throughout")
    return ground.copied[0].tolist(), [int(Status.SUBSTITUTED)] * n, ["check"] * n, ()


_MAKERS: dict[str, Callable[[Request, Ground], _Made]] = {
    "edit": _edit, "accept": _accept, "reject": _reject, "estimate": _estimate, "copy": _copy,
}  # fmt: skip


def _check_range(request: Request, values: Sequence[int], status: Sequence[int], *, one_way: bool) -> None:
    for value, code in zip(values, status, strict=True):
        if code != Status.MISSING and not (0 if one_way else -(2**63)) <= value < 2**63:
            raise ConfigError(f"{request.channel}: {value} cannot be: energy passes one way only, in 64 bits")


def _needs_second(request: Request, ground: Ground, change: Sequence[int], limit: Second) -> bool:
    """Return whether a day's changes, with those before it, pass 1 % of its energy or 100 kWh (vee.md I3)."""
    if not any(change):
        return False
    where = layout(ground.timezone, request.start, ground.length, len(change))
    day = where.day
    moved = [ground.alone.get(one, 0) for one in where.ordinal.tolist()]
    for at, amount in zip(day.tolist(), change, strict=True):
        moved[at] += amount
    whole = ground.day_energy(day)
    energy = QUANTITIES[request.channel.rpartition(".")[2]].unit == "mWh"
    return any(
        amount > total * limit.permille // 1000 or (energy and amount > limit.energy_kWh * _KWH)
        for amount, total in zip(moved, whole, strict=True)
    )
