"""Whether a link has the time that its meters ask for. Pure: known before anything is connected.

The cost of a request is the planner's: a round trip and its registers at the line's speed (`plan`), and the pause that
the meter's profile wants before it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from agent.acquire.plan import Block

#: More than this of a link's time leaves too little for identities, and for probes of the dead.
CROWDED = Fraction(7, 10)


@dataclass(frozen=True, slots=True)
class Asked:
    """What one meter wants of its link."""

    poll_us: int
    pause_us: int
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Need:
    """What all meters of a link want of it together."""

    share: Fraction  # of the link's time [1]
    boundary_us: int  # until the last meter's registers are in after a boundary [us]


def need(meters: Iterable[Asked], cost: tuple[int, int]) -> Need:
    """Return what the meters of one link need.

    Args:
        meters: Those behind the link.
        cost: Of a round trip, and of each register. [us]

    Examples:
        >>> need([Asked(1_000_000, 0, [Block(0, 3, 100, 10, ())])] * 5, (50_000, 1000))
        Need(share=Fraction(3, 10), boundary_us=0)
    """
    share, boundary = Fraction(0), 0
    for meter in meters:
        times = [(block, cost[0] + cost[1] * block.count + meter.pause_us) for block in meter.blocks]
        share += Fraction(sum(time for _, time in times), meter.poll_us)
        boundary += sum(time for block, time in times if block.has_register)
    return Need(share, boundary)
