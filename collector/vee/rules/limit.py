"""E2: more energy than the rating of the circuit can pass."""

from collector.vee.registry import RULES
from collector.vee.runs import many, runs, when
from collector.vee.series import Bools, Finding, Series, Severity

HARD, SOFT = 12, 11  # tenths of the rating: beyond the first no meter can be right, beyond the second one looks


def _rated(series: Series) -> bool:
    return series.rated_power is not None


@RULES.add("E2", fits=_rated)
def limit(series: Series) -> list[Finding]:
    """Object to energy, in either direction, above 1.2 x rating x hours; warn above 1.1 x."""
    hard, soft = _most(series, HARD), _most(series, SOFT)
    over = _beyond(series, hard)
    found = [_finding(series, run, "E", hard) for run in runs(over)]
    found += [_finding(series, run, "W", soft) for run in runs(_beyond(series, soft) & ~over)]
    return sorted(found, key=lambda finding: finding.first)


def _most(series: Series, tenths: int) -> int:
    """Return the most whole counts that a part of the rating gives in an interval."""
    return (series.rated_power or 0) * tenths * series.length // (10 * 3600)


def _beyond(series: Series, most: int) -> Bools:
    return series.known & ((series.values > most) | (series.values < -most))


def _finding(series: Series, run: tuple[int, int], severity: Severity, most: int) -> Finding:
    first, stop = run
    values = series.values[first:stop]
    worst = max(int(values.max()), -int(values.min()))
    text = f"{many(stop - first)} from {when(series, first)} above what the rating allows: {worst}, at most {most}."
    return Finding("E2", severity, first, stop, worst, most, text)
