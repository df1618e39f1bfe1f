"""When to poll, and whom not to. Pure: told the time.

Rules: ticks are multiples of the poll period since the epoch, plus every interval boundary, computed from the wall
clock each time, so that nothing drifts; a device that does not answer is probed once per back-off and no more, so that
it never delays a living one.
"""

import random
from typing import NamedTuple

US = 1_000_000


class Tick(NamedTuple):
    """When to read next. [us since the epoch]"""

    due_us: int
    is_boundary: bool


def next_tick(now_us: int, poll_us: int, interval_us: int, guard_us: int = 0) -> Tick:
    """Return the first tick after ``now_us``.

    Args:
        now_us: Wall clock. [us since the epoch]
        poll_us: Period of ordinary ticks. [us]
        interval_us: Length of the intervals; each of their boundaries is a tick. [us]
        guard_us: An ordinary tick less than this before a boundary is left out: it could delay the boundary. [us]

    Examples:
        >>> next_tick(0, 10_000_000, 60_000_000)
        Tick(due_us=10000000, is_boundary=False)
        >>> next_tick(56_000_001, 7_000_000, 60_000_000)
        Tick(due_us=60000000, is_boundary=True)
    """
    boundary = next_boundary(now_us, interval_us)
    ordinary = (now_us // poll_us + 1) * poll_us
    if ordinary + guard_us >= boundary:
        return Tick(boundary, is_boundary=True)
    return Tick(ordinary, is_boundary=False)


def next_boundary(now_us: int, interval_us: int) -> int:
    """Return the first interval boundary after ``now_us``. [us since the epoch]"""
    return (now_us // interval_us + 1) * interval_us


class Breaker:
    """Keeps a dead device from costing more than one probe per back-off.

    Closed while the device answers. A failure opens it; each further failure doubles the back-off up to ``most_us``;
    a success closes it. The back-off varies by a quarter, so that devices that died together do not return together.
    """

    def __init__(self, first_us: int, most_us: int, chance: random.Random) -> None:
        self._first_us = first_us
        self._most_us = most_us
        self._chance = chance
        self._failures = 0
        self._retry_us = 0

    @property
    def is_open(self) -> bool:
        """Return whether the last attempt failed."""
        return self._failures > 0

    @property
    def retry_us(self) -> int:
        """Return when the next probe is due. [us, the caller's clock]"""
        return self._retry_us

    def allows_probe(self, now_us: int) -> bool:
        """Return whether the device failed and its next probe is due."""
        return self.is_open and now_us >= self._retry_us

    def succeeded(self) -> None:
        """Note an answer: the device lives."""
        self._failures = 0

    def failed(self, now_us: int) -> None:
        """Note that there was no answer: the next probe waits for the back-off."""
        wait = min(self._most_us, self._first_us << min(self._failures, 30))
        self._failures += 1
        self._retry_us = now_us + int(wait * (0.75 + 0.5 * self._chance.random()))
