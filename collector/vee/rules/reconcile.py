"""G2: the sum check: intervals must add up to the register's advance."""

import numpy as np

from collector.vee.registry import RULES
from collector.vee.runs import many, when
from collector.vee.series import Bools, Finding, Ints, Series


def _has_registers(series: Series) -> bool:
    return series.registers is not None


@RULES.add("G2", fits=_has_registers)
def reconcile(series: Series) -> list[Finding]:
    """Object where intervals and register differ by more than max(0.1 % of the advance, 2 register steps).

    Compared in integers between each two neighbouring known boundaries, and over the whole span of them, so that small
    differences of one sign cannot add up unseen. The fixed form serves where read times are unknown (vee.md, G2).
    """
    assert series.registers is not None  # noqa: S101 - eligibility has said so; for the type checker
    assert series.registers_known is not None  # noqa: S101 - as above
    at = np.flatnonzero(series.registers_known)
    found = [*_differing(series, series.registers, at)]
    if not found and len(at) > 2 and not _falls(series, series.registers[at]):
        found = _differing(series, series.registers, at[[0, -1]])
    return found


def _falls(series: Series, values: Ints) -> bool:
    return series.one_way and bool((values[1:] < values[:-1]).any())


def _differing(series: Series, registers: Ints, at: Ints) -> list[Finding]:
    """Return findings between neighbouring boundaries; a gap or a one-way register's fall there says nothing."""
    advance = np.diff(registers[at])
    totals, whole = _sums(series, at)
    off = totals - advance
    spans = np.flatnonzero((off != 0) & whole)
    said = advance[spans]
    wrong = np.abs(off[spans]) > np.maximum(np.abs(said) // 1000, 2 * series.step)
    return [
        _finding(series, (int(at[span]), int(at[span + 1])), int(advance[span]), int(off[span]))
        for span in spans[wrong & ~((said < 0) & series.one_way)]
    ]


def _sums(series: Series, at: Ints) -> tuple[Ints, Bools]:
    """Return the sum between neighbouring boundaries, and where no interval of it is missing."""
    known = series.known
    if len(at) == series.size + 1:
        return series.values, known
    zero = np.zeros(1, dtype=np.int64)
    running = np.concatenate([zero, np.where(known, series.values, 0).cumsum()])  # wrapped, its differences stay right
    lacking = np.concatenate([zero, (~known).cumsum()])
    return np.diff(running[at]), np.diff(lacking[at]) == 0


def _finding(series: Series, span: tuple[int, int], advance: int, off: int) -> Finding:
    first, stop = span
    total = advance + off
    text = f"{many(stop - first)} from {when(series, first)} add up to {total}; the register advanced by {advance}."
    return Finding("G2", "E", first, stop, total, advance, text)
