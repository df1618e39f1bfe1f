"""E1: negative energy on a channel that energy passes in one direction only."""

from collector.vee.registry import RULES
from collector.vee.runs import many, runs, when
from collector.vee.series import Finding, Series


def _one_way(series: Series) -> bool:
    return series.one_way


@RULES.add("E1", fits=_one_way)
def negative(series: Series) -> list[Finding]:
    """Object to values below zero."""
    return [_finding(series, first, stop) for first, stop in runs(series.known & (series.values < 0))]


def _finding(series: Series, first: int, stop: int) -> Finding:
    lowest = int(series.values[first:stop].min())
    text = f"{many(stop - first)} from {when(series, first)} below zero on a {series.kind} channel, down to {lowest}."
    return Finding("E1", "E", first, stop, lowest, 0, text)
