"""Meters whose truth is known: load by quarter of an hour, a register that rolls over, is reset or exchanged."""

import random
from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import accumulate

from shared.clock import US
from tests.simulation.world import START

SPAN = 900 * US  # of one power [us]
MOD = 2**32  # [Wh]
WH = 1000  # [mWh]
RATING = 100_000  # [W]


@dataclass(frozen=True, slots=True)
class Era:
    """A stretch in which one register ran on: since when, what it showed less the energy so far, and whose it is."""

    since: int  # [UTC us]
    offset: int  # [Wh]
    serial: str


@dataclass
class Meter:
    """A meter with an import register. Energy counts from a day before START."""

    id: str
    chance: random.Random
    days: int
    eras: list[Era] = field(default_factory=list)
    silent_until: int = 0  # [UTC us]
    was_silent: bool = True  # since it was asked last

    def __post_init__(self) -> None:
        self.begin = (START - 86_400) * US
        quarters = (self.days + 3) * 96
        self.powers = [self.chance.randrange(RATING // 20, RATING * 9 // 10) for _ in range(quarters)]  # [W]
        self.begun = [0, *accumulate(power * SPAN for power in self.powers)]
        self.eras.append(Era(self.begin, self.chance.randrange(MOD - 20_000_000, MOD), f"{self.id}-0"))

    def energy(self, true: int) -> int:
        """Return what has flowed. [Wh]"""
        quarter, rest = divmod(true - self.begin, SPAN)
        return (self.begun[quarter] + self.powers[quarter] * rest) // (3600 * US)

    def power(self, true: int) -> int:
        """Return the load. [W]"""
        return self.powers[(true - self.begin) // SPAN]

    def era(self, true: int) -> Era:
        """Return which register runs."""
        return self.eras[bisect_right(self.eras, true, key=lambda one: one.since) - 1]

    def shows(self, true: int) -> int:
        """Return the register. [Wh]"""
        return (self.era(true).offset + self.energy(true)) % MOD

    def reset(self, true: int) -> None:
        """Let somebody set the register to zero."""
        self.eras.append(Era(true, -self.energy(true), self.era(true).serial))

    def exchange(self, true: int) -> None:
        """Put another meter in its place."""
        fresh = self.chance.randrange(0, MOD)
        self.eras.append(Era(true, fresh - self.energy(true), f"{self.id}-{len(self.eras)}"))
