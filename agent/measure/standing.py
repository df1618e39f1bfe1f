"""Registers that stand still while power says load: their value is stale and is no reading of a boundary.

Rules of this file: pure, told the time. A register is only taken for frozen after it has been seen to move under load
of the same direction (so that a wrong sign of the power never makes a gap), and only when the energy that power says
has passed is far more than it ever was between two of its steps. A meter that measures no power has no frozen registers
here; the collector's rules look at its jumps.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.acquire.points import Raw

US_PER_HOUR = 3_600_000_000
#: Registers that power in a direction must move: 1 with positive power (import), -1 with negative.
DIRECTIONS = {"energy_active_import": 1, "energy_active_export": -1}
POWER = "power_active_total"
#: Standing for so many times the energy that usually passes between two steps is no coarse register any more.
FAR = 4


@dataclass(slots=True)
class _Watch:
    """One register: what it showed last, and what has passed it since it moved."""

    raw: Raw
    moved: int  # [boot us]
    passed: int = 0  # energy that power says, in the register's direction [mW us]
    usual: int | None = None  # the most that ever passed between two steps [mW us]; None: no two steps under load yet
    whole: bool = False  # all that passed since the last step is known

    @property
    def is_frozen(self) -> bool:
        """Return whether far more has passed than this register ever needed to move."""
        return self.usual is not None and self.passed > FAR * self.usual

    def see(self, raw: Raw, at: int) -> None:
        """Take what the register shows."""
        if raw == self.raw:
            return
        if self.whole and self.passed > 0 and not self.is_frozen:
            self.usual = max(self.usual or 0, self.passed)
        self.raw, self.moved, self.passed, self.whole = raw, at, 0, True


@dataclass(slots=True)
class Standing:
    """All registers of one meter."""

    poll: int  # [us]
    watches: dict[str, _Watch] = field(default_factory=dict)
    power: tuple[int, int] | None = None  # of the last poll [boot us, mW]

    def registers(self, registers: Mapping[str, Raw | None], at: int) -> None:
        """Take what registers show at a time. [boot us]"""
        for name in DIRECTIONS.keys() & registers.keys():
            raw = registers[name]
            watch = self.watches.get(name)
            if raw is None:
                continue
            if watch is None:
                self.watches[name] = _Watch(raw, at)
            else:
                watch.see(raw, at)

    def values(self, values: Mapping[str, int | None], at: int) -> None:
        """Take the power at a time; without one, nothing is known of the time since the last. [boot us]"""
        power = values.get(POWER)
        if power is None:
            self.power = None if POWER in values else self.power
            return
        if self.power is not None and at - self.power[0] <= 3 * self.poll:
            since, before = self.power
            least = min(abs(power), abs(before)) if power * before > 0 else 0
            for name, sign in DIRECTIONS.items():
                if name in self.watches and sign * power > 0:
                    self.watches[name].passed += least * (at - since)
        self.power = (at, power)

    def state(self) -> dict[str, list[object]]:
        """Return what a restart needs, as JSON values: what each register showed, and what it usually takes to move."""
        return {name: [one.raw, one.moved, one.passed, one.usual] for name, one in self.watches.items()}

    def restore(self, kept: Mapping[str, list[Any]]) -> None:
        """Go on after a restart; a register that stood still goes on standing, whatever passed meanwhile."""
        for name, (raw, moved, passed, usual) in kept.items():
            shown = tuple(raw) if isinstance(raw, list) else int(raw)
            self.watches[name] = _Watch(shown, moved, passed, usual)

    def frozen(self) -> frozenset[str]:
        """Return the registers that stand still now although power says that they should move."""
        return frozenset(name for name, watch in self.watches.items() if watch.is_frozen)

    def since(self, name: str) -> int:
        """Return when a register moved last. [boot us]"""
        return self.watches[name].moved
