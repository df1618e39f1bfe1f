"""A meter under load in simulated time, polled into a builder: what boundaries and intervals become of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from agent.acquire.drivers.base import BlockRead
from agent.acquire.points import Part, Point
from agent.measure.boundaries import Builder, Metered, Sealable
from shared.batch import Event
from shared.intervals import Block, Intervals

US = 1_000_000
T0 = 1_772_460_000  # 2026-03-02T14:00:00Z
OFFSET = T0 * US - 864_000_000_000  # wall = boot + OFFSET
IMPORT = "energy_active_import"
WH = Fraction(1000)
RATING = 3_600_000_000  # 3.6 MW: 1000 Wh a second [mW]


def point(name: str = IMPORT, *, mod: int | None = None, wh: int = 1) -> Point:
    """Return a register whose count is worth so many Wh."""
    return Point(name, "register", (Part(0, 2, 3, "uint32"),), "int", WH * wh, mod, 1000 * wh)


def boot(wall: float) -> int:
    """Return where on the boot clock a UTC second lies."""
    return round(wall * US) - OFFSET


@dataclass
class Metering:
    """A builder with one meter; times are seconds after T0.

    ``register`` and ``power`` are the meter's law: what it shows at a time [counts], and its load [mW].
    """

    register: Callable[[float], int | None]
    power: Callable[[float], int | None] | None = None
    length: int = 300  # [s]
    poll: int = 10  # [s]
    point: Point = field(default_factory=point)
    update: int = 0  # [s]
    expects: Mapping[str, Fraction] = field(default_factory=dict)
    serial: str | None = None
    meter: str = "m"
    out: list[Sealable] = field(default_factory=list)
    builder: Builder = field(init=False)

    def __post_init__(self) -> None:
        metered = Metered(
            self.meter, "default", self.serial, self.poll * US, RATING, {0: (self.point,)}, self.update * US,
            self.expects,
        )  # fmt: skip
        self.builder = Builder(self.length, self.length, 250_000, {self.meter: metered}, "boot")

    def read(self, at: float, *, took: float = 0.02) -> None:
        """Read the meter once; the answer is there at the time."""
        moment = boot(T0 + at)
        values = {} if self.power is None else {"power_active_total": self.power(at)}
        registers = {self.point.quantity: self.register(at)}
        self.builder.feed(BlockRead(self.meter, 0, moment - round(took * US), moment, registers, values))

    def run(self, first: int, last: int, late: float = 0.05) -> None:
        """Poll from one second to another, at every multiple of the poll period and at each boundary."""
        length = self.builder.length
        ticks = {*range(-(-first // self.poll) * self.poll, last, self.poll)}
        ticks |= set(range(-(-first // length) * length, last, length))
        for at in sorted(ticks):
            if at % self.builder.length == 0:
                self.builder.open(T0 + at, boot(T0 + at))
            self.read(at + late)
            self.seal(at + late + 0.01)

    def seal(self, at: float, *, stopping: bool = False) -> None:
        """Seal what is complete."""
        ready = self.builder.ready(boot(T0 + at), stopping=stopping)
        if ready is not None:
            self.out.append(ready)

    @property
    def bodies(self) -> list[Intervals]:
        """Return all that was sealed."""
        return [body for one in self.out for body in one.intervals]

    @property
    def blocks(self) -> list[Block]:
        """Return all blocks that were sealed."""
        return [block for body in self.bodies for block in body.blocks]

    @property
    def values(self) -> list[int | None]:
        """Return the interval values of the meter's register in order."""
        return [value for block in self.blocks for value in block.registers[self.point.quantity].values]

    @property
    def events(self) -> list[Event]:
        """Return the events that were sealed, and those that wait."""
        return [event for one in self.out for event in one.events] + self.builder.take_events()
