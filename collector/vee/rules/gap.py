"""C1: intervals without a value."""

from collector.vee.registry import RULES
from collector.vee.runs import many, runs, when
from collector.vee.series import Finding, Series


@RULES.add("C1")
def gap(series: Series) -> list[Finding]:
    """Report each run of missing intervals: a warning, or for information where registers know its energy."""
    return [_finding(series, first, stop) for first, stop in runs(~series.known)]


def _finding(series: Series, first: int, stop: int) -> Finding:
    lacking = f"{many(stop - first)} from {when(series, first)} without a value"
    advance = _advance(series, first, stop)
    if advance is None:
        return Finding("C1", "W", first, stop, stop - first, 0, f"{lacking}.")
    return Finding("C1", "I", first, stop, stop - first, 0, f"{lacking}; the register advanced by {advance} meanwhile.")


def _advance(series: Series, first: int, stop: int) -> int | None:
    if series.registers is None or series.registers_known is None:
        return None
    if not (series.registers_known[first] and series.registers_known[stop]):
        return None
    return int(series.registers[stop]) - int(series.registers[first])
