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
        features: NaN where unknown: it explains nothing there. [features x rows x slots]
        days: The local day of each row, never falling. [rows]
        touched: Days that each gap touches. [gaps x days]
        penalties: Those to choose from.
    """
    columns = _by_day(rest, features, days, touched.shape[1]).transpose(1, 0, 2)
    products = columns @ columns.transpose(0, 2, 1)
    every = products.sum(axis=0)
    penalty = penalties[0] if len(penalties) == 1 else _foretelling(products, every, penalties)
    barred = touched.astype(np.float64) @ products.reshape(len(products), -1)
    return _solved(every - barred.reshape(-1, *every.shape), penalty)


def said(features: Floats, weights: Floats) -> Floats:
    """Return what features say of gaps under their weights; an unknown one says nothing. [gaps x length]

    Args:
        features: NaN where unknown. [features x gaps x length]
        weights: Of each gap. [gaps x features]
    """
    known = np.where(np.isnan(features), 0.0, features)
    return np.asarray((known * weights.T[:, :, None]).sum(axis=0))


def _by_day(rest: Floats, features: Floats, days: Ints, count: int) -> Floats:
    """Return rest and features with all rows of a day in one, zero where either is not known.

    [1 + features x days x slots of a day]: one product a day instead of one a row.
    """
    bounds = days.searchsorted(np.arange(count + 1))
    most = int((bounds[1:] - bounds[:-1]).max())
    place = days * most + np.arange(len(days)) - bounds[days]
    grouped = np.zeros((len(features) + 1, count * most, rest.shape[1]))
    grouped[0, place], grouped[1:, place] = rest, features
    unknown = np.isnan(grouped)
    unknown |= unknown[0]
    np.copyto(grouped, 0.0, where=unknown)
    return grouped.reshape(len(grouped), count, most * rest.shape[1])


def _foretelling(products: Floats, every: Floats, penalties: tuple[float, ...]) -> float:
    """Return the penalty under which weights fitted without a day leave the least error on that day."""
    power, shared = products[:, 1:, 1:], products[:, 1:, 0]
    weights = _solved(every - products, np.array(penalties)[:, None, None])
    explained = (power @ weights[:, :, :, None])[:, :, :, 0]
    error = _summed(weights * explained) - 2 * _summed(weights * shared)
    return penalties[int(np.argmin(error))]


def _summed(parts: Floats) -> Floats:
    """Return sums over all but the first axis."""
    return np.asarray(parts.reshape(len(parts), -1).sum(axis=1))


def _solved(products: Floats, penalty: float | Floats) -> Floats:
    """Return weights for one penalty, or for several along a first axis; the first column is what they explain."""
    power = products[:, 1:, 1:]
    scale = np.maximum(penalty * np.diagonal(power, axis1=1, axis2=2), LEAST)
    ridged = power + np.eye(power.shape[1]) * scale[..., None]
    return np.asarray(np.linalg.solve(ridged, products[:, 1:, :1])[..., 0], np.float64)
