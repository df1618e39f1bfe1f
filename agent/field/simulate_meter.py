"""A simulated meter: what its registers show at a time, its faults included."""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from agent.acquire.points import Point, Profile, Setting
from agent.buses import Modbus, ModbusTcp, OpcUa
from agent.field import simulate_encode as encode
from agent.field import simulate_faults as faults
from agent.field import simulate_map
from agent.field.simulate_energy import Energy, Flow, Role
from agent.field.simulate_faults import Fault
from shared.quantity import quantity

_LAB = ModbusTcp(host="127.0.0.1", port=1502)


@dataclass(frozen=True, slots=True)
class SimMeter:
    """One meter to simulate; ``unit`` is of Modbus, ``nodes`` of OPC UA."""

    id: str
    profile: Profile
    role: Role
    serial: str | None = None
    max_power: int | None = None  # [mW]
    bus: Modbus | OpcUa = _LAB
    unit: int = 1
    nodes: Mapping[str, str] = field(default_factory=dict)
    start: Mapping[str, int] = field(default_factory=dict)  # first register values [counts], by quantity
    settings: Mapping[str, Setting] = field(default_factory=dict)  # how it is set, by name
    zone: str = "UTC"  # of its clock, where the meter shows local time


def energies(meter: SimMeter) -> list[Point]:
    """Return the registers of a meter that hold energy."""
    points = simulate_map.settled(meter.profile).points
    return [p for p in points if p.kind == "register" and p.quantity.startswith("energy_")]


def quantum(meters: Sequence[SimMeter]) -> int:
    """Return the least energy that every register of the site can show moving. [mWh]"""
    return math.lcm(*(encode.resolution(point) for meter in meters for point in energies(meter)))


def measured(name: str, flow: Flow, step: int) -> int:
    """Return what a register of that quantity has counted of a flow, in whole quanta. [counts of its unit]"""
    amount = {
        "energy_active_import": flow.imported,
        "energy_active_export": flow.exported,
        "energy_active_net": flow.imported - flow.exported,
        "energy_reactive_import": flow.imported // 4,
        "energy_reactive_q1": flow.imported // 4,
        "energy_reactive_export": flow.exported // 4,
        "energy_reactive_q3": flow.exported // 4,
        "energy_apparent": flow.imported + flow.exported,
    }.get(name, 0)
    return amount // step * step


class Simulated:
    """A meter that can be asked for its registers at any time.

    Args:
        meter: What it is.
        step: Quantum of the site; 1 where energy runs without pause. [mWh]
        wrong: Its faults.
        seed: Varies first register values and jitter.
    """

    def __init__(self, meter: SimMeter, *, step: int, wrong: Sequence[Fault], seed: int) -> None:
        self.meter = meter
        self.profile = simulate_map.settled(meter.profile)
        self._beside = simulate_map.Beside(meter.profile, meter.settings, ZoneInfo(meter.zone))
        self._step = step
        self._faults = faults.of(wrong, meter.id)
        self._seed = seed
        self._chance = random.Random(f"{seed}:{meter.id}:jitter")  # noqa: S311 - a fault, no secret
        self._energy: Energy | None = None
        self._begin_us = 0

    def begin(self, energy: Energy, begin_us: int) -> None:
        """Give the truth to show, and the first boundary, from which faults count. [us since the epoch]"""
        self._energy, self._begin_us = energy, begin_us

    @property
    def wrong_kinds(self) -> set[str]:
        """Return the kinds of its faults."""
        return {fault.kind for fault in self._faults}

    def silent(self, at_us: int) -> bool:
        """Return whether it gives no answer now."""
        return faults.silent(self._faults, at_us - self._begin_us)

    def refusal(self, at_us: int) -> int | None:
        """Return the exception code it answers with now, if any."""
        fault = faults.active(self._faults, "refuse", at_us - self._begin_us)
        return None if fault is None else fault.amount

    def delay_s(self, at_us: int) -> float:
        """Return how late its answer comes. [s]"""
        slow = faults.active(self._faults, "slow", at_us - self._begin_us)
        jitter = faults.active(self._faults, "jitter", at_us - self._begin_us)
        late = 0.0 if slow is None else slow.amount
        return (late + (0.0 if jitter is None else self._chance.uniform(0, jitter.amount))) / 1000

    def unavailable(self, at_us: int) -> bool:
        """Return whether it shows its not-available codes now."""
        return faults.active(self._faults, "nan", at_us - self._begin_us) is not None

    def serial(self, at_us: int) -> str:
        """Return its serial number; another one after each exchange."""
        first = self.meter.serial or str(random.Random(f"{self._seed}:{self.meter.id}").randrange(10**7, 10**8))  # noqa: S311 - a number plate
        swapped = faults.swaps(self._faults, at_us - self._begin_us)
        if not swapped:
            return first
        return str(int(first) + swapped).zfill(len(first)) if first.isdecimal() else f"{first}-{swapped}"

    def shown(self, point: Point, at_us: int) -> int:
        """Return the value of a point, a register's rounded down to its step. [counts of its unit]"""
        if point.kind != "register":
            return self._instantaneous(point.quantity, at_us)
        step = encode.resolution(point)
        return self._register(point, at_us) // step * step

    def _register(self, point: Point, at_us: int) -> int:
        since = faults.register_time(self._faults, at_us - self._begin_us)
        begun_by, begun = faults.run_start(self._faults, since)
        counted = self._counted(point.quantity, self._begin_us + since)
        if begun_by is None:
            return self._first(point, "") + counted
        counted -= self._counted(point.quantity, self._begin_us + begun)
        return counted + (0 if begun_by == "reset" else self._first(point, f"swap {begun}"))

    def true(self, name: str, start_us: int, end_us: int) -> int:
        """Return what a perfect meter counts between two times. [counts of the unit]"""
        return self._counted(name, end_us) - self._counted(name, start_us)

    def words(self, point: Point, at_us: int) -> list[list[int]]:
        """Return the registers of each part of a point."""
        codes = encode.unavailable(point) if self.unavailable(at_us) else None
        return codes or encode.words(point, self.shown(point, at_us))

    def beside(self, at_us: int) -> Mapping[int, simulate_map.Registers]:
        """Return the registers beside its values, by function: scales, settings, clock."""
        return self._beside.at(at_us)

    def _counted(self, name: str, at_us: int) -> int:
        return 0 if self._energy is None else measured(name, self._energy.total(self.meter.id, at_us), self._step)

    def _first(self, point: Point, run: str) -> int:
        """Return the value at which a run of registers begins: 1 to 5 MWh, so that a float32 of Wh holds it exactly."""
        if point.quantity in self.meter.start and not run:
            return self.meter.start[point.quantity]
        chance = random.Random(f"{self._seed}:{self.meter.id}:{point.quantity}:{run}")  # noqa: S311 - a start
        step = math.lcm(self._step, encode.resolution(point))
        return chance.randrange(10**9, 5 * 10**9) // step * step

    def _instantaneous(self, name: str, at_us: int) -> int:
        power = 0 if self._energy is None else self._energy.power(self.meter.id, at_us)
        if name.startswith("current_"):
            return abs(power) * 1000 // (3 * 230_000)
        if name.startswith("voltage_"):
            return 230_000
        return {
            "power_active_total": power,
            "power_active_l1": power // 3,
            "power_active_l2": power // 3,
            "power_active_l3": power - 2 * (power // 3),
            "power_reactive_total": power // 4,
            "power_apparent_total": abs(power),
            "frequency": 50_000,
            "power_factor": 970,
            "state_of_charge": 500,
        }.get(quantity(name).name, 0)
