"""F9: the level of a channel has moved for good: a transformer ratio, a lost phase, a changed gain.

Our own rule beside the catalogue: a CUSUM of the daily log-ratio to the days before (facts/accuracy.md section 3).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collector.vee import days
from collector.vee.block import Block
from collector.vee.catalogue import LOAD, RULES, Limits
from collector.vee.inputs import Bools, Floats
from collector.vee.marks import Marks, marks


@dataclass(frozen=True, slots=True)
class Level(Limits):
    """How far a level may move (accuracy.md section 3)."""

    slack_percent: int = 50  # of the channel's daily deviation: so much is ordinary
    alarm_percent: int = 130  # of the highest sum that its history shows
    least_permille: int = 60  # as a log-ratio: smaller moves are not told
    history_days: int = 28  # so much must be there to tell


_LAGS = (7, 14, 21, 28)  # [days]


@RULES.add("F9", "W", limits=Level, kinds=LOAD)
def level(block: Block, limit: Level) -> Iterator[Marks]:
    """Warn of the days from which on a channel uses steadily more or less than its own weeks before."""
    whole = days.whole(block, block.known)
    used = days.sums(block, np.where(block.known, block.values, 0))
    if used.shape[1] <= limit.history_days:
        return
    log = np.log(np.maximum(used, 1))
    ratio, told = _ratios(log, whole & (used > 0))
    odd, sums, bounds = _alarms(ratio, told, limit)
    found, row, day = days.spans_of(block, odd)
    text = "From about local day {date} on the channel uses {percent} % of what it used in the weeks before."
    shown = np.round(100 * np.exp(ratio[row, day])).astype(np.int64).astype(np.str_)
    observed, bound = ((one[row, day] * 1000).astype(np.int64) for one in (sums, bounds))
    yield marks("W", text, found, observed, bound, date=days.dates(block, day), percent=shown)


def _ratios(log: Floats, whole: Bools) -> tuple[Floats, Bools]:
    """Return each day's log-ratio to the median of the same weekday in the four weeks before it."""
    past = np.full((*log.shape, len(_LAGS)), np.nan)
    for at, lag in enumerate(_LAGS):
        past[:, lag:, at] = np.where(whole[:, :-lag], log[:, :-lag], np.nan)
    past.sort(axis=-1)  # what is not known comes last
    count = (~np.isnan(past)).sum(axis=-1, keepdims=True)
    low, high = (
        np.take_along_axis(past, np.clip(at, 0, len(_LAGS) - 1), axis=-1) for at in ((count - 1) // 2, count // 2)
    )
    told = whole & (count[..., 0] > 0)
    return np.where(told, log - (low + high)[..., 0] / 2, 0.0), told


def _alarms(ratio: Floats, told: Bools, limit: Level) -> tuple[Bools, Floats, Floats]:
    """Return the days of alarm, the sums, and the bounds that they passed; an alarm begins the sums anew."""
    rows, count = ratio.shape
    up, down, top = np.zeros(rows), np.zeros(rows), np.zeros(rows)
    squares, seen = np.zeros(rows), np.zeros(rows)
    odd, sums, bounds = np.zeros(ratio.shape, dtype=np.bool_), np.zeros_like(ratio), np.zeros_like(ratio)
    for day in range(count):  # days, not intervals
        here, one = told[:, day], ratio[:, day]
        slack = limit.slack_percent / 100 * np.sqrt(squares / np.maximum(seen, 1))
        up = np.where(here, np.maximum(up + one - slack, 0), up)
        down = np.where(here, np.maximum(down - one - slack, 0), down)
        sums[:, day] = np.maximum(up, down)
        bounds[:, day] = np.maximum(limit.alarm_percent / 100 * top, limit.least_permille / 1000)
        odd[:, day] = here & (seen >= limit.history_days - 7) & (sums[:, day] > bounds[:, day])
        up, down = np.where(odd[:, day], 0, up), np.where(odd[:, day], 0, down)
        top = np.where(here, np.maximum(top, sums[:, day]), top)
        squares, seen = squares + np.where(here, one**2, 0), seen + here
    return odd, sums, bounds
