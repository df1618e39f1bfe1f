"""G1: a register that only counts up has fallen."""

import numpy as np

from collector.vee.registry import RULES
from collector.vee.runs import when
from collector.vee.series import Finding, Series


def _counts_up(series: Series) -> bool:
    return series.one_way and series.registers is not None


@RULES.add("G1", fits=_counts_up)
def monotone(series: Series) -> list[Finding]:
    """Object to a fall between two known boundaries: a reset, an exchange or a rollover that nothing names."""
    assert series.registers is not None  # noqa: S101 - eligibility has said so; for the type checker
    assert series.registers_known is not None  # noqa: S101 - as above
    at = np.flatnonzero(series.registers_known)
    values = series.registers[at]
    return [
        _finding(series, (int(at[fall]), int(at[fall + 1])), int(values[fall]), int(values[fall + 1]))
        for fall in np.flatnonzero(values[1:] < values[:-1])
    ]


def _finding(series: Series, span: tuple[int, int], before: int, after: int) -> Finding:
    text = (
        f"The register falls from {before} at {when(series, span[0])} to {after} at {when(series, span[1])}; no reset, "
        "exchange or rollover is named."
    )
    return Finding("G1", "E", *span, after, before, text)
