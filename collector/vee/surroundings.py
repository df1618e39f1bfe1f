"""What the ledger knows around a channel, as inputs of the rules: statistics, other channels, events, master data.

Rules of this file: what rules compare with is read a few days back, not over the whole history; a channel whose meter
has several carries what concerns the meter once, on its first active energy.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection

from collector.series import channels, factors, raw
from collector.series.channels import Channel
from collector.series.registers import Registers
from collector.vee.events import Happening, clocks_of, flags_of, multipliers_of, of_meter
from collector.vee.expression import parse
from collector.vee.inputs import Beside, Bools, Clocks, Column, Device, Ints, Told, column, total
from collector.vee.parameters import Parameters
from collector.vee.policy import Policy
from collector.vee.read_times import lateness
from shared.errors import ConfigError
from shared.factor import Correction
from shared.quantity import QUANTITIES

#: How far back before what is new statistics and other channels are read: rules over a week need them. [s]
REACH = 8 * 86_400
#: Other channels that an estimate looks at, at most.
NEIGHBOURS = 24
_STATISTICS = (
    *(f"voltage_l{phase}n_mean" for phase in (1, 2, 3)), *(f"current_l{phase}_mean" for phase in (1, 2, 3)),
    "power_active_total_mean",
)  # fmt: skip
_SIBLINGS = (
    "energy_active_import",
    "energy_active_export",
    "energy_reactive_import",
    "energy_reactive_export",
    "energy_apparent",
)
_FIRST = ("energy_active_import", "energy_active_export", "energy_active_net")
_Key = tuple[int, int, int, int]


@dataclass(slots=True)
class Surroundings:
    """The channels of one run, read when they are asked for and kept for the others of their meter."""

    connection: Connection
    size: int  # of the log's tree
    parameters: Parameters
    known: dict[str, Channel] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)  # of multipliers
    _read: dict[_Key, Column] = field(default_factory=dict)
    _told_of: dict[tuple[str, str, int, int], list[Happening]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Learn the channels, and which of them were corrected."""
        self.known = {one.name: one for one in channels.every(self.connection)}
        self.corrections = factors.read(self.connection, self.size)

    def of(self, channel: Channel, policy: Policy, seen: Registers, first: int) -> dict[str, Any]:
        """Return the further fields of a channel's `Series`.

        Args:
            channel: The channel.
            policy: Of its meter.
            seen: Its registers over the span.
            first: The first interval that may change.
        """
        there = _Span(seen, max(0, first - REACH // seen.length))
        found: dict[str, Any] = {
            "unit": QUANTITIES[channel.quantity].unit, "register_runs": seen.run.astype(np.int64),
            "told": self._told(channel, policy, seen, there), "device": self._device(channel, policy, seen, there),
            "clocks": self._clocks(channel, seen, there),
        }  # fmt: skip
        check = self._check(channel, seen)
        if check is not None:
            late = lateness(self.connection, channel, seen, max(0, first - 1))
            found |= {"check": check.values, "check_known": check.known, "lateness": late}
        if self._is_first(channel):
            found |= {"statistics": self._statistics(channel, there), "siblings": self._siblings(channel, there)}
        beside = self._beside(channel, policy, there)
        return found if beside is None else found | {"beside": beside}

    def neighbours(self, channel: Channel, seen: Registers, meters: Collection[tuple[str, str]]) -> dict[str, Column]:
        """Return other active energies of the site over the whole span, those of the channel's nodes first.

        Args:
            channel: The channel.
            seen: Its registers over the span.
            meters: By site and id, those that may be named beside it.
        """
        whole = _Span(seen, 0)
        names = [
            one.name
            for one in self.known.values()
            if one.site == channel.site and one.quantity in _FIRST and one.id != channel.id
            and (one.site, one.meter) in meters
        ]  # fmt: skip
        near = {
            name
            for one in self.parameters.nodes
            for name in (*one.sources, *one.uses)
            if channel.name in (*one.sources, *one.uses)
        }
        ordered = sorted(names, key=lambda name: (name not in near, name))[:NEIGHBOURS]
        found = {name: self._registers(name, whole) for name in ordered}
        return {name: one for name, one in found.items() if one.known.any()}

    def related(self, channel: Channel) -> set[str]:
        """Return the channels whose findings look at this one, too."""
        mains = {
            f"{one.site}/{one.main}.{channel.quantity}"
            for one in self.parameters.checks
            if (one.site, one.check) == (channel.site, channel.meter)
        }
        nodes = {one.sources[0] for one in self.parameters.nodes if channel.name in (*one.sources, *one.uses)}
        meter = f"{channel.site}/{channel.meter}."
        own = {name for quantity in _FIRST if (name := meter + quantity) in self.known}
        return ((mains | nodes | own) & self.known.keys()) - {channel.name}

    def _is_first(self, channel: Channel) -> bool:
        meter = f"{channel.site}/{channel.meter}."
        here = [quantity for quantity in _FIRST if meter + quantity in self.known]
        return bool(here) and channel.quantity == here[0]

    def _registers(self, name: str, there: "_Span") -> Column:
        """Return the intervals of another channel over the span, nothing of one that never spoke."""
        other = self.known.get(name)
        if other is None:
            return there.nothing()
        key = (other.id, there.start, there.stop, there.length)
        if key not in self._read:
            found = raw.read(self.connection, other.id, there.start, there.stop, there.length)
            self._read[key] = Column(found.values, found.values_known)
        return there.padded(self._read[key])

    def _statistic(self, channel: Channel, name: str, there: "_Span") -> Column | None:
        other = self.known.get(f"{channel.site}/{channel.meter}.{name}")
        if other is None:
            return None
        sent = raw.read_statistic(self.connection, other.id, there.start, there.stop, there.length)
        return there.padded(Column(*factors.of_statistic(self.corrections, other, there.start, there.length, *sent)))

    def _statistics(self, channel: Channel, there: "_Span") -> dict[str, Column]:
        wanted = {*_STATISTICS, *self._of_formulas()}
        found = {name: self._statistic(channel, name, there) for name in sorted(wanted)}
        return {name: one for name, one in found.items() if one is not None}

    def _of_formulas(self) -> set[str]:
        names: set[str] = set()
        for one in self.parameters.formulas:
            try:
                names |= set(parse(one.formula).names) if one.formula else set()
            except ConfigError:
                continue  # of a newer version, which wrote the record: the rule says so
        return {name for name in names if name in QUANTITIES and QUANTITIES[name].kind == "statistic"}

    def _siblings(self, channel: Channel, there: "_Span") -> dict[str, Column]:
        meter = f"{channel.site}/{channel.meter}."
        others = [name for name in _SIBLINGS if name != channel.quantity and meter + name in self.known]
        found = {name: self._registers(meter + name, there) for name in others}
        return {name: one for name, one in found.items() if one.known.any()}

    def _told(self, channel: Channel, policy: Policy, seen: Registers, there: "_Span") -> dict[str, Told]:
        found = {}
        if policy.serials:
            found["serial"] = _serials(seen, policy.serials)
        multipliers = multipliers_of(self._events(channel, there), seen)
        return found if multipliers is None else found | {"multiplier": multipliers}

    def _events(self, channel: Channel, there: "_Span") -> list[Happening]:
        key = (channel.site, channel.meter, there.start, there.stop)
        if key not in self._told_of:
            self._told_of[key] = of_meter(
                self.connection, channel.site, channel.meter, there.start, there.stop, self.size
            )
        return self._told_of[key]

    def _device(self, channel: Channel, policy: Policy, seen: Registers, there: "_Span") -> Device:
        samples = column(seen.samples.astype(np.int64))
        planned = None if policy.poll is None else column(np.full(seen.n, seen.length // policy.poll, dtype=np.int64))
        return Device(flags=flags_of(self._events(channel, there), seen), samples=samples, planned=planned)

    def _clocks(self, channel: Channel, seen: Registers, there: "_Span") -> Clocks:
        return Clocks(proven=_proven(seen), meter=clocks_of(self._events(channel, there), seen))

    def _check(self, channel: Channel, seen: Registers) -> Column | None:
        """Return the check meter's intervals, each from the meter that is paired at its time."""
        own = [one for one in self.parameters.checks if (one.site, one.main) == (channel.site, channel.meter)]
        if not own:
            return None
        whole = _Span(seen, 0)
        parts: list[tuple[int, Column]] = []
        for one in sorted(own, key=lambda one: one.since):
            name = f"{one.site}/{one.check}.{channel.quantity}"
            parts.append((one.since, whole.nothing() if one.check is None else self._registers(name, whole)))
        return whole.dated(parts)

    def _beside(self, channel: Channel, policy: Policy, there: "_Span") -> Beside | None:
        node = self._node(channel, there)
        charge = discharge = None
        export = f"{channel.site}/{channel.meter}.energy_active_export"
        if policy.role == "storage" and channel.quantity == "energy_active_import" and export in self.known:
            charge, discharge = self._registers(channel.name, there), self._registers(export, there)
        if node is None and charge is None:
            return None
        sources, uses = node or (None, None)
        return Beside(charge=charge, discharge=discharge, sources=sources, uses=uses)

    def _node(self, channel: Channel, there: "_Span") -> tuple[Column, Column] | None:
        """Return both sides of the node that has this channel as its first source."""
        own = [one for one in self.parameters.nodes if one.sources[0] == channel.name]
        if not own:
            return None
        ordered = sorted(own, key=lambda one: one.since)
        into = [(one.since, total([self._registers(name, there) for name in one.sources])) for one in ordered]
        out = [(one.since, total([self._registers(name, there) for name in one.uses])) for one in ordered]
        return there.dated(into), there.dated(out)


@dataclass(frozen=True, slots=True)
class _Span:
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


def _serials(seen: Registers, configured: tuple[str, ...]) -> Told:
    """Return the serial at the end of each interval; each that was ever configured is as good as the newest."""
    told = seen.serials[1:]
    known: Bools = np.array([one is not None for one in told.tolist()], dtype=np.bool_) & seen.known[1:]
    names = tuple(sorted({str(one) for one in told[known].tolist()} | set(configured)))
    index = {name: at for at, name in enumerate(names)}
    codes: Ints = np.array([index.get(str(one), 0) for one in told.tolist()], dtype=np.int64)
    right = np.isin(codes, [index[name] for name in configured])
    return Told(names, Column(codes, known), column(np.where(right, codes, index[configured[-1]])))


def _proven(seen: Registers) -> Column:
    """Return how long before the end of each interval the gateway's clock was last synchronised. [s]"""
    slots = np.arange(seen.n + 1, dtype=np.int64)
    good = seen.known & ~seen.unsynchronised
    last = np.maximum.accumulate(np.where(good, slots, 0))
    return Column((slots - last)[1:] * seen.length, seen.known[1:] & seen.unsynchronised[1:])
