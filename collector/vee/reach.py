"""The part of a channel's span that is read of other channels, and columns laid over the whole of it. Pure."""

from dataclasses import dataclass

import numpy as np

from collector.series.registers import Registers
from collector.vee.inputs import Column


@dataclass(frozen=True, slots=True)
class Reach:
    """The part of a channel's span that is read of others: from interval `first` on."""

    seen: Registers
    first: int

    @property
    def start(self) -> int:
        """Return its first second. [UTC s]"""
        return self.seen.start + self.first * self.seen.length

    @property
    def stop(self) -> int:
        """Return its end. [UTC s]"""
        return self.seen.start + self.seen.n * self.seen.length

    @property
    def length(self) -> int:
        """Return the interval length. [s]"""
        return self.seen.length

    def nothing(self) -> Column:
        """Return a column over the whole of the channel in which nothing is known."""
        return Column(np.zeros(self.seen.n, dtype=np.int64), np.zeros(self.seen.n, dtype=np.bool_))

    def padded(self, part: Column) -> Column:
        """Return a column over the whole of the channel."""
        whole = self.nothing()
        whole.values[self.first :], whole.known[self.first :] = part.values, part.known
        return whole

    def dated(self, parts: list[tuple[int, Column]]) -> Column:
        """Return columns one after the other, each from its instant on; nothing is known before the first."""
        whole = self.nothing()
        for since, one in parts:
            at = min(max(0, -(-(since - self.seen.start) // self.seen.length)), self.seen.n)
            whole.values[at:], whole.known[at:] = one.values[at:], one.known[at:]
        return whole
