"""The true energy of a simulated site: a pure function of time, in whole numbers. Pure.

Rules: what flows out of sources flows into uses, to the last count, in every interval (the grid takes the rest);
energy moves in whole quanta, which every register of the site can show; none moves within a second of an edge, so that
a read up to a second late or early sees the exact value of the edge (DESIGN.md section 7.6).
"""

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

US = 1_000_000
HOUR_US = 3600 * US
Role = Literal["grid", "generation", "storage", "load", "tenant", "check"]
_DEFAULT_POWER = 1_000_000_000  # of a meter whose rating the site file leaves out: 1 MW [mW]
_PERIOD_US = {"generation": 1800 * US, "storage": 1200 * US, "load": 2700 * US, "tenant": 900 * US}


class Flow(NamedTuple):
    """What passed a meter in each direction. [mWh], or [mW] where it is power"""

    imported: int
    exported: int


@dataclass(frozen=True, slots=True)
class Circuit:
    """A meter as the energy sees it."""

    id: str
    role: Role
    max_power: int | None  # [mW]


class Energy(Protocol):
    """The truth that registers show."""

    def total(self, meter: str, at_us: int) -> Flow:
        """Return what has passed since the model's origin. [mWh]"""

    def power(self, meter: str, at_us: int) -> int:
        """Return the power at a time, import positive. [mW]"""


def margin(length_us: int) -> int:
    """Return how long around an edge no energy moves. [us]"""
    return min(US, length_us // 5)


def within(quanta: int, passed_us: int, length_us: int) -> int:
    """Return how many of an interval's quanta have moved, so long after its start."""
    quiet = margin(length_us)
    done = quanta * (passed_us - quiet) // (length_us - 2 * quiet)
    return max(0, min(quanta, done))


class Shapes:
    """Loads, generation and storage by their role, the grid balancing them.

    Args:
        circuits: The meters of the site.
        length_us: Length of an interval. [us]
        quantum: Energy that moves at once; every register's step divides it. [mWh]
        origin_us: An interval's start, from which energy counts. [us since the epoch]
        seed: Varies the shapes.
    """

    def __init__(self, circuits: Sequence[Circuit], *, length_us: int, quantum: int, origin_us: int, seed: int) -> None:
        self._own = [c for c in circuits if c.role not in ("grid", "check")]
        self._grid = [c for c in circuits if c.role == "grid"]
        self._check = [c for c in circuits if c.role == "check"]
        self._length_us = length_us
        self._quantum = quantum
        self._first = origin_us // length_us
        self._seed = seed
        self._exact = {c.id: Flow(0, 0) for c in self._own}  # [mWh], before whole quanta
        self._steps: dict[str, list[Flow]] = {c.id: [Flow(0, 0)] for c in circuits}  # quanta up to each interval

    def total(self, meter: str, at_us: int) -> Flow:
        """Return what has passed since the origin. [mWh]"""
        before, inside, passed = self._around(meter, at_us)
        moved = [b + within(i, passed, self._length_us) for b, i in zip(before, inside, strict=True)]
        return Flow(moved[0] * self._quantum, moved[1] * self._quantum)

    def power(self, meter: str, at_us: int) -> int:
        """Return the mean power of the interval. [mW]"""
        _, inside, _ = self._around(meter, at_us)
        return (inside.imported - inside.exported) * self._quantum * HOUR_US // self._length_us

    def _around(self, meter: str, at_us: int) -> tuple[Flow, Flow, int]:
        """Return quanta before the interval of a time and inside it, and the time since its start."""
        number, passed = divmod(at_us, self._length_us)
        number = max(0, number - self._first)
        steps = self._steps[meter]
        while len(steps) < number + 2:
            self._extend()
        before, after = steps[number], steps[number + 1]
        return before, Flow(after.imported - before.imported, after.exported - before.exported), passed

    def _extend(self) -> None:
        """Add one interval to every meter."""
        number = len(next(iter(self._steps.values()))) - 1
        net = 0
        for circuit in self._own:
            moved = self._move(circuit, number)
            net += moved.imported - moved.exported
        for place, circuit in enumerate(self._grid):
            self._append(circuit.id, _share(net, place, len(self._grid)))
        for circuit in self._check:
            self._append(circuit.id, self._last(self._grid[0].id) if self._grid else Flow(0, 0))

    def _move(self, circuit: Circuit, number: int) -> Flow:
        mean = self._mean_power(circuit, number)
        energy = abs(mean) * self._length_us // HOUR_US
        exact = self._exact[circuit.id]
        exact = Flow(exact.imported + energy, exact.exported) if mean >= 0 else Flow(
            exact.imported, exact.exported + energy
        )  # fmt: skip
        self._exact[circuit.id] = exact
        before = self._steps[circuit.id][-1]
        moved = Flow(
            exact.imported // self._quantum - before.imported, exact.exported // self._quantum - before.exported
        )
        self._append(circuit.id, moved)
        return moved

    def _append(self, meter: str, moved: Flow) -> None:
        last = self._steps[meter][-1]
        self._steps[meter].append(Flow(last.imported + moved.imported, last.exported + moved.exported))

    def _last(self, meter: str) -> Flow:
        before, after = self._steps[meter][-2:]
        return Flow(after.imported - before.imported, after.exported - before.exported)

    def _mean_power(self, circuit: Circuit, number: int) -> int:
        """Return a circuit's power in an interval, import positive: smooth, with a little of its own. [mW]"""
        chance = random.Random(f"{self._seed}:{circuit.id}")  # noqa: S311 - a shape, no secret
        phase = chance.random() * math.tau
        ripple = random.Random(f"{self._seed}:{circuit.id}:{number}").random() - 0.5  # noqa: S311 - likewise
        at = (self._first + number) * self._length_us
        wave = math.sin(math.tau * at / _PERIOD_US[circuit.role] + phase)
        share = {
            "generation": -(0.55 + 0.35 * wave + 0.05 * ripple),
            "storage": 0.7 * wave,
            "load": 0.6 + 0.2 * wave + 0.1 * ripple,
            "tenant": 0.5 + 0.3 * wave + 0.2 * ripple,
        }[circuit.role]
        return round(share * (circuit.max_power or _DEFAULT_POWER))


def _share(net: int, place: int, of: int) -> Flow:
    """Return one grid meter's part of what the site takes (or gives, when negative), in whole quanta."""
    whole, rest = divmod(abs(net), of)
    part = whole + (1 if place < rest else 0)
    return Flow(part, 0) if net >= 0 else Flow(0, part)


class Constant:
    """Every load and tenant at one power without a pause, the grid giving it; alone, each meter imports it.

    Args:
        circuits: The meters of the site.
        power: Of each load. [mW]
        origin_us: From which energy counts. [us since the epoch]
    """

    def __init__(self, circuits: Sequence[Circuit], *, power: int, origin_us: int) -> None:
        loads = sum(c.role in ("load", "tenant") for c in circuits)
        shares = {"grid": loads or 1, "check": loads or 1, "load": 1, "tenant": 1}
        self._power = {c.id: power * shares.get(c.role, 0 if loads else 1) for c in circuits}
        self._origin_us = origin_us

    def total(self, meter: str, at_us: int) -> Flow:
        """Return what has passed since the origin. [mWh]"""
        return Flow(self._power[meter] * max(0, at_us - self._origin_us) // HOUR_US, 0)

    def power(self, meter: str, at_us: int) -> int:
        """Return the power. [mW]"""
        return self._power[meter] if at_us >= self._origin_us else 0


class Replay:
    """One meter's recorded load, row by row; the others stand still.

    Args:
        meter: Whose load it is.
        rows: Quanta up to each row's end, import and export, one entry more than there are rows.
        row_us: How long a row lasts. [us]
        quantum: [mWh]
        begin_us: Start of row 0. [us since the epoch]
    """

    def __init__(
        self, meter: str, rows: Mapping[str, Sequence[int]], *, row_us: int, quantum: int, begin_us: int
    ) -> None:
        self._meter = meter
        self._imported, self._exported = rows["import"], rows["export"]
        self._row_us = row_us
        self._quantum = quantum
        self._begin_us = begin_us

    def total(self, meter: str, at_us: int) -> Flow:
        """Return what has passed since the first row. [mWh]"""
        if meter != self._meter or at_us < self._begin_us:
            return Flow(0, 0)
        row, passed = divmod(at_us - self._begin_us, self._row_us)
        return Flow(self._moved(self._imported, row, passed), self._moved(self._exported, row, passed))

    def power(self, meter: str, at_us: int) -> int:
        """Return the mean power of the row. [mW]"""
        row = (at_us - self._begin_us) // self._row_us
        if meter != self._meter or not 0 <= row < len(self._imported) - 1:
            return 0
        net = self._imported[row + 1] - self._imported[row] - self._exported[row + 1] + self._exported[row]
        return net * self._quantum * HOUR_US // self._row_us

    def _moved(self, sums: Sequence[int], row: int, passed: int) -> int:
        if row >= len(sums) - 1:
            return sums[-1] * self._quantum
        return (sums[row] + within(sums[row + 1] - sums[row], passed, self._row_us)) * self._quantum
