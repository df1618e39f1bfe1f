"""How often a meter renews a register, from many looks at it. Pure.

Rules: a register that moves by its least step each time is limited by the load, not by the meter, and tells nothing;
one that moves at every look is renewed more often than was looked; three changes are the least to tell from.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from statistics import median
from typing import Literal

US = 1_000_000
Look = tuple[int, int]  # when [us], what it showed [counts]
Verdict = Literal["seen", "each_look", "small_load", "too_few", "still", "no_looks"]

_LEAST_CHANGES = 3
_SEVERAL = 2  # steps at once, from which the load is no limit
_EACH = 1.5  # looks between two changes, up to which it was a change at each


@dataclass(frozen=True, slots=True)
class Renewal:
    """What the looks at one register say."""

    verdict: Verdict
    every: int | None  # median distance between changes [us]; None: it cannot be told
    look: int  # median distance between looks [us]
    changes: int
    watched: int  # from the first to the last look [us]

    @property
    def is_told(self) -> bool:
        """Return whether the meter's rhythm is known, at least from above."""
        return self.every is not None


def estimate(looks: Sequence[Look], *, counts: bool = True) -> Renewal:
    """Return how often a register is renewed.

    Args:
        looks: In the order of time.
        counts: It counts energy; else it is an instantaneous value, whose every change is a renewal.

    Examples:
        >>> estimate([(at * 100_000, at // 10 * 7 + at // 20) for at in range(100)])
        Renewal(verdict='seen', every=1000000, look=100000, changes=9, watched=9900000)
    """
    if len(looks) < 2:
        return Renewal("no_looks", None, 0, 0, 0)
    look = round(median(later[0] - before[0] for before, later in pairwise(looks)))
    moves = [
        ((before[0] + later[0]) // 2, abs(later[1] - before[1]))
        for before, later in pairwise(looks)
        if later[1] != before[1]
    ]
    verdict, every = _verdict(moves, look, counts=counts)
    return Renewal(verdict, every, look, len(moves), looks[-1][0] - looks[0][0])


def _verdict(moves: Sequence[Look], look: int, *, counts: bool) -> tuple[Verdict, int | None]:
    if len(moves) < _LEAST_CHANGES:
        return ("too_few" if moves else "still"), None
    every = round(median(later[0] - before[0] for before, later in pairwise(moves)))
    amounts = [amount for _, amount in moves]
    if counts and median(amounts) < _SEVERAL * gcd(*amounts):
        return "small_load", None
    return ("each_look" if every <= _EACH * look else "seen"), every


def update_s(every: int) -> str:
    """Return what to write as `update_s`: tenths below 10 s, whole seconds above. [us -> s]

    Examples:
        >>> update_s(1_030_000), update_s(9_960_000), update_s(59_600_000)
        ('1', '10', '60')
    """
    tenths = max(1, round(every / 100_000))
    return f"{tenths / 10:g}" if tenths < 100 else str(round(every / US))


def sentence(found: Renewal) -> str:
    """Return what a person should know."""
    watched, look = f"{found.watched / US:.0f} s", f"{found.look / US:.2g} s"
    match found.verdict:
        case "seen":
            return (
                f"renewed every {(found.every or 0) / US:.3g} s (within {look}; {found.changes} changes in {watched})"
            )
        case "each_look":
            return f"renewed at least every {(found.every or 0) / US:.2g} s: it changed at each look"
        case "small_load":
            return "moved by the same step each time: the load is too small (or too even) to tell; watch it under load"
        case "too_few":
            return f"changed {found.changes} times in {watched}: watch longer, or under more load"
        case "still":
            return f"did not change in {watched}: no load, or renewed less often; watch longer"
    return "gave no value that can be watched"
