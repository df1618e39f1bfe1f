"""The like-day mean of every day of a frame, from the days around it; what a day shows beside it is its deviation."""

import numpy as np

from collector.vee.estimators.sym_bridge import DAYS
from collector.vee.frame import Frame
from collector.vee.profile import REACH
from collector.vee.series import Bools, Floats, Ints


def like(seen: Frame) -> Floats:
    """Return how much each day counts for each other: two whole days of its type on either side. [days x days]"""
    apart, fits = _of_type(seen)
    after = np.cumsum(fits & (apart > 0), axis=1)
    before = np.cumsum((fits & (apart < 0))[:, ::-1], axis=1)[:, ::-1]
    return (fits & (np.where(apart > 0, after, before) <= DAYS // 2)).astype(np.float64)


def longer(seen: Frame) -> tuple[Floats, Floats]:
    """Return the same for all days of the same weekday, and of the same type, within 35 days. [days x days] each"""
    apart, fits = _of_type(seen)
    return (fits & (apart % 7 == 0)).astype(np.float64), fits.astype(np.float64)


def _of_type(seen: Frame) -> tuple[Ints, Bools]:
    days = np.arange(len(seen.whole))
    apart = days - days[:, None]
    fits: Bools = (seen.daytype == seen.daytype[:, None]) & seen.mostly & (apart != 0) & (np.abs(apart) <= REACH)
    return apart, fits


def averaged(weights: Floats, table: Floats) -> Floats:
    """Return the weighted mean over days, NaN where none speaks. [days x wall slots]"""
    known = ~np.isnan(table)
    count = weights @ known
    total = weights @ np.where(known, table, 0.0)
    average: Floats = np.divide(total, count, out=np.full(table.shape, np.nan), where=count > 0)
    return average
