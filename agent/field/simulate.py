"""A simulated site: every meter of a site file on real servers, on loopback only, with a truth to hold results against.

Rules: nothing but loopback is listened on; clients cannot write; the daemon never imports this file.
"""

import asyncio
import csv
import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from agent.buses import Modbus, ModbusRtu, OpcUa
from agent.field import simulate_load, simulate_terminal
from agent.field.simulate_energy import US, Circuit, Constant, Energy, Replay, Shapes
from agent.field.simulate_faults import Fault
from agent.field.simulate_load import LoadUnit
from agent.field.simulate_meter import SimMeter, Simulated, energies, quantum
from agent.field.simulate_modbus import ModbusPort
from shared.clock import Clock
from shared.errors import ConfigError, StoreError

_NAP_S = 0.5  # the wall clock may step while we wait for a boundary
_SETTLE_US = 100_000  # a closed interval is written this long after its end


@dataclass(frozen=True, slots=True)
class Load:
    """Recorded load that one meter replays."""

    path: Path
    column: str
    meter: str
    row_us: int
    unit: LoadUnit = "kWh"


@dataclass(frozen=True, slots=True)
class Settings:
    """What to simulate."""

    meters: Sequence[SimMeter]
    interval_us: int
    faults: Sequence[Fault] = ()
    load: Load | None = None
    constant_power: int | None = None  # [mW]
    truth: Path | None = None
    seed: int = 1


class Port(Protocol):
    """A server of meters."""

    async def start(self) -> None:
        """Listen."""

    async def stop(self) -> None:
        """Close."""


class Site:
    """The meters of a site, alive.

    Args:
        settings: What to simulate.
        clock: Wall time moves the energy.

    Raises:
        ConfigError: an address is not on loopback, or faults and load name meters that the site does not have.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        _check(settings)
        self._settings = settings
        self._clock = clock
        self._quantum = 1 if settings.constant_power is not None else quantum(settings.meters)
        self._rows = None if settings.load is None else _rows(settings.load, self._quantum)
        self.meters = [
            Simulated(meter, step=self._quantum, wrong=settings.faults, seed=settings.seed) for meter in settings.meters
        ]
        self._ports = list(_ports(self.meters, clock))

    async def run(self, ready: Callable[[int], None], stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; tell ``ready`` the first boundary when every server listens. [s, UTC]

        Raises:
            ConfigError: an address cannot be listened on.
            StoreError: the truth cannot be written.
        """
        started: list[Port] = []
        if self._settings.truth is not None:
            _begin_truth(self._settings.truth)
        try:
            for port in self._ports:
                await port.start()
                started.append(port)
            begin_us = self._begin()
            ready(begin_us // US)
            await self._until(stop, begin_us)
        finally:
            for port in reversed(started):
                await port.stop()

    def _begin(self) -> int:
        """Start the energy; return the first boundary. [us]"""
        now, length = self._clock.wall(), self._settings.interval_us
        begin_us = (now // length + 1) * length
        energy = self._energy(begin_us)
        for meter in self.meters:
            meter.begin(energy, begin_us)
        return begin_us

    def _energy(self, begin_us: int) -> Energy:
        settings, origin = self._settings, begin_us - self._settings.interval_us
        circuits = [Circuit(meter.id, meter.role, meter.max_power) for meter in settings.meters]
        if settings.load is not None and self._rows is not None:
            load = settings.load
            return Replay(load.meter, self._rows, row_us=load.row_us, quantum=self._quantum, begin_us=begin_us)
        if settings.constant_power is not None:
            return Constant(circuits, power=settings.constant_power, origin_us=origin)
        return Shapes(
            circuits, length_us=settings.interval_us, quantum=self._quantum, origin_us=origin, seed=settings.seed
        )

    async def _until(self, stop: asyncio.Event, start_us: int) -> None:
        """Write the truth of each interval as it closes, until ``stop``."""
        length = self._settings.interval_us
        while not stop.is_set():
            while self._clock.wall() >= start_us + length + _SETTLE_US:
                self._write_truth(start_us)
                start_us += length
            left_s = (start_us + length + _SETTLE_US - self._clock.wall()) / US
            await _wait(stop, self._clock, min(_NAP_S, left_s))

    def _write_truth(self, start_us: int) -> None:
        if self._settings.truth is None:
            return
        try:
            with self._settings.truth.open("a", newline="", encoding="utf-8") as file:
                csv.writer(file, lineterminator="\n").writerows(self._true(start_us))
        except OSError as error:
            raise StoreError(f"{self._settings.truth}: cannot be written: {error}; choose another --truth") from error

    def _true(self, start_us: int) -> Iterator[tuple[str, str, int, int, int]]:
        length = self._settings.interval_us
        for meter in self.meters:
            for point in energies(meter.meter):
                value = meter.true(point.quantity, start_us, start_us + length)
                yield meter.meter.id, point.quantity, start_us // US, length // US, value


async def _wait(stop: asyncio.Event, clock: Clock, seconds: float) -> None:
    """Wait for the time or the end, whichever comes first. [s]"""
    waits = [asyncio.create_task(stop.wait()), asyncio.create_task(_sleep(clock, seconds))]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _sleep(clock: Clock, seconds: float) -> bool:
    await clock.sleep(seconds)
    return True


def _begin_truth(path: Path) -> None:
    try:
        path.write_text("meter,quantity,start,length_s,value\n", encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error}; choose another --truth") from error


def _rows(load: Load, step: int) -> dict[str, list[int]]:
    numbers = simulate_load.recorded(load.path, load.column)
    return simulate_load.quanta(numbers, unit=load.unit, row_us=load.row_us, quantum=step)


def _ports(meters: Sequence[Simulated], clock: Clock) -> Iterator[Port]:
    """Give one server for each link."""
    modbus: dict[Modbus, dict[int, Simulated]] = {}
    opcua: dict[str, list[Simulated]] = {}
    for meter in meters:
        bus = meter.meter.bus
        if isinstance(bus, OpcUa):
            opcua.setdefault(bus.url, []).append(meter)
        else:
            modbus.setdefault(bus, {})[meter.meter.unit] = meter
    for link, units in modbus.items():
        yield ModbusPort(link, units, clock)
    if opcua:
        from agent.field.simulate_opcua import OpcUaPort  # asyncua costs 40 MB; only sites that have it pay

        for url, served in opcua.items():
            yield OpcUaPort(url, served, clock)


def _check(settings: Settings) -> None:
    for meter in settings.meters:
        _check_bus(meter)
    known = {meter.id for meter in settings.meters}
    named = {fault.meter for fault in settings.faults} | ({settings.load.meter} if settings.load else set())
    if named - known:
        raise ConfigError(f"no meter {', '.join(sorted(named - known))} in the site; it has {', '.join(sorted(known))}")
    if settings.load is not None and settings.constant_power is not None:
        raise ConfigError("--load and --constant-power exclude each other; choose one")
    for fault in settings.faults:
        _check_fault(fault, next(meter for meter in settings.meters if meter.id == fault.meter))


def _check_bus(meter: SimMeter) -> None:
    """Object to a link of this machine's own, to one that others can reach, and to what is not simulated."""
    if isinstance(meter.bus, ModbusRtu):
        simulate_terminal.check(meter.bus)
        return
    if isinstance(meter.bus, OpcUa) and (meter.bus.security or meter.bus.username):
        raise ConfigError(
            f"meter {meter.id}: simulate's OPC UA servers have no security and no users; leave both out in a lab"
        )
    host = urlsplit(meter.bus.url).hostname or "" if isinstance(meter.bus, OpcUa) else meter.bus.host
    if not _is_loopback(host):
        raise ConfigError(f"meter {meter.id}: {host} is not on loopback; simulate serves 127.0.0.0/8 and ::1 only")


def _check_fault(fault: Fault, meter: SimMeter) -> None:
    codeless = [p.quantity for p in meter.profile.points if p.enc == "int" and not p.na]
    if fault.kind == "nan" and codeless and not isinstance(meter.bus, OpcUa):
        raise ConfigError(
            f"meter {meter.id}: profile {meter.profile.id} has no not-available code for {', '.join(codeless)}"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
