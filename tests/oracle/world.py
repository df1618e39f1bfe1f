"""Channels that are dirty in every way that a rule looks for, from a seed."""

import numpy as np

from collector.vee.inputs import (
    Before,
    Beside,
    Bools,
    Clocks,
    Column,
    Deliveries,
    Device,
    DeviceFlags,
    Ints,
    Told,
    column,
)
from collector.vee.series import DAY, Series
from shared.status import Status

BERLIN = 1_771_628_400  # 2026-02-20T23:00Z: local midnight; the change of summer time is 37 days on
RATED = 4_000_000  # [mW]
FULL = 1_000_000  # about the energy of an hour at the rating [counts]


class World:
    """What one seed makes."""

    def __init__(self, seed: int, kind: str, days: int, length: int, dirt: float) -> None:
        """Draw the values; `dirt` is the part of the intervals that something is wrong with."""
        self.seed, self.kind, self.days, self.length, self.dirt = seed, kind, days, length, dirt
        self.chance = np.random.default_rng(seed)
        self.n = days * DAY // length
        self.scale = 4_000 * length // 4 // 10 * 10
        wave = 0.5 + 0.2 * np.sin(np.arange(self.n) * 2 * np.pi * length / DAY)
        level = self.scale * wave * self.chance.normal(1, 0.02, self.n)
        self.values: Ints = level.astype(np.int64) - (self.scale // 2 if kind == "net" else 0)

    def some(self, part: float | None = None) -> Bools:
        """Return a random mask."""
        return self.chance.random(self.n) < (self.dirt if part is None else part)

    def near(self, around: Ints, spread: int, part: float | None = None) -> Column:
        """Return a column close to another, far from it here and there, and with holes."""
        noise = self.chance.integers(-spread, spread + 1, len(around))
        wide = self.chance.integers(-40 * spread - 1, 40 * spread + 1, len(around))
        far = self.chance.random(len(around)) < (self.dirt if part is None else part)
        return Column(around + np.where(far, wide, noise), self.chance.random(len(around)) >= self.dirt / 4)

    def series(self) -> Series:
        """Return the channel with every input."""
        self._spoil()
        true = self.values.copy()
        status = self._status()
        registers = np.concatenate([[0], true.cumsum()])
        registers += np.where(self._boundary(0.02), self.chance.integers(0, 3, self.n + 1), 0)
        known = ~self.chance.permutation(np.arange(self.n + 1) < self.dirt * self.n)
        known[5 : 5 + self.seed % 4 * DAY * 2 // 3 // self.length] = False
        return Series(
            start=BERLIN,
            length=self.length,
            values=self._shown(status),
            status=status,
            timezone="Europe/Berlin",
            kind=self.kind,
            unit="mWh",
            rated_power=RATED,
            rated_current=1000,
            step=2,
            registers=self._rolled(registers),
            registers_known=known,
            modulus=3 * int(registers[-1]) // 4 + 7,
            register_runs=np.cumsum(self._boundary(0.0005)),
            lateness=self._lateness(),
            check=self.near(self.values, self.scale // 900).values,
            check_known=~self.some(),
            outage=self.some(),
            active=~self.some(),
            doubted=self.some(),
            now=BERLIN + (self.days - 1) * DAY + 3600 * (self.seed % 5),
            arrived=self._arrived(),
            clocks=self._clocks(),
            device=self._device(),
            beside=self._beside(),
            before=self._before(),
            deliveries=self._deliveries(),
            told=self._told(),
            statistics=self._statistics(),
            siblings=self._siblings(),
            tariffs=self._tariffs(registers),
        )

    def _boundary(self, part: float) -> Ints:
        return (self.chance.random(self.n + 1) < part).astype(np.int64)

    def _spoil(self) -> None:
        """Put spikes, steps, zeros, stuck values, level shifts and impossible numbers in."""
        self.values[self.some(self.dirt / 3)] *= 4
        self.values[self.some(self.dirt / 3)] //= 9
        self.values[self.some(self.dirt / 3)] *= -1
        self.values[self.some(self.dirt / 8)] = 10**15
        for _ in range(max(1, int(self.dirt * 40))):
            first, length = int(self.chance.integers(0, self.n)), int(self.chance.integers(1, 20))
            self.values[first + length : first + length + 1] += self.values[first : first + length].sum()
            self.values[first : first + length] = self.chance.choice([0, 0, self.scale // 3])
        if self.seed % 5 == 3:
            self.values[-2 * DAY // self.length :] *= 3
        if self.seed % 2:
            self.values[self.n * 2 // 3 :] //= 2

    def _status(self) -> "np.ndarray[tuple[int], np.dtype[np.uint8]]":
        status = np.full(self.n, Status.VALID, dtype=np.uint8)
        for code in (Status.MISSING, Status.ESTIMATED, Status.EDITED, Status.SUBSTITUTED, Status.WITHDRAWN):
            status[self.some(self.dirt / 2)] = code
        self.edited = status == Status.EDITED
        first = int(self.chance.integers(0, self.n // 2))
        long = self.seed % 3 * 12 * DAY // self.length
        status[first : first + long] = Status.ESTIMATED
        return status

    def _shown(self, status: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> Ints:
        """Return values as they came: some are not what the register says, and rubbish stands where nothing is."""
        shown = self.values + np.where(self.some(), self.chance.integers(-self.scale, self.scale, self.n), 0)
        return np.where(status == Status.MISSING, -(10**17), shown)

    def _rolled(self, registers: Ints) -> Ints:
        """Return registers that start again once."""
        return np.where(np.arange(self.n + 1) > self.n * 3 // 5, registers - registers[self.n * 3 // 5], registers)

    def _lateness(self) -> Column:
        return Column(self.chance.integers(0, 2_000_000, self.n + 1), self.chance.random(self.n + 1) > self.dirt)

    def _clocks(self) -> Clocks:
        zero = np.zeros(self.n, dtype=np.int64)
        far = np.where(self.some(), self.chance.integers(-(10**9), 10**9, self.n), 0)
        steady = np.repeat(self.chance.integers(-6, 6, self.days), DAY // self.length)[: self.n] * 700_000
        return Clocks(
            gateway=self.near(zero, 900_000),
            proven=self.near(zero + 80_000, 3000),
            meter=Column(steady + far, ~self.some()),
            lasted=self.near(zero + self.length * 1_000_000, self.length * 10_000),
        )

    def _device(self) -> Device:
        flags = np.zeros(self.n, dtype=np.int64)
        for flag in DeviceFlags:
            flags |= np.where(self.some(self.dirt / 6), int(flag), 0)
        pulses = np.where(self.some(), self.chance.choice([65_534, 65_535, 65_536, 2**32 - 1], self.n), 2400)
        samples = self.chance.integers(27, 31, self.n) - np.where(self.some(), 15, 0)
        return Device(
            Column(flags, ~self.some()),
            Column(pulses, ~self.some()),
            Column(samples, ~self.some()),
            column(np.full(self.n, 30)),
        )

    def _beside(self) -> Beside:
        flow = np.full(self.n, self.scale)
        out = np.repeat(self.chance.choice([0.5, 0.61, 0.9, 1.01], self.days), DAY // self.length)[: self.n]
        fuel = np.abs(self.values) * 9000 // 1_000_000
        return Beside(
            recorder=self.near(self.values, 1),
            scada=self.near(self.values, self.scale // 300),
            fuel=Column(np.where(self.some(), fuel * 3, fuel), ~self.some()),
            charge=self.near(flow, 3, 0.0),
            discharge=column((flow * out).astype(np.int64)),
            sources=self.near(flow, self.scale // 200),
            uses=self.near(flow, self.scale // 200),
            refused=Column(self.some().astype(np.int64), ~self.some()),
        )

    def _before(self) -> Before:
        changed = self.some() | (self.edited & self.some(0.5))
        old = np.where(changed, self.values + self.chance.integers(-30, 30, self.n) * self.scale // 60, self.values)
        return Before(Column(old, ~self.some()), self.some(0.5), self.some(0.2), self.some(0.2))

    def _deliveries(self) -> Deliveries:
        starts = BERLIN + self.length * np.arange(self.n, dtype=np.int64)
        order = np.concatenate([np.arange(self.n), self.chance.integers(0, self.n, int(self.n * self.dirt))])
        starts = starts[order] + np.where(self.chance.random(len(order)) < self.dirt, 7, 0)
        lengths = np.where(self.chance.random(len(order)) < self.dirt, self.length - 1, self.length)
        batches = order // 4
        digests = batches * 7 + np.where(self.chance.random(len(order)) < self.dirt, 1, 0)
        change = BERLIN + 36 * DAY + 2 * 3600  # 2026-03-29T01:00Z
        labels = (
            starts
            + np.where(starts >= change, 7200, 3600)
            + np.where(self.chance.random(len(order)) < self.dirt, 3600, 0)
        )
        return Deliveries(starts, lengths, batches, digests, labels)

    def _arrived(self) -> Column:
        """Return when values came: most with their end, some before it, some more than a year after."""
        ends = BERLIN + self.length * (1 + np.arange(self.n, dtype=np.int64))
        late = np.where(self.some(), self.chance.integers(-2, 3, self.n) * 200 * DAY, 0)
        return Column(ends + late + self.chance.integers(-62, 3600, self.n), ~self.some())

    def _told(self) -> dict[str, Told]:
        names = ("a", "b", "c")
        made = {}
        for name in ("serial", "firmware", "unit", "obis", "direction", "multiplier", "length"):
            due = np.where(np.arange(self.n) > self.n // 2, 1, 0)
            seen = np.where(self.some(), 2, due)
            made[name] = Told(names, Column(seen, ~self.some()), column(due))
        return made

    def _statistics(self) -> dict[str, Column]:
        made = {}
        for phase in (1, 2, 3):
            volts = np.where(self.some(), self.chance.integers(0, 240_000, self.n), 230_000 + phase)
            amps = np.where(self.some(), 0, 150 + 60 * self.chance.integers(0, 3, self.n))
            made[f"voltage_l{phase}n_mean"] = Column(volts, ~self.some())
            made[f"current_l{phase}_mean"] = Column(amps, ~self.some())
        made["power_active_total_mean"] = Column(np.abs(self.values) * 3600 // self.length, ~self.some())
        made["power_active_total_mean"].values[self.values == 0] = self.chance.choice([0, RATED // 3])
        return made

    def _siblings(self) -> dict[str, Column]:
        active = np.abs(self.values)
        reactive = np.where(self.some(), self.chance.choice([0, 3], self.n) * active, active // 3)
        export = np.where(self.some(), self.scale // 100, 0)
        apparent = np.hypot(active, reactive).astype(np.int64) + np.where(self.some(), -active // 3, 1)
        return {
            "energy_active_export": Column(export, ~self.some()),
            "energy_reactive_import": Column(reactive, ~self.some()),
            "energy_reactive_export": Column(export // 2, ~self.some()),
            "energy_apparent": Column(apparent, ~self.some()),
        }

    def _tariffs(self, registers: Ints) -> dict[str, Column]:
        high = registers // 3 + np.where(self._boundary(self.dirt), 50_000, 0)
        return {"1.8.1": column(high), "1.8.2": Column(registers - registers // 3, self._boundary(self.dirt) == 0)}


def world(seed: int, *, kind: str = "load", days: int = 10, length: int = 900, dirt: float = 0.01) -> Series:
    """Return the channel of a seed."""
    return World(seed, kind, days, length, dirt).series()
