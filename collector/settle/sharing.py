"""Energy shared out over all rows of a period at once, to the last count of each. Pure.

Rule of this file: what `shared.allocation` says of a row holds here of every row; both are written apart, and a test
holds them to be equal. Counts are Python's integers on the way: energy times load leaves int64.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collector.vee.series import Bools, Ints
from shared.share import REST, Share

Whole = NDArray[Any]  # of Python's integers: [rows], or [parties x rows]
#: Shares that are computed at once.
_AT_ONCE = 65_536


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """Who gets how much of each row, by party, and under `REST` what nobody gets. [counts]"""

    shares: Mapping[str, Ints]  # anything where nothing is known
    known: Bools


def shared_out(share: Share, energy: Ints, loads: Mapping[str, Ints], known: Bools) -> Shared:
    """Return energy as all parties share it; whose the share is does not matter.

    Args:
        share: How it is shared.
        energy: Of each row. [counts]
        loads: What each channel or point used, by its name. [counts]
        known: Where energy and all loads are known.
    """
    used = np.stack([loads[ref] for _, ref in share.loads])
    known = known & (energy >= 0) & (used >= 0).all(axis=0)
    found, rows = np.zeros(used.shape, np.int64), np.flatnonzero(known)
    step = max(1, _AT_ONCE // len(used))
    for at in range(0, len(rows), step):
        own = rows[at : at + step]
        made, told = _split(share, energy[own].astype(object), used[:, own].astype(object))
        found[:, own], known[own] = made, told
    shares = {party: line for (party, _), line in zip(share.loads, found, strict=True)}
    return Shared({**shares, REST: energy - found.sum(axis=0)}, known)


def _split(share: Share, energy: Whole, used: Whole) -> tuple[Whole, Bools]:
    """Return the shares of some rows, and where anything says how to share."""
    keys, scale = _keys(share)
    match share.method:
        case "static":
            entitled, told = _apportioned(energy * keys.sum() // scale, keys)
            return np.minimum(entitled, used), told & bool(keys.sum() <= scale)
        case "share":
            return _apportioned(energy, keys if len(keys) else used)
        case "waterfall":
            return _waterfall(share, energy, used), np.ones(len(energy), np.bool_)
    return _by_load(energy, used), np.ones(len(energy), np.bool_)


def _keys(share: Share) -> tuple[Whole, int]:
    """Return the parties' keys as counts of 1 / scale, and the scale. [parties x 1]"""
    keys = [Fraction(text) for _, text in share.keys]
    scale = lcm(*(key.denominator for key in keys))
    return np.array([[int(key * scale)] for key in keys], object), scale


def _apportioned(total: Whole, weights: Whole) -> tuple[Whole, Bools]:
    """Return integers in proportion to weights that add up to the total: largest remainder, ties by party."""
    whole = weights.sum(axis=0)
    told = np.asarray((whole > 0) & (weights >= 0).all(axis=0), np.bool_) & np.ones(len(total), np.bool_)
    product, whole = total * weights, np.where(whole > 0, whole, 1)
    shares, remainders = product // whole, product % whole
    order = np.argsort(-remainders, axis=0, kind="stable")
    place = np.empty(order.shape, np.int64)
    np.put_along_axis(place, order, np.arange(len(order))[:, None], axis=0)
    return np.where(told, shares + (place < total - shares.sum(axis=0)), 0), told


def _by_load(energy: Whole, used: Whole) -> Whole:
    return np.where(energy >= used.sum(axis=0), used, _apportioned(energy, used)[0])


def _waterfall(share: Share, energy: Whole, used: Whole) -> Whole:
    found, places = np.zeros(used.shape, object), np.array([place for _, place in share.priority])
    for place in sorted(set(places.tolist())):
        group = places == place
        found[group] = _by_load(energy - found.sum(axis=0), used[group])
    return found
