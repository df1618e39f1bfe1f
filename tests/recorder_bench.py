"""A site in simulated time whose meters keep a load profile by their own clocks."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from agent.acquire.points import ClockRegisters, Part, Point, Recorder
from shared.intervals import Block
from shared.registers import registers
from tests.site_bench import Bench

IMPORT = "energy_active_import"
UTC = ClockRegisters(Part(0, 2, 3, "words"), "unix", "utc")
CHANNEL = Point(IMPORT, "register", (Part(2, 2, 3, "uint32"),), "int", Fraction(1000), 1 << 32, 1000)


def recorder(interval_s: int = 300, holds: Literal["registers", "energies"] = "registers") -> Recorder:
    """Return a ring of entries: a label and a register of 1 Wh."""
    return Recorder("block", 3, 1000, 96, 4, UTC, "end", (CHANNEL,), interval_s, holds=holds)


class RecorderBench(Bench):
    """A site of one meter whose own clock is so far ahead. [s]"""

    def __init__(
        self,
        folder: Path,
        *,
        ahead: float = 0,
        keeps_s: int = 300,
        holds: Literal["registers", "energies"] = "registers",
    ) -> None:
        self.recorder = recorder(keeps_s, holds)
        super().__init__(folder)
        self.bus.ahead["a"], self.bus.keeps_s = round(ahead * 1_000_000), keeps_s

    def _read(self) -> None:
        super()._read()
        self.profiles = {
            name: replace(profile, recorder=self.recorder, clock=UTC) for name, profile in self.profiles.items()
        }

    def path(self, source: str) -> list[Block]:
        """Return the blocks that came by one path."""
        return [block for block in self.blocks() if block.source == source]

    def levels(self, source: str) -> dict[int, int]:
        """Return the registers at boundaries by one path, by UTC second. [mWh]"""
        found: dict[int, int] = {}
        for body in self.bodies():
            for block in body.blocks:
                if block.source == source:
                    levels = registers(block.registers[IMPORT], block.at, body.boundaries)
                    found |= {body.start + at * body.length: one for at, one in enumerate(levels) if one is not None}
        return found
