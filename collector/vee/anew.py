"""Which estimates that stand are made again, and which changes are too small to be a new version. Pure.

Rules of this file: an estimate is made again as a whole or not at all; none that a final release rests on in part; a
change is trivial by the limits of rule I1, unless another meter's word takes the place of a guess.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collector.vee.inputs import Ints
from collector.vee.rules.i1_replacement import Trivial, trivial
from collector.vee.validate import Settings

Span = tuple[int, int]  # [UTC s)


@dataclass(frozen=True, slots=True)
class Anew:
    """Estimates that touch a span are made again with what is known now."""

    start: int  # [UTC s]
    stop: int  # [UTC s]
    why: str
    settled: Sequence[Span] = ()  # an estimate that touches one of these stays

    def covers(self, start: int, stop: int) -> bool:
        """Return whether an estimate of [start, stop) is made again. [UTC s]"""
        return _touch((start, stop), (self.start, self.stop)) and not any(
            _touch((start, stop), one) for one in self.settled
        )


def _touch(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def is_trivial(new: Ints, old: Ints, settings: Settings, at: int) -> bool:
    """Return whether an estimate differs from the one that stands by less than is worth a new version.

    Args:
        new: Its values. [counts]
        old: Those that stand. [counts]
        settings: Of the channel's rules; I1 sets the limits.
        at: When the estimate begins. [UTC s]
    """
    found = next((one.limits for one in reversed(settings.get("I1", ())) if one.since <= at), None)
    limit = found if isinstance(found, Trivial) else Trivial()
    return bool(np.all((new == old) | trivial(new, old, limit)))
