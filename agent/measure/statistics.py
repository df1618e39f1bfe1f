"""Statistics of instantaneous values inside an interval: min, mean, max and steepest ramp.

They describe and never settle energy where a register exists (DESIGN.md section 4). Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction


@dataclass(slots=True)
class _Sum:
    """What is kept of one quantity in one interval."""

    least: int
    most: int
    total: int
    count: int
    ramp: Fraction


@dataclass(slots=True)
class Statistics:
    """Samples of one meter in one interval, reduced as they come."""

    sums: dict[str, _Sum] = field(default_factory=dict)
    samples: int = 0

    def add(self, values: Mapping[str, int | None], before: Mapping[str, tuple[int, int]], at: int) -> None:
        """Take the values of one poll.

        Args:
            values: Quantity to value; None is no value. [counts]
            before: Time and value of the poll before. [boot us, counts]
            at: Time of this poll. [boot us]
        """
        for name, value in values.items():
            if value is not None:
                self._add(name, value, before.get(name), at)

    def _add(self, name: str, value: int, before: tuple[int, int] | None, at: int) -> None:
        ramp = Fraction(0)
        if before is not None and at > before[0]:
            ramp = Fraction(abs(value - before[1]) * 1_000_000, at - before[0])
        kept = self.sums.get(name)
        if kept is None:
            self.sums[name] = _Sum(value, value, value, 1, ramp)
            return
        kept.least, kept.most = min(kept.least, value), max(kept.most, value)
        kept.total, kept.count, kept.ramp = kept.total + value, kept.count + 1, max(kept.ramp, ramp)

    def result(self) -> dict[str, int]:
        """Return the statistics by name; means and ramps are rounded half-even once. [counts, counts/s]"""
        found = {}
        for name, kept in self.sums.items():
            found[f"{name}_min"] = kept.least
            found[f"{name}_mean"] = round(Fraction(kept.total, kept.count))
            found[f"{name}_max"] = kept.most
            found[f"{name}_ramp"] = round(kept.ramp)
        return found
