"""What the ledger knows around a channel, as inputs of the rules: statistics, other channels, events, master data.

Rules of this file: what rules compare with is read a few days back, not over the whole history; a channel whose meter
has several carries what concerns the meter once, on its first active energy.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sqlalchemy import Connection

from collector.series import channels, factors, raw
from collector.series.channels import Channel
from collector.series.codec import UNTOLD
from collector.series.registers import Registers
from collector.vee.events import Happening, clocks_of, flags_of, multipliers_of, of_meter, refused_of
from collector.vee.expression import parse
from collector.vee.inputs import Beside, Bools, Clocks, Column, Deliveries, Device, Ints, Told, column, total
from collector.vee.leaves import Leaves
from collector.vee.outages import outages
from collector.vee.parameters import Parameters
from collector.vee.policy import Policy
from collector.vee.reach import Reach
from shared.errors import ConfigError
from shared.factor import Correction
from shared.quantity import QUANTITIES
from shared.registers import Mark

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
    leaves: Leaves
    known: dict[str, Channel] = field(default_factory=dict)
    corrections: list[Correction] = field(default_factory=list)  # of multipliers
    _read: dict[_Key, Column] = field(default_factory=dict)
    _told_of: dict[tuple[str, str, int], list[Happening]] = field(default_factory=dict)
    _lost: dict[tuple[str, str, int, int, int], Bools | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Learn the channels, and which of them were corrected."""
        self.known = {one.name: one for one in channels.every(self.connection)}
        self.corrections = factors.read(self.connection, self.size)

    def of(
        self, channel: Channel, policy: Policy, seen: Registers, first: int, sources: Sequence[Registers] = ()
    ) -> dict[str, Any]:  # fmt: skip
        """Return the further fields of a channel's `Series`.

        Args:
            channel: The channel.
            policy: Of its meter.
            seen: Its registers over the span.
            first: The first interval that may change.
            sources: The registers of each of its sources, of which `seen` was chosen.
        """
        there = Reach(seen, max(0, first - REACH // seen.length))
        found: dict[str, Any] = {
            "unit": QUANTITIES[channel.quantity].unit, "register_runs": seen.run.astype(np.int64),
            "told": self._told(channel, policy, there, first), "device": self._device(channel, policy, seen, there),
            "clocks": self._clocks(channel, seen, there), "lateness": Column(seen.late, seen.late != UNTOLD),
            "arrived": self.leaves.received(seen, first), "deliveries": _deliveries(seen, first),
            "active": self._active(channel, seen), "beside": self._beside(channel, policy, there, sources),
        }  # fmt: skip
        check = self._check(channel, seen)
        if check is not None:
            found |= {"check": check.values, "check_known": check.known}
        if self._is_first(channel):
            found |= {"statistics": self._statistics(channel, there), "siblings": self._siblings(channel, there)}
            found["outage"] = self._outage(channel, there)
        return found

    def outage(self, channel: Channel, seen: Registers) -> Bools | None:
        """Return where the meter of a channel had no voltage, over the whole span; None where it tells none."""
        return self._outage(channel, Reach(seen, 0))

    def _outage(self, channel: Channel, there: Reach) -> Bools | None:
        key = (channel.site, channel.meter, there.start, there.stop, there.length)
        if key not in self._lost:
            lows = [self._statistic(channel, f"voltage_l{phase}n_min", there) for phase in (1, 2, 3)]
            self._lost[key] = outages([low for low in lows if low is not None])
        return self._lost[key]

    def _active(self, channel: Channel, seen: Registers) -> Bools | None:
        """Return where the meter is in use, None where nobody has spoken of it."""
        said = self.parameters.used(channel.site, channel.meter)
        if not said:
            return None
        whole = Reach(seen, 0)
        ones = [(one.since, column(np.full(seen.n, one.in_use, dtype=np.int64))) for one in said]
        told = whole.dated(ones)
        active: Bools = ~told.known | (told.values != 0)
        return active

    def neighbours(self, channel: Channel, seen: Registers, meters: Collection[tuple[str, str]]) -> dict[str, Column]:
        """Return other active energies of the site over the whole span, those of the channel's nodes first.

        Args:
            channel: The channel.
            seen: Its registers over the span.
            meters: By site and id, those that may be named beside it.
        """
        whole = Reach(seen, 0)
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
        told = {one.channel for one in self.parameters.witnesses if one.source == channel.name}
        return ((mains | nodes | own | told) & self.known.keys()) - {channel.name}

    def _is_first(self, channel: Channel) -> bool:
        meter = f"{channel.site}/{channel.meter}."
        here = [quantity for quantity in _FIRST if meter + quantity in self.known]
        return bool(here) and channel.quantity == here[0]

    def _registers(self, name: str, there: Reach) -> Column:
        """Return the intervals of another channel over the span, nothing of one that never spoke."""
        other = self.known.get(name)
        if other is None:
            return there.nothing()
        key = (other.id, there.start, there.stop, there.length)
        if key not in self._read:
            found = raw.read(self.connection, other.id, there.start, there.stop, there.length)
            self._read[key] = Column(found.values, found.values_known)
        return there.padded(self._read[key])

    def _statistic(self, channel: Channel, name: str, there: Reach) -> Column | None:
        other = self.known.get(f"{channel.site}/{channel.meter}.{name}")
        if other is None:
            return None
        sent = raw.read_statistic(self.connection, other.id, there.start, there.stop, there.length)
        return there.padded(Column(*factors.of_statistic(self.corrections, other, there.start, there.length, *sent)))

    def _statistics(self, channel: Channel, there: Reach) -> dict[str, Column]:
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

    def _siblings(self, channel: Channel, there: Reach) -> dict[str, Column]:
        meter = f"{channel.site}/{channel.meter}."
        others = [name for name in _SIBLINGS if name != channel.quantity and meter + name in self.known]
        found = {name: self._registers(meter + name, there) for name in others}
        return {name: one for name, one in found.items() if one.known.any()}

    def _told(self, channel: Channel, policy: Policy, there: Reach, first: int) -> dict[str, Told]:
        seen = there.seen
        found = {
            "serial": _serials(seen, policy.serials) if policy.serials else None,
            "multiplier": multipliers_of(self._events(channel, there), seen),
            "length": self.leaves.lengths(seen, first),
        }
        return {name: one for name, one in found.items() if one is not None}

    def _events(self, channel: Channel, there: Reach) -> list[Happening]:
        key = (channel.site, channel.meter, there.start)
        if key not in self._told_of:
            self._told_of[key] = of_meter(self.connection, *key, self.size)
        return self._told_of[key]

    def _device(self, channel: Channel, policy: Policy, seen: Registers, there: Reach) -> Device:
        samples = column(seen.samples.astype(np.int64))
        planned = None if policy.poll is None else column(np.full(seen.n, seen.length // policy.poll, dtype=np.int64))
        return Device(flags=flags_of(self._events(channel, there), seen), samples=samples, planned=planned)

    def _clocks(self, channel: Channel, seen: Registers, there: Reach) -> Clocks:
        lasted = Column(seen.longer + seen.length * 1_000_000, seen.longer != UNTOLD)
        return Clocks(proven=_proven(seen), meter=clocks_of(self._events(channel, there), seen), lasted=lasted)

    def _check(self, channel: Channel, seen: Registers) -> Column | None:
        """Return the check meter's intervals, each from the meter that is paired at its time."""
        own = [one for one in self.parameters.checks if (one.site, one.main) == (channel.site, channel.meter)]
        if not own:
            return None
        whole = Reach(seen, 0)
        parts: list[tuple[int, Column]] = []
        for one in sorted(own, key=lambda one: one.since):
            name = f"{one.site}/{one.check}.{channel.quantity}"
            parts.append((one.since, whole.nothing() if one.check is None else self._registers(name, whole)))
        return whole.dated(parts)

    def _beside(
        self, channel: Channel, policy: Policy, there: Reach, sources: Sequence[Registers]
    ) -> Beside | None:  # fmt: skip
        node = self._node(channel, there)
        scada, fuel = (self._witness(channel, there, kind) for kind in ("scada", "fuel"))
        recorder = _recorded(there.seen, sources)
        refused = refused_of(self._events(channel, there), channel.quantity, there.seen)
        charge = discharge = None
        export = f"{channel.site}/{channel.meter}.energy_active_export"
        if policy.role == "storage" and channel.quantity == "energy_active_import" and export in self.known:
            charge, discharge = self._registers(channel.name, there), self._registers(export, there)
        if all(one is None for one in (node, charge, scada, fuel, recorder, refused)):
            return None
        into, out = node or (None, None)
        return Beside(recorder, scada, fuel, charge, discharge, into, out, refused)

    def _witness(self, channel: Channel, there: Reach, kind: str) -> Column | None:
        """Return what another channel tells of this one's energy, or of its fuel, each from its time on."""
        own = [one for one in self.parameters.witnesses if (one.kind, one.channel) == (kind, channel.name)]
        if not own:
            return None
        parts: list[tuple[int, Column]] = []
        for one in sorted(own, key=lambda one: one.since):
            told = there.nothing() if one.source is None else self._energy(one.source, there)
            heat = 1 if one.heat is None else one.heat
            worth = told.values * heat // 1000 if one.kind == "fuel" else told.values  # a dm3 is a thousandth of a m3
            parts.append((one.since, Column(worth, told.known)))
        return there.dated(parts)

    def _energy(self, name: str, there: Reach) -> Column:
        """Return the intervals of a channel, or the energy of a mean power."""
        other = self.known.get(name)
        if other is None or QUANTITIES[other.quantity].kind != "statistic":
            return self._registers(name, there)
        mean = self._statistic(other, other.quantity, there) or there.nothing()
        return Column(np.abs(mean.values) * there.length // 3600, mean.known)

    def _node(self, channel: Channel, there: Reach) -> tuple[Column, Column] | None:
        """Return both sides of the node that has this channel as its first source."""
        own = [one for one in self.parameters.nodes if one.sources[0] == channel.name]
        if not own:
            return None
        ordered = sorted(own, key=lambda one: one.since)
        into = [(one.since, total([self._registers(name, there) for name in one.sources])) for one in ordered]
        out = [(one.since, total([self._registers(name, there) for name in one.uses])) for one in ordered]
        return there.dated(into), there.dated(out)


def _deliveries(seen: Registers, first: int) -> Deliveries:
    """Return the intervals from one on as batches gave them; one that a second batch gives otherwise stands twice."""
    batches = np.concatenate([seen.evidence[first:], seen.overlaid[first:]])
    starts = seen.start + seen.length * np.tile(np.arange(first, seen.n, dtype=np.int64), 2)
    came = batches >= 0
    batches, starts = batches[came], starts[came]
    return Deliveries(starts, np.full(len(starts), seen.length, dtype=np.int64), batches, batches)


def _recorded(seen: Registers, sources: Sequence[Registers]) -> Column | None:
    """Return what meters kept themselves of intervals that were polled, too; None where there is none."""
    mark = int(Mark.RECORDER)
    values, known = np.zeros(seen.n, dtype=np.int64), np.zeros(seen.n, dtype=np.bool_)
    polled = seen.values_known & ((seen.flags[1:] & mark) == 0) & ((seen.flags[:-1] & mark) == 0)
    for one in sources:
        kept = one.values_known & ((one.flags[1:] & mark) != 0) & ((one.flags[:-1] & mark) != 0) & polled & ~known
        values, known = np.where(kept, one.values, values), known | kept
    return Column(values, known) if known.any() else None


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
