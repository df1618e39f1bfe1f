"""AEMO's substitution types for remotely read interval meters (Metrology Procedure Part B, by the list in vee.md 1.4).

Types 13 (SCADA), 16 (agreed), 18 (alternate) and 21 (no history) ask for what no series holds: a person enters those.
"""

import numpy as np

from collector.vee.estimators import same_days
from collector.vee.estimators.balance import balance
from collector.vee.estimators.check import check
from collector.vee.estimators.like_day import like_day
from collector.vee.estimators.linear import linear
from collector.vee.frame import Frame, Shapes, Window
from collector.vee.profile import distance
from collector.vee.registry import ESTIMATORS
from collector.vee.series import DAY, REFERENCE, Series

WEEKS = 4
YEAR = 364  # the same weekday [days]


def _has_check(series: Series) -> bool:
    return series.check is not None


def _has_neighbours(series: Series) -> bool:
    return bool(series.neighbours)


def _has_registers(series: Series) -> bool:
    return series.registers is not None


ESTIMATORS.add("aemo_11", fits=_has_check)(check)
ESTIMATORS.add("aemo_12", fits=_has_neighbours)(balance)
ESTIMATORS.add("aemo_14")(like_day)
ESTIMATORS.add("aemo_17")(linear)
ESTIMATORS.add("aemo_20")(like_day)


@ESTIMATORS.add("aemo_15")
def retrospective_average(seen: Frame, view: Window) -> Shapes:
    """Return type 15: the mean of the same weekday in four weeks on either side."""
    return _weekly(seen, view, after=True)


@ESTIMATORS.add("aemo_22")
def prospective_average(seen: Frame, view: Window) -> Shapes:
    """Return type 22: the mean of the same weekday in the four weeks before."""
    return _weekly(seen, view, after=False)


ESTIMATORS.add("aemo_24", fits=_has_registers)(prospective_average)  # scaled to the registers, as every method is


@ESTIMATORS.add("aemo_19")
def zero(seen: Frame, view: Window) -> Shapes:  # noqa: ARG001 - the shape of every estimator
    """Return type 19: zero, by a person who knows that nothing flowed."""
    return Shapes(np.zeros(view.gaps.slots.shape), np.ones(len(view.gaps.firsts), np.bool_), "", {})


@ESTIMATORS.add("aemo_23")
def previous_year(seen: Frame, view: Window) -> Shapes:
    """Return type 23: the same slots of the same weekday a year (52 weeks) before."""
    at = view.gaps.slots + seen.origin - YEAR * DAY // seen.series.length
    inside = np.clip(at, 0, seen.series.size - 1)
    known = (at >= 0) & REFERENCE[seen.series.status[inside]]
    values = np.where(known, seen.series.values[inside], 0).astype(np.float64)
    usable = np.asarray(known.all(axis=1))
    return Shapes(values, usable, "" if usable[0] else "the year before is not known throughout", {"days_back": YEAR})


@ESTIMATORS.add("aemo_25")
def average_daily_load(seen: Frame, view: Window) -> Shapes:
    """Return type 25: the average daily load of the four weeks before, even over the day."""
    back = -distance(view)
    cost = np.where(seen.whole & (back > 0) & (back <= 7 * WEEKS), back, np.inf).astype(np.float64)
    days = same_days.of(seen, view, cost, 7 * WEEKS, "no whole day lies in the four weeks before")
    flat = np.repeat(np.nan_to_num(days.values).mean(axis=1, keepdims=True), view.gaps.length, axis=1)
    return Shapes(flat, days.usable, days.why, days.inputs)


def _weekly(seen: Frame, view: Window, *, after: bool) -> Shapes:
    apart = distance(view)
    fits = (apart % 7 == 0) & seen.whole & (np.abs(apart) <= 7 * WEEKS) & ((apart < 0) | after) & ~seen.holiday
    cost = np.where(fits, np.abs(apart), np.inf).astype(np.float64)
    return same_days.of(seen, view, cost, 2 * WEEKS, "no whole day of this weekday lies within four weeks")
