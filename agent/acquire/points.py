"""What a profile describes: parts, points, identity, test vectors. Values only, no reading.

A point is one quantity of one meter. It has one part (an address) or, where the meter splits a register
(tariff 1 + tariff 2), several parts that are summed and must be read in one block.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

Raw = int | tuple[int, ...]  # a tuple holds the parts of a summed register
Order = Literal["big", "little"]
Enc = Literal["int", "f32", "f64"]
Trust = Literal["documented", "simulated", "bench", "hardware", "standard"]

_BITS = {f"{kind}{bits}": bits for kind in ("int", "uint", "bcd") for bits in (16, 32, 48, 64)}
_BITS |= {"float32": 32, "float64": 64, "mod10k2": 32, "mod10k3": 48, "mod10k4": 64}
#: Registers of 16 bits that each type takes. `ascii` takes as many as the profile says.
WIDTHS = {name: bits // 16 for name, bits in _BITS.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """One number at one address, as on the wire: addresses count from 0."""

    address: int
    count: int  # [registers of 16 bits]
    function: int  # 3 holding, 4 input
    type: str  # a name of `WIDTHS`, or `ascii`
    word_order: Order = "big"  # big: most significant register first
    byte_order: Order = "big"

    @property
    def end(self) -> int:
        """Return the first address after this part."""
        return self.address + self.count


@dataclass(frozen=True, slots=True)
class Point:
    """One quantity of a meter: where it stands and what one raw count is worth.

    ``mult`` turns raw into one count of the quantity's unit (Wh in an int64: 1000 mWh); ``mod`` is the raw count
    at which the register starts again; both have one entry a part where there are several. ``step`` is the
    resolution in counts of the unit. ``na`` holds the bit patterns that say "not available".
    """

    quantity: str
    kind: Literal["register", "instantaneous"]
    parts: tuple[Part, ...]
    enc: Enc
    mult: Fraction | tuple[Fraction, ...]
    mod: int | tuple[int, ...] | None = None
    step: int | None = None
    na: frozenset[int] = frozenset()
    unit: str = ""  # as the meter counts, before `mult`
    node: str | None = None  # OPC UA: browse path or node id text, with the namespace's URI

    @property
    def mults(self) -> tuple[Fraction, ...]:
        """Return the multiplier of each part."""
        return self.mult if isinstance(self.mult, tuple) else (self.mult,)


@dataclass(frozen=True, slots=True)
class Vector:
    """Literal words of a point and what they mean, from a source or by hand; never from an encoder of ours."""

    quantity: str  # or "serial"
    words: tuple[int, ...]  # of all parts, one after the other
    raw: Raw | None
    value: Fraction | None  # [counts of the quantity's unit], exact
    text: str | None = None  # of a serial
    source: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of one family of meters."""

    id: str
    vendor: str
    models: tuple[str, ...]
    protocol: Literal["modbus", "opcua"]
    trust: Trust
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    points: tuple[Point, ...]
    serial: Point | None  # its `enc` is int, or the part's type is ascii
    update_s: float | None  # how often the meter renews its registers [s]
    max_registers: int  # longest block it answers [registers]
    pause_ms: int  # silence it wants between two requests [ms]
    forbidden: tuple[tuple[int, int], ...]  # half-open address ranges that no block may touch
    vectors: tuple[Vector, ...]
    origin: str  # where this profile was read

    def point(self, quantity: str) -> Point:
        """Return the point of that quantity; KeyError when it has none."""
        return {point.quantity: point for point in self.points}[quantity]


def narrow(profile: Profile, quantities: list[str] | None, factor: Fraction) -> Profile:
    """Return the profile with only these quantities (None: all), and energies and powers times ``factor``.

    ``factor`` is for meters that show secondary values. Voltage and current stay as the meter shows them: their ratios
    are not known apart.
    """
    kept = [point for point in profile.points if quantities is None or point.quantity in quantities]
    return replace(profile, points=tuple(_scaled(point, factor) for point in kept))


def _scaled(point: Point, factor: Fraction) -> Point:
    if factor == 1 or not point.quantity.startswith(("energy_", "power_active", "power_reactive", "power_apparent")):
        return point
    mults = tuple(mult * factor for mult in point.mults)
    step = None if point.step is None else -(-point.step * factor // 1)
    return replace(point, mult=mults if isinstance(point.mult, tuple) else mults[0], step=step)
