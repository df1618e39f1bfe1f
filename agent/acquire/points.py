"""What a profile describes: parts, points, identity, test vectors. Values only, no reading.

A point is one quantity of one meter. It has one part (an address) or, where the meter splits a register
(tariff 1 + tariff 2, MWh + Wh), several parts that are summed and must be read in one block.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

Raw = int | tuple[int, ...]  # a tuple holds the parts of a summed register
Order = Literal["big", "little"]
Enc = Literal["int", "f32", "f64"]
Trust = Literal["documented", "simulated", "bench", "hardware", "standard"]
Setting = Fraction | str  # what a meter tells of how it is set: a number in the unit of its name, or a text

Confidence = Literal["high", "medium", "low"]
#: `power10`: a count is worth 10^raw. `eig_energy_format`: unit, decimals and digits in the bits of one register.
ScaleForm = Literal["power10", "eig_energy_format"]

_BITS = {f"{kind}{bits}": bits for kind in ("int", "uint", "abs", "bcd") for bits in (16, 32, 48, 64)}
_BITS |= {"float32": 32, "float64": 64, "mod10k2": 32, "mod10k3": 48, "mod10k4": 64}
#: Registers of 16 bits that each type takes; `ascii` and `words` take as many as the profile says. `abs` is a signed
#: integer whose sign only says how the meter is mounted: its amount counts.
WIDTHS = {name: bits // 16 for name, bits in _BITS.items()}


@dataclass(frozen=True, slots=True)
class Part:
    """One number at one address, as on the wire: addresses count from 0."""

    address: int
    count: int  # [registers of 16 bits]
    function: int  # 3 holding, 4 input
    type: str  # a name of `WIDTHS`, or `ascii`, or `words`
    word_order: Order = "big"  # big: most significant register first
    byte_order: Order = "big"
    half_order: Order | None = None  # of four registers: which pair comes first; None: as `word_order` says
    bits: tuple[int, int] | None = None  # (lowest, how many) of the bits of the part that hold the number or text

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

    quantity: str  # of a scale or a setting: its name
    kind: Literal["register", "instantaneous", "scale", "setting"]
    parts: tuple[Part, ...]
    enc: Enc
    mult: Fraction | tuple[Fraction, ...]
    mod: int | tuple[int, ...] | None = None
    step: int | None = None
    na: frozenset[int] = frozenset()
    unit: str = ""  # as the meter counts, before `mult`
    node: str | None = None  # OPC UA: browse path or node id text, with the namespace's URI
    scaled_by: str | None = None  # name of the scale that says what a count is worth now; `mult` is what it multiplies
    offset: Fraction = Fraction(0)  # added after `mult`, of instantaneous values and settings only [counts of the unit]
    form: ScaleForm | None = None  # of a scale, and of what it scales
    product: bool = False  # of a setting: the parts are multiplied
    resettable: bool = False  # anybody at the meter can clear it
    confidence: Confidence | None = None  # what the sources are worth; None: as the profile's rung of trust says

    @property
    def mults(self) -> tuple[Fraction, ...]:
        """Return the multiplier of each part."""
        return self.mult if isinstance(self.mult, tuple) else (self.mult,)


@dataclass(frozen=True, slots=True)
class Vector:
    """Literal words of a point and what they mean, from a source or by hand; never from an encoder of ours."""

    quantity: str  # or "serial", "clock", the name of a setting or of a scale
    words: tuple[int, ...]  # of all parts, one after the other
    raw: Raw | None
    value: Fraction | None  # [counts of the quantity's unit], exact; of a clock [s since the epoch, as if UTC]
    text: str | None = None  # of a serial or a text setting
    source: str = ""
    scale: int | None = None  # raw value of the scale that the point names
    model: int | None = None  # of a profile with `maps`: which model


#: How a date stands in registers; `agent.acquire.decode_clock` says where each form is from.
ClockForm = Literal["schneider4", "siemens4", "words6", "bytes6", "unix"]


@dataclass(frozen=True, slots=True)
class ClockRegisters:
    """Where a meter shows its own clock."""

    part: Part  # of type `words`
    form: ClockForm
    zone: Literal["utc", "local"]  # local: the time zone of the site file


@dataclass(frozen=True, slots=True)
class Recorder:
    """A meter's own log of registers: its load profile.

    ``block``: a ring of entries in registers, one after the other from ``address``. ``file``: records of a file, read
    by function 20 (Modbus Application Protocol V1.1b3 section 6.14); ``address`` is then the first record's number.
    Addresses of ``stamp`` and ``channels`` count from the first register of an entry.
    """

    form: Literal["block", "file"]
    function: int  # 3 or 4; 20 for a file
    address: int
    entries: int
    registers: int  # of one entry
    stamp: ClockRegisters
    stamp_marks: Literal["start", "end"]  # of the interval that the entry is about
    channels: tuple[Point, ...]
    interval_s: int | None = None  # [s]; None: the distance of the time stamps
    newest: Point | None = None  # the register with the index of the newest entry, from 0; None: the first is it
    file: int | None = None  # its number
    holds: Literal["registers", "energies"] = "registers"  # as they stood at the label, or the energy of its interval


@dataclass(frozen=True, slots=True)
class Model:
    """A part of a self-describing map: addresses count from its own first register.

    Source: SunSpec Information Model Specification; the model's identifier stands in the first register.
    """

    id: int
    points: tuple[Point, ...]
    scales: tuple[Point, ...] = ()
    serial: Point | None = None


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
    scales: tuple[Point, ...] = ()  # registers that say what others are worth; each is read with those
    settings: tuple[Point, ...] = ()  # how the meter is set: ct_primary_A, vt_primary_V, parameter_counter, ...
    clock: ClockRegisters | None = None
    one_value: bool = False  # it answers one value a request
    close_after_gather: bool = False  # it wants the connection closed after each round
    discovery: Literal["sunspec"] | None = None  # addresses of points are found on the device
    #: What discovery can find, best first; `points` then says which quantities are wanted, not where they stand.
    maps: tuple[Model, ...] = ()
    recorder: Recorder | None = None

    @property
    def tells(self) -> bool:
        """Return whether the meter can be asked for more than values: who it is, how it is set, what time it has."""
        return self.serial is not None or bool(self.settings) or self.clock is not None

    def point(self, quantity: str) -> Point:
        """Return the point of that quantity; KeyError when it has none."""
        return {point.quantity: point for point in self.points}[quantity]


def narrow(profile: Profile, quantities: list[str] | None, factor: Fraction) -> Profile:
    """Return the profile with only these quantities (None: all), and energies and powers times ``factor``.

    ``factor`` is for meters that show secondary values. Voltage and current stay as the meter shows them: their ratios
    are not known apart.
    """
    points = _narrowed(profile.points, quantities, factor)
    maps = tuple(replace(one, points=_narrowed(one.points, quantities, factor)) for one in profile.maps)
    named = {point.scaled_by for point in points}
    scales, kept = tuple(s for s in profile.scales if s.quantity in named), profile.recorder
    if kept is not None:
        kept = replace(kept, channels=_narrowed(kept.channels, quantities, factor))
    return replace(profile, points=points, maps=maps, scales=scales, recorder=kept)


def _narrowed(points: tuple[Point, ...], quantities: list[str] | None, factor: Fraction) -> tuple[Point, ...]:
    return tuple(_scaled(p, factor) for p in points if quantities is None or p.quantity in quantities)


def _scaled(point: Point, factor: Fraction) -> Point:
    if factor == 1 or not point.quantity.startswith(("energy_", "power_active", "power_reactive", "power_apparent")):
        return point
    mults = tuple(mult * factor for mult in point.mults)
    step = None if point.step is None else -(-point.step * factor // 1)
    mult = mults if isinstance(point.mult, tuple) else mults[0]
    return replace(point, mult=mult, step=step, offset=point.offset * factor)
