"""E4: a load that never sleeps shows zero for hours."""

import numpy as np

from collector.vee.registry import RULES
from collector.vee.runs import runs, when
from collector.vee.series import Finding, Series

LONGEST = 4 * 3600  # [s]


def _load(series: Series) -> bool:
    return series.kind == "load"


@RULES.add("E4", fits=_load)
def zero_run(series: Series) -> list[Finding]:
    """Warn of four hours or more at zero on a load; a power outage explains a zero."""
    zero = series.known & (series.values == 0)
    if series.outage is not None:
        zero &= ~series.outage
    least = -(-LONGEST // series.length)
    return [_finding(series, first, stop, least) for first, stop in runs(zero) if stop - first >= least]


def _finding(series: Series, first: int, stop: int, least: int) -> Finding:
    hours = np.format_float_positional((stop - first) * series.length / 3600, trim="-")
    text = f"{hours} h at zero from {when(series, first)} on a load that runs day and night."
    return Finding("E4", "W", first, stop, stop - first, least - 1, text)
