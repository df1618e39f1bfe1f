"""Which method fills a gap: the prior of its length, moved by how each did on the channel's own history.

A method's error at each back-test gap is set against that of the first choice; the mean log ratio is shrunk to the
prior as if the prior were EVIDENCE gaps more. Without history the prior decides; a method that never beat the first
choice is not taken for luck on a few gaps (accuracy.md section 1, "Selection is not always safe").
"""

from collections.abc import Mapping
from math import exp, log

import numpy as np

from collector.vee.backtest import Trial
from collector.vee.series import Floats

#: By method, the error that is expected of it, as part of the first choice's; the first choice stands first.
SHORT_PRIOR = {"linear": 1.0, "ridge": 1.0, "knn": 1.05, "sym_bridge": 1.2}
BESIDE_AN_OUTAGE = {"sym_bridge": 1.2, "knn": 1.3, "like_day_avg": 3.0}  # no line has that end (California 4.1)
LONG_PRIOR = {"sym_bridge": 1.0, "ridge": 1.0, "knn": 1.05, "like_day_avg": 1.15, "linear": 1.6}
EVIDENCE = 8.0  # gaps that the prior counts for
WIN = 0.97  # a method that promises hardly less error than the first choice is not worth what it is harder to explain
FLOOR = 0.002  # errors below it are as good as none [of the mean value]


def best(trials: Mapping[str, Trial], prior: Mapping[str, float], weights: Floats) -> tuple[str, dict[str, float]]:
    """Return the method with the least expected error, and what was expected of each, as part of the first choice's.

    Args:
        trials: By method, in the order of the prior; at least one.
        prior: Expected errors without any history.
        weights: How much each back-test gap counts. [gaps]
    """
    first = next(iter(trials))
    expected = {
        name: exp(_ratio(trial, trials[first], log(prior[name] / prior[first]), weights))
        for name, trial in trials.items()
    }
    winner = min(expected, key=lambda name: expected[name])
    return (winner if expected[winner] < WIN else first), expected


def _ratio(trial: Trial, first: Trial, prior: float, weights: Floats) -> float:
    """Return the mean log ratio of errors, shrunk to the prior."""
    if trial is first:
        return 0.0  # its prior beside itself is none
    both = trial.usable & first.usable
    ratio, counted = np.log((trial.shape[both] + FLOOR) / (first.shape[both] + FLOOR)), weights[both]
    return float(((counted * ratio).sum() + EVIDENCE * prior) / (counted.sum() + EVIDENCE))
