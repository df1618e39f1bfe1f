"""Small series for rules, with everything that a test says of them."""

from collections.abc import Sequence

import numpy as np

from collector.vee import Finding, Series, validate
from collector.vee.inputs import Column, column
from shared.status import Status

DAY = 1767225600  # 2026-01-01T00:00Z
KWH = 1_000_000


def made(values: Sequence[int | None], **more: object) -> Series:
    """Return a valid series from 2026-01-01 in UTC; None is missing."""
    status = [Status.MISSING if value is None else Status.VALID for value in values]
    fields: dict[str, object] = {
        "start": DAY, "length": 900, "timezone": "UTC", "kind": "load",
        "values": np.array([value or 0 for value in values], dtype=np.int64),
        "status": np.array(status, dtype=np.uint8),
    }  # fmt: skip
    return Series(**(fields | more))  # type: ignore[arg-type] # optional fields of each test


def numbers(*values: int | None) -> Column:
    """Return a column; None is not known."""
    return column(np.array([value or 0 for value in values]), np.array([value is not None for value in values]))


def bools(*values: int) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return a mask."""
    return np.array(values, dtype=np.bool_)


def spans(found: list[Finding]) -> list[tuple[str, str, int, int]]:
    """Return what was found where."""
    return [(one.rule, one.severity, one.first, one.stop) for one in found]


def seen(series: Series, rule: str) -> list[tuple[str, int, int, int | None, int | None]]:
    """Return severity, span, observed and limit of what one rule finds."""
    return [(one.severity, one.first, one.stop, one.observed, one.limit) for one in validate(series, [rule])]


def said(series: Series, rule: str) -> list[str]:
    """Return the sentences of one rule."""
    return [one.text for one in validate(series, [rule])]
