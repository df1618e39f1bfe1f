"""Gaps of recorded channels filled by several methods and held against what was recorded."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from collector.vee import Series, estimate
from collector.vee.series import NotEstimable
from tests.bench.accuracy.channels import Channel
from tests.bench.accuracy.masks import MASKS, Gap, around, gaps

OURS = "ours"
FLOOR = 0.001  # nMAE below it is as good as none, in ratios


@dataclass(frozen=True, slots=True)
class Filled:
    """One gap filled by one method; errors are parts of the channel's mean over as many intervals."""

    channel: str
    group: str
    mask: str
    method: str
    chosen: str
    shape: float  # nMAE
    energy: float  # signed
    low: float | None  # ends of the 90 % range, less the estimate
    high: float | None

    @property
    def covered(self) -> bool | None:
        """Return whether the true energy lies in the range, None without one."""
        if self.low is None or self.high is None:
            return None
        return self.low <= -self.energy <= self.high


def measure(
    channels: Sequence[Channel], methods: Iterable[str], masks: Iterable[str], *, count: int, seed: int,
    register: bool = False, neighbours: bool = True,
) -> list[Filled]:  # fmt: skip
    """Return every gap of every channel filled by every method.

    Args:
        channels: Recorded channels.
        methods: Registered names, or `ours` for the method that the back-test chooses.
        masks: Kinds of gaps.
        count: Gaps of a kind for each channel.
        seed: Of their places.
        register: The energy of the gap is known.
        neighbours: Other channels are known throughout.
    """
    found = []
    for number, channel in enumerate(channels):
        for mask in masks:
            chance = np.random.default_rng([seed, number, MASKS.index(mask)])
            for gap in gaps(channel, mask, count, chance):
                low, high = around(channel, gap)
                series = channel.series(low, high, neighbours=neighbours)
                inside = Gap(gap.first - low, gap.stop - low)
                total = int(series.values[inside.first : inside.stop].sum()) if register else None
                made = [_filled(channel, series, inside, mask, method, total) for method in methods]
                found += [one for one in made if one is not None]
    return found


def _filled(
    channel: Channel, series: Series, gap: Gap, mask: str, method: str, total: int | None
) -> Filled | None:  # fmt: skip
    truth = series.values[gap.first : gap.stop]
    try:
        made = estimate(series, gap.first, gap.stop, total=total, method=None if method == OURS else method)
    except NotEstimable:
        return None
    known = series.known.copy()
    known[gap.first : gap.stop] = False
    level = float(np.abs(series.values[known]).mean()) * len(truth)
    energy = int(made.values.sum())
    return Filled(
        channel.name, channel.group, mask, method, made.method, float(np.abs(made.values - truth).sum()) / level,
        (energy - int(truth.sum())) / level, None if made.low is None else (made.low - energy) / level,
        None if made.high is None else (made.high - energy) / level,
    )  # fmt: skip


@dataclass(slots=True)
class Cell:
    """What a method reached on the channels of one kind."""

    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    energies: list[float] = field(default_factory=list)
    covered: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)

    def add(self, one: Filled) -> None:
        """Count one gap."""
        self.errors[one.channel].append(one.shape)
        self.energies.append(abs(one.energy))
        if (covered := one.covered) is not None and one.low is not None and one.high is not None:
            self.covered.append(covered)
            self.widths.append((one.high - one.low) / 2)

    @property
    def by_channel(self) -> dict[str, float]:
        """Return the mean nMAE of each channel."""
        return {name: float(np.mean(errors)) for name, errors in self.errors.items()}

    def words(self) -> str:
        """Return median, 90th percentile and mean of nMAE over channels, and the median error of energy. [%]"""
        errors = list(self.by_channel.values())
        p90 = float(np.percentile(errors, 90))
        shape = f"{100 * float(np.median(errors)):.1f} / {100 * p90:.0f} / {100 * float(np.mean(errors)):.1f}"
        return f"{shape}; {100 * float(np.median(self.energies)):.1f}"

    def coverage(self) -> str:
        """Return how many ranges held the truth, and the median half width. [%]"""
        if not self.covered:
            return "no range"
        held, width = 100 * float(np.mean(self.covered)), 100 * float(np.median(self.widths))
        return f"{held:.0f} of {len(self.covered)}; {width:.0f}"


def cell(filled: Iterable[Filled], method: str, *, mask: str | None = None, group: str | None = None) -> Cell:
    """Return the gaps of one method, of one kind and class where given."""
    found = Cell()
    for one in filled:
        if one.method == method and mask in (None, one.mask) and group in (None, one.group):
            found.add(one)
    return found


def ratio(ours: Cell, reference: Cell) -> float:
    """Return the geometric mean over channels of the ratio of errors."""
    mine, theirs = ours.by_channel, reference.by_channel
    logs = [np.log((mine[name] + FLOOR) / (theirs[name] + FLOOR)) for name in mine if name in theirs]
    return float(np.exp(np.mean(logs))) if logs else float("nan")
