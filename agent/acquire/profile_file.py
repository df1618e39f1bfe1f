"""The form of a profile file, and what is made of it. A border: nothing in the file is believed unchecked.

Every key is checked; numbers that must be exact are text; addresses count from 0 as on the wire; the test vectors of
the file are decoded and compared before the profile is used.
"""

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.acquire import decode
from agent.acquire.points import WIDTHS, Enc, Order, Part, Point, Profile, Trust, Vector
from shared.quantity import QUANTITIES, UNITS

Word = Annotated[int, Field(ge=0, le=0xFFFF)]
_NATURAL = {"bcd": 10**4, "mod10k": 10**4}  # what one register holds, so that the modulus follows from the type
_ENC: dict[str, Enc] = {"float32": "f32", "float64": "f64"}
_DEFAULT_FUNCTION = 3


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _fraction(text: str) -> str:
    try:
        Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f'{text!r} is no exact number; write it as text, as "0.01" or "1/64"') from None
    return text


def _address(address: int | None) -> int | None:
    if address is not None and not 0 <= address <= 0xFFFF:
        raise ValueError(f"{address} is no wire address (0 to 65535); 4xxxxx numbers count from 400001: subtract it")
    return address


class Layout(_Strict):
    """How numbers stand in registers; a point may differ from the file's defaults."""

    function: Literal[3, 4] | None = None
    word_order: Order | None = None
    byte_order: Order | None = None


class Place(Layout):
    """Where one number stands."""

    address: int | None = None
    node: str | None = None
    type: str
    registers: int | None = Field(default=None, ge=1, le=125, description="of an ascii text")
    unavailable: list[int] | None = Field(default=None, description="bit patterns that say: not available")
    note: str = ""
    agree: int | None = Field(default=None, ge=1, description="independent sources that say the same")

    _wire = field_validator("address")(_address)

    @field_validator("type")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in WIDTHS and name != "ascii":
            raise ValueError(f"no type {name!r}; known: {', '.join(WIDTHS)}, ascii")
        return name

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.address is None) == (self.node is None):
            raise ValueError("give either address (modbus) or node (opcua)")
        if self.type == "ascii" and self.address is not None and self.registers is None:
            raise ValueError("an ascii text needs registers = its length")
        return self


class PointEntry(Place):
    """One quantity."""

    quantity: str
    unit: str
    scale: str = "1"
    plus: list[int] = Field(default=[], description="addresses of further parts of the same type, to be summed")
    rollover: int | None = Field(default=None, gt=0, description="raw counts at which each part starts again")
    resolution: str | None = Field(default=None, description="smallest step, in `unit`")

    _exact = field_validator("scale")(_fraction)

    @field_validator("resolution")
    @classmethod
    def _step(cls, text: str | None) -> str | None:
        return text if text is None else _fraction(text)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = QUANTITIES.get(self.quantity)
        if known is None or known.kind == "statistic":
            raise ValueError(f"no quantity {self.quantity!r}")
        if UNITS.get(self.unit, ("",))[0] != known.unit:
            raise ValueError(f"{self.quantity} counts {known.unit}; unit {self.unit!r} does not fit")
        if Fraction(self.scale) <= 0:
            raise ValueError(f"scale {self.scale} is not positive; direction is set in the site file")
        if known.kind == "register" and self.rollover is None and _needs_rollover(self.type):
            raise ValueError(f"{self.quantity}: a register of type {self.type} needs rollover = raw counts")
        return self


class VectorEntry(_Strict):
    """Literal words and what they mean."""

    quantity: str
    words: list[Word]
    raw: int | list[int] | None = None
    value: str | None = None
    text: str | None = None
    source: str = Field(min_length=1, description="where the words are from, or how they are derived by hand")


class Defaults(Layout):
    """What holds for every point that does not say otherwise."""

    unavailable_unsigned: Literal["all-ones"] | None = None
    unavailable_signed: Literal["max-positive", "min-negative"] | None = None


class ProfileFile(_Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    vendor: str
    models: list[str]
    class_: str = Field(default="", alias="class")
    protocol: Literal["modbus", "opcua"]
    trust: Trust
    sources: list[str] = Field(min_length=1)
    notes: list[str] = []
    dangerous: list[str] = Field(default=[], description="registers that change or clear the meter when written")
    update_s: float | None = Field(default=None, gt=0)
    max_registers: int = Field(default=125, ge=1, le=125)
    pause_ms: int = Field(default=0, ge=0, le=10_000)
    forbidden: list[tuple[int, int]] = Field(default=[], strict=False)
    defaults: Defaults = Defaults()
    serial: Place | None = None
    point: list[PointEntry] = Field(min_length=1)
    vector: list[VectorEntry] = []


def _needs_rollover(kind: str) -> bool:
    return kind.startswith(("int", "uint")) and WIDTHS[kind] < 4


def profile(file: ProfileFile, origin: str) -> Profile:
    """Return the profile that a checked file describes."""
    return Profile(
        id=file.id,
        vendor=file.vendor,
        models=tuple(file.models),
        protocol=file.protocol,
        trust=file.trust,
        sources=tuple(file.sources),
        notes=(*file.notes, *(f"never write: {text}" for text in file.dangerous)),
        points=tuple(_point(entry, file) for entry in file.point),
        serial=None if file.serial is None else _serial(file.serial, file),
        update_s=file.update_s,
        max_registers=file.max_registers,
        pause_ms=file.pause_ms,
        forbidden=tuple((first, last + 1) for first, last in file.forbidden),
        vectors=tuple(_vector(entry) for entry in file.vector),
        origin=origin,
    )


def wrong_vectors(made: Profile) -> list[str]:
    """Return a sentence for each test vector that does not decode to what it promises."""
    return [text for vector in made.vectors if (text := _wrong(made, vector)) is not None]


def _wrong(made: Profile, vector: Vector) -> str | None:
    point = made.serial if vector.quantity == "serial" else {p.quantity: p for p in made.points}.get(vector.quantity)
    if point is None:
        return f"vector {vector.quantity}: the profile has no such point"
    if len(vector.words) != sum(part.count for part in point.parts):
        return f"vector {vector.quantity}: {len(vector.words)} words do not fit the point's type"
    if vector.quantity == "serial":
        text = decode.text(vector.words, point)
        return None if text == vector.text else f"vector serial: decodes to {text!r}, not {vector.text!r}"
    raw, value = _decoded(point, vector.words)
    if raw != vector.raw or value != vector.value:
        return f"vector {vector.quantity}: decodes to raw {raw}, value {value}; not {vector.raw}, {vector.value}"
    return None


def _decoded(point: Point, words: tuple[int, ...]) -> tuple[object, Fraction | None]:
    raws, start = [], 0
    for part in point.parts:
        raws.append(decode.part_raw(decode.packed(words[start : start + part.count]), part, point.na))
        start += part.count
    raw, value = decode.combine(point, raws)
    if raw is None or value is None:
        return None, None
    return raw, decode.exact_sum(point, raw if isinstance(raw, tuple) else (raw,))


def _point(entry: PointEntry, file: ProfileFile) -> Point:
    known = QUANTITIES[entry.quantity]
    mult = Fraction(entry.scale) * Fraction(10) ** UNITS[entry.unit][1]
    parts = tuple(_part(entry, address, file) for address in (entry.address or 0, *entry.plus))
    several = len(parts) > 1
    modulus = (entry.rollover or _natural(entry.type)) if known.kind == "register" else None
    return Point(
        quantity=entry.quantity,
        kind="register" if known.kind == "register" else "instantaneous",
        parts=parts,
        enc=_ENC.get(entry.type, "int"),
        mult=(mult,) * len(parts) if several else mult,
        mod=(modulus,) * len(parts) if several and modulus is not None else modulus,
        step=_resolution(entry, mult, len(parts)),
        na=_unavailable(entry, file.defaults),
        unit=entry.unit,
        node=entry.node,
    )


def _serial(entry: Place, file: ProfileFile) -> Point:
    part = _part(entry, entry.address or 0, file)
    return Point("serial", "instantaneous", (part,), "int", Fraction(1), na=_unavailable(entry, file.defaults),
                 node=entry.node)  # fmt: skip


def _part(entry: Place, address: int, file: ProfileFile) -> Part:
    return Part(
        address=address,
        count=WIDTHS.get(entry.type) or entry.registers or 1,
        function=entry.function or file.defaults.function or _DEFAULT_FUNCTION,
        type=entry.type,
        word_order=entry.word_order or file.defaults.word_order or "big",
        byte_order=entry.byte_order or file.defaults.byte_order or "big",
    )


def _natural(kind: str) -> int | None:
    for name, one in _NATURAL.items():
        if kind.startswith(name):
            return int(one ** WIDTHS[kind])
    return None


def _resolution(entry: PointEntry, mult: Fraction, parts: int) -> int | None:
    """Return the step in counts; of an integer one raw count, of a float only what the file declares."""
    if entry.resolution is not None:
        step = Fraction(entry.resolution) * Fraction(10) ** UNITS[entry.unit][1]
    elif entry.type in _ENC:
        return None
    else:
        step = mult
    return parts * -(-step.numerator // step.denominator)


def _unavailable(entry: Place, defaults: Defaults) -> frozenset[int]:
    if entry.unavailable is not None:
        return frozenset(entry.unavailable)
    bits = 16 * WIDTHS.get(entry.type, 0)
    if entry.type.startswith("uint") and defaults.unavailable_unsigned == "all-ones":
        return frozenset({(1 << bits) - 1})
    if entry.type.startswith("int") and defaults.unavailable_signed is not None:
        sign = 1 << (bits - 1)
        return frozenset({sign - 1 if defaults.unavailable_signed == "max-positive" else sign})
    return frozenset()


def _vector(entry: VectorEntry) -> Vector:
    return Vector(
        quantity=entry.quantity,
        words=tuple(entry.words),
        raw=tuple(entry.raw) if isinstance(entry.raw, list) else entry.raw,
        value=None if entry.value is None else Fraction(entry.value),
        text=entry.text,
        source=entry.source,
    )
