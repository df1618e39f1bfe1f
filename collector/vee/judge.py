"""One channel judged: known intervals validated, closed gaps estimated, the rest left missing. Pure.

Rules of this file: what a register measured keeps its value; a gap is closed when its end is known; one at the end
stays missing; an estimate once made stands until something else is known of its gap.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.series.registers import Registers, interval_flags
from collector.series.seams import Seam
from collector.vee import Finding, Series, authored, estimate, validate
from collector.vee.anew import Anew, is_trivial
from collector.vee.parts import US, Parts, parts
from collector.vee.policy import Policy
from collector.vee.series import ONE_WAY, Bools, Codes, Estimate, Ints, NotEstimable
from collector.vee.validate import Settings
from shared.status import Flags, Status

MADE = (int(Status.ESTIMATED), int(Status.SUBSTITUTED))
#: Methods that take another meter's word: the value is substituted, not estimated.
_FROM_METERS = frozenset({"check", "balance", "aemo_11", "aemo_12"})
#: What methods are told of a channel, of all that rules are told.
_TOLD = ("check", "check_known")
#: Looked at elsewhere, where the clock is told: `quiet`.
_ELSEWHERE = frozenset({"C4"})
#: Findings of these rules make a measured value suspect.
_SUSPECT = frozenset({"B3", "D2", "D3", "D4", "D6", "E1", "E2", "E5"})


@dataclass(frozen=True, slots=True)
class Around:
    """What rules and methods know of a channel beside its registers, and how they are set for it."""

    fields: Mapping[str, Any] = field(default_factory=dict)  # of `Series`
    settings: Settings = field(default_factory=dict)
    holidays: frozenset[date] = frozenset()
    #: Gives `neighbours` and `neighbours_known` of `Series`; asked only where a gap is to be filled.
    neighbours: Callable[[], Mapping[str, Any]] = dict
    #: Gives the official method from a second on, None where the back-test is to choose. [UTC s]
    official: Callable[[int], str | None] = lambda _: None
    #: Gives where the meter had no voltage, over all that an estimate looks back on.
    outage: Callable[[], Bools | None] = lambda: None
    anew: Anew | None = None  # estimates that stand are made again
    covered: Bools | None = None  # read as parts of coarser intervals: no rule calls them estimated


NOTHING = Around()


@dataclass(slots=True)
class Verdict:
    """What is believed of each interval of a span."""

    values: Ints
    status: Codes
    flags: NDArray[np.int64]
    methods: list[str | None]
    estimates: list[dict[str, object]]
    findings: list[Finding]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """The versions that stand already over the same span."""

    values: Ints
    status: Codes
    flags: NDArray[np.int64]
    methods: list[str | None]


def judge(
    seen: Registers, standing: Standing, policy: Policy, quantity: str, first: int, seams: Sequence[Seam] = (),
    doubted: Bools | None = None, around: Around = NOTHING,
) -> Verdict:  # fmt: skip
    """Return the verdict over a span.

    Args:
        seen: The channel's register over the span.
        standing: Versions over the same span; what lies before `first` is history and kept.
        policy: How the meter is judged.
        quantity: Of the channel.
        first: First interval that may change.
        seams: Where registers of the channel ended.
        doubted: Intervals signed by a key that may have been in other hands.
        around: What else the rules are to know, and how they are set.
    """
    verdict, kind = _measured(seen, standing, first), policy.kind(quantity)
    decided = authored.mask(standing.flags)
    gaps = _gaps(np.where(decided, int(Status.VALID), verdict.status).astype(np.uint8), first)
    for start, stop in (part for gap in gaps for part in _cut(seen, *gap)):
        if (start > 0 or seen.known[0]) and seen.known[stop]:
            known = parts(seen, seams, start, stop) if seen.known[start] else None
            _close(verdict, seen, standing, _View(policy, kind, around), (start, stop), known)
    own = None if doubted is None else _own(verdict, doubted)
    found = _findings(verdict, seen, _View(policy, kind, around), own)
    verdict.findings = [one for one in authored.settled(found, decided) if one.stop >= first]
    for finding in verdict.findings:
        if finding.severity == "E" and finding.rule in _SUSPECT:
            span = slice(max(finding.first, first), finding.stop)
            measured = verdict.status[span] == Status.VALID
            verdict.status[span] = np.where(measured, Status.SUSPECT, verdict.status[span])
    if own is not None:
        verdict.status[own & (np.arange(own.size) >= first)] = Status.SUSPECT
    return verdict


def _own(verdict: Verdict, doubted: Bools) -> Bools:
    """Return what was measured and signed by a key that may have been in other hands."""
    kept = np.array([method == "recorder" for method in verdict.methods], dtype=np.bool_)
    return doubted & (kept | np.isin(verdict.status, (int(Status.VALID), int(Status.SUSPECT))))


@dataclass(frozen=True, slots=True)
class _View:
    """How a channel is looked at."""

    policy: Policy
    kind: str
    around: Around

    def series(self, verdict: Verdict, seen: Registers, known: Bools) -> Series:
        """Return the channel as rules and estimators see it; registers count where `known`."""
        return Series(
            start=seen.start, length=seen.length, values=verdict.values.copy(), status=verdict.status.copy(),
            timezone=self.policy.timezone, kind=self.kind, rated_power=self.policy.rated_power,
            rated_current=self.policy.rated_current,
            registers=seen.registers, registers_known=known, step=seen.step,
        )  # fmt: skip

    def estimate(self, series: Series, span: tuple[int, int], total: int | None) -> Estimate:
        """Return the gap filled by the official method where there is one, else by the one that back-tests best.

        Raises:
            NotEstimable: nothing says what the gap held.
        """
        told = {name: one for name, one in self.around.fields.items() if name in _TOLD}
        whole = replace(
            series, holidays=self.around.holidays, outage=self.around.outage(), **told, **self.around.neighbours()
        )
        method = self.around.official(series.start + span[0] * series.length)
        ours = estimate(whole, *span, total=total)
        if method is None:
            return ours
        beside = {"method": ours.method, "energy": sum(ours.values.tolist())}
        try:
            official = estimate(whole, *span, total=total, method=method)
        except NotEstimable as error:
            return replace(ours, inputs=ours.inputs | {"official": {"method": method, "lacking": str(error)}})
        return replace(official, inputs=official.inputs | {"chosen": beside})


def _findings(verdict: Verdict, seen: Registers, view: _View, doubted: Bools | None) -> list[Finding]:
    """Return the findings over measured values and estimates alike; registers are compared within their runs."""
    fields = {"register_runs": seen.run.astype(np.int64)} | dict(view.around.fields)
    series = replace(view.series(verdict, seen, seen.known), doubted=doubted, **fields)
    if view.around.covered is not None:
        made = view.around.covered & (series.status == Status.ESTIMATED)
        series = replace(series, status=np.where(made, int(Status.CALCULATED), series.status).astype(np.uint8))
    rules = [name for name in view.policy.rules(view.around.settings) if name not in _ELSEWHERE]
    return validate(series, rules, view.around.settings)


def _measured(seen: Registers, standing: Standing, first: int) -> Verdict:
    history = (np.arange(seen.n) < first) | authored.mask(standing.flags)  # what people decided stands
    flags = np.where(history, standing.flags, interval_flags(seen))
    kept = seen.values_known & ((flags & int(Flags.RECORDER)) != 0)  # the meter's own load profile (vee.md section 5)
    status = np.where(kept, Status.SUBSTITUTED, np.where(seen.values_known, Status.VALID, Status.MISSING))
    return Verdict(
        values=np.where(history, standing.values, np.where(seen.values_known, seen.values, 0)),
        status=np.where(history, standing.status, status).astype(np.uint8),
        flags=flags.astype(np.int64),
        methods=[
            standing.methods[at] if stays else ("recorder" if told else None)
            for at, (stays, told) in enumerate(zip(history.tolist(), kept.tolist(), strict=True))
        ],
        estimates=[],
        findings=[],
    )  # fmt: skip


def _gaps(status: Codes, first: int) -> Iterator[tuple[int, int]]:
    """Give the runs of missing intervals that end after `first`, as [start, stop)."""
    missing = np.concatenate([[False], status == Status.MISSING, [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(missing))
    for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if stop > first:
            yield start, stop


def _cut(seen: Registers, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Give a gap in parts: what each of two runs has seen to its end, apart from what lies between them."""
    known = np.flatnonzero(seen.known[start : stop + 1]) + start
    runs = seen.run[known]
    if not (seen.known[start] and seen.known[stop]) or runs[0] == runs[-1]:
        yield start, stop
        return
    last, following = int(known[runs == runs[0]].max()), int(known[runs == runs[-1]].min())
    places = [start, last, following, stop] if last < following else [start, stop]
    for begin, end in pairwise(places):
        if begin < end:
            yield begin, end


def _close(
    verdict: Verdict, seen: Registers, standing: Standing, view: _View, span: tuple[int, int], known: Parts | None
) -> None:  # fmt: skip
    """Fill a gap whose end is known, or leave it missing; ``known`` is what registers saw on either side of a seam."""
    start, stop = span
    gap = slice(start, stop)
    within = _binding(seen, start, stop, one_way=view.kind in ONE_WAY)
    total = int(seen.registers[stop]) - int(seen.registers[start]) if within[start] else None
    stands, again = _stands(standing, seen, gap, within), _again(view.around, seen, gap)
    if stands and again is None:
        _keep(verdict, standing, gap)
        return
    try:
        made = _around(known) or view.estimate(view.series(verdict, seen, within), span, total)
    except NotEstimable:
        if stands:
            _keep(verdict, standing, gap)
        return
    if known is not None and known.line is None:
        made = _beside(known, made, seen.length)
    if stands and _is_trivial(made, standing, view.around, seen, gap):
        _keep(verdict, standing, gap)
        return
    verdict.values[gap] = made.values
    verdict.status[gap] = _status(made)
    verdict.flags[gap] |= int(Flags.SCALED) if total is not None else 0
    verdict.methods[gap] = [made.method] * (stop - start)
    why = {"why": again} if stands else {}
    verdict.estimates.append({
        "first": seen.start + start * seen.length, "stop": seen.start + stop * seen.length, "total": total,
        "method": made.method, "low": made.low, "high": made.high,
        "back_test": None if made.back_test is None else f"{made.back_test:.6f}", "inputs": made.inputs, **why,
    })  # fmt: skip


def _status(made: Estimate) -> Status:
    return Status.SUBSTITUTED if made.method in _FROM_METERS else Status.ESTIMATED


def _again(around: Around, seen: Registers, gap: slice) -> str | None:
    """Return why an estimate that stands is made again, None where it is not."""
    start, stop = (seen.start + at * seen.length for at in (gap.start, gap.stop))
    return around.anew.why if around.anew is not None and around.anew.covers(start, stop) else None


def _is_trivial(made: Estimate, standing: Standing, around: Around, seen: Registers, gap: slice) -> bool:
    """Return whether an estimate made again is not worth a new version: no other kind of source, nearly the same."""
    if (standing.status[gap] != int(_status(made))).any():
        return False
    return is_trivial(made.values, standing.values[gap], around.settings, seen.start + gap.start * seen.length)


def _binding(seen: Registers, start: int, stop: int, *, one_way: bool) -> Bools:
    """Return the registers that say what a gap held: none where they are of two runs, or fall and must not."""
    own: Bools = seen.known & (seen.run == seen.run[start])
    falls = bool((np.diff(seen.registers[start : stop + 1][own[start : stop + 1]]) < 0).any())
    same_run = bool(own[start] and own[stop]) and not (one_way and falls)
    return own if same_run else np.zeros(seen.n + 1, dtype=np.bool_)


def _around(known: Parts | None) -> Estimate | None:
    """Return what registers saw on either side of a short seam, and a line between; None where that is no way."""
    if known is None or known.line is None:
        return None
    return Estimate(known.known + known.line, "linear", None, None, _told(known), None)


def _beside(known: Parts, made: Estimate, length: int) -> Estimate:
    """Return what registers saw on either side of a long seam, and of an estimate only what nobody saw."""
    unseen = np.array(
        [value * time // (length * US) for value, time in zip(made.values.tolist(), known.unseen.tolist(), strict=True)]
    )
    return Estimate(known.known + unseen, made.method, None, None, made.inputs | _told(known), made.back_test)


def _told(known: Parts) -> dict[str, object]:
    seam = known.seam
    return {"seam": [seam.last_at, seam.last, seam.first_at, seam.first], "seen": int(known.known.sum())}


def _stands(standing: Standing, seen: Registers, gap: slice, within: Bools) -> bool:
    """Return whether an estimate was made already that obeys all registers known in its gap, at its ends and inside."""
    made = np.isin(standing.status[gap], MADE)
    known = np.flatnonzero(within[gap.start : gap.stop + 1])
    sums = np.concatenate([[0], np.cumsum(standing.values[gap])])
    return bool(made.all()) and bool((np.diff(sums[known]) == np.diff(seen.registers[gap.start + known])).all())


def _keep(verdict: Verdict, standing: Standing, gap: slice) -> None:
    verdict.values[gap], verdict.status[gap] = standing.values[gap], standing.status[gap]
    verdict.flags[gap] = standing.flags[gap]
    verdict.methods[gap] = standing.methods[gap]
