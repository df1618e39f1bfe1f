"""Weights fitted for many gaps at once, each without the days that its gap touches; no randomness, numpy only."""

import numpy as np

from collector.vee.series import Bools, Floats, Ints

#: Of a feature's own power; the one is taken under which days are foretold best by all other days.
PENALTIES = (0.01, 0.1, 0.5, 2.0)
LEAST = 1e-9


def fit(rest: Floats, features: Floats, days: Ints, touched: Bools, penalties: tuple[float, ...] = PENALTIES) -> Floats:
    """Return the weights of features that explain `rest` best for each gap (ridge regression). [gaps x features]

    Args:
        rest: What is to be explained, NaN where unknown. [rows x slots]
        features: Zero where unknown. [rows x slots x features]
        days: The local day of each row, never falling. [rows]
        touched: Days that each gap touches. [gaps x days]
        penalties: Those to choose from.
    """
    known = ~np.isnan(rest)
    z, y = np.where(known[:, :, None], features, 0.0), np.where(known, rest, 0.0)
    power = np.zeros((touched.shape[1], z.shape[2], z.shape[2]))
    shared = np.zeros((touched.shape[1], z.shape[2]))
    distinct, first = np.unique(days, return_index=True)
    if len(distinct):
        power[distinct] = np.add.reduceat(z.transpose(0, 2, 1) @ z, first, axis=0)
        shared[distinct] = np.add.reduceat((y[:, None, :] @ z)[:, 0, :], first, axis=0)
    penalty = penalties[0] if len(penalties) == 1 else _foretelling(power, shared, penalties)
    without = touched.astype(np.float64)
    own = power.sum(axis=0) - np.tensordot(without, power, axes=1)
    return _solved(own, shared.sum(axis=0) - without @ shared, penalty)


def _foretelling(power: Floats, shared: Floats, penalties: tuple[float, ...]) -> float:
    """Return the penalty under which weights fitted without a day leave the least error on that day."""
    own, with_y = power.sum(axis=0) - power, shared.sum(axis=0) - shared
    risks = []
    for penalty in penalties:
        weights = _solved(own, with_y, penalty)
        explained = (power @ weights[:, :, None])[:, :, 0]
        risks.append(float((weights * explained).sum() - 2 * (weights * shared).sum()))
    return penalties[int(np.argmin(risks))]


def _solved(power: Floats, shared: Floats, penalty: float) -> Floats:
    scale = np.maximum(penalty * np.diagonal(power, axis1=1, axis2=2), LEAST)
    ridged = power + np.eye(power.shape[1]) * scale[:, :, None]
    return np.asarray(np.linalg.solve(ridged, shared[:, :, None])[:, :, 0], np.float64)
