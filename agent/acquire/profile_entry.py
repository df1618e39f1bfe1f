"""The tables of a profile file: where numbers stand and what they are. A border: nothing in the file is believed.

Numbers that must be exact are text; addresses count from 0 as on the wire; names of settings are a closed list.
"""

from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from agent.acquire.decode_clock import CLOCK_WORDS
from agent.acquire.points import WIDTHS, ClockForm, Confidence, Enc, Order, ScaleForm
from shared.quantity import QUANTITIES, UNITS

Word = Annotated[int, Field(ge=0, le=0xFFFF)]
#: Raw encoding of each type that is no integer.
ENCODINGS: dict[str, Enc] = {"float32": "f32", "float64": "f64"}
#: What a setting may be called: the unit of a number is in its name.
SETTINGS = frozenset({
    "ct_primary_A", "ct_secondary_A", "vt_primary_V", "vt_secondary_V", "ct_ratio", "vt_ratio", "parameter_counter",
    "revenue_lock", "revenue_switch", "active_tariff", "wiring_system", "demand_period_min", "firmware", "model_code",
    "meter_name",
})  # fmt: skip
#: Order of bytes as makers write it, A the most significant: word order, byte order, which half of four words is first.
ORDERS: dict[str, tuple[Order, Order, Order | None]] = {
    "AB": ("big", "big", None), "BA": ("big", "little", None),
    "ABCD": ("big", "big", None), "CDAB": ("little", "big", None),
    "BADC": ("big", "little", None), "DCBA": ("little", "little", None),
    "ABCDEF": ("big", "big", None), "EFCDAB": ("little", "big", None),
    "BADCFE": ("big", "little", None), "FEDCBA": ("little", "little", None),
    "ABCDEFGH": ("big", "big", None), "GHEFCDAB": ("little", "big", None),
    "BADCFEHG": ("big", "little", None), "HGFEDCBA": ("little", "little", None),
    "CDABGHEF": ("little", "big", "big"), "DCBAHGFE": ("little", "little", "big"),
    "EFGHABCD": ("big", "big", "little"), "FEHGBADC": ("big", "little", "little"),
}  # fmt: skip
#: Numbers as documents print them: entity 3 or 4, then a count from 1 (Modbus Application Protocol V1.1b3 section 4.4
#: counts from 0 on the wire).
_PRINTED = (range(30_001, 40_000), range(40_001, 50_000))


class Strict(BaseModel):
    """A table without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


def fraction(text: str) -> str:
    """Return a text that is an exact number; ValueError when it is none."""
    try:
        Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f'{text!r} is no exact number; write it as text, as "0.01" or "1/64"') from None
    return text


class Layout(Strict):
    """How numbers stand in registers; a point may differ from the file's defaults."""

    function: Literal[3, 4] | None = None
    word_order: Order | None = None
    byte_order: Order | None = None
    order: str | None = Field(default=None, description="order of bytes by name, as CDAB, in place of the two above")

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.order is None:
            return self
        if self.order not in ORDERS:
            raise ValueError(f"no order {self.order!r}; known: {', '.join(ORDERS)}")
        if self.word_order is not None or self.byte_order is not None:
            raise ValueError("give either order, or word_order and byte_order")
        return self


class Numbered(Layout):
    """Where one number stands, and which of its bits."""

    address: int | None = None
    doc_address: int | str | None = Field(default=None, description="the number as the document prints it")
    bits: tuple[int, int] | None = Field(default=None, strict=False, description="lowest bit, how many")

    @model_validator(mode="after")
    def _on_the_wire(self) -> Self:
        if self.address is None:
            return self
        if not 0 <= self.address <= 0xFFFF:
            raise ValueError(
                f"{self.address} is no wire address (0 to 65535); 4xxxxx numbers count from 400001: subtract it"
            )
        if self.doc_address is None and any(self.address in printed for printed in _PRINTED):
            first = self.address // 10_000 * 10_000 + 1
            raise ValueError(
                f"{self.address} looks like a printed number, which counts from {first}: the wire address is then"
                f" {self.address - first}; if it is on the wire as it stands, say doc_address = the printed number"
            )
        return self


class PartEntry(Numbered):
    """A further part of a sum or of a product, where it differs from the first."""

    address: int
    type: str | None = None
    unit: str | None = None
    scale: str | None = None
    rollover: int | None = Field(default=None, gt=0)


class Place(Numbered):
    """Where one value stands."""

    node: str | None = None
    type: str
    registers: int | None = Field(default=None, ge=1, le=125, description="of an ascii text")
    unavailable: list[int] | None = Field(default=None, description="bit patterns that say: not available")
    note: str = ""
    agree: int | None = Field(default=None, ge=1, description="independent sources that say the same")
    confidence: Confidence | None = None

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
        width = 16 * (WIDTHS.get(self.type) or self.registers or 1)
        if self.bits is not None and (min(self.bits) < 0 or self.bits[1] < 1 or sum(self.bits) > width):
            raise ValueError(f"bits {list(self.bits)} are not within {width}; give the lowest bit and how many")
        if self.type == "ascii" and any(number % 8 for number in self.bits or ()):
            raise ValueError(f"bits {list(self.bits or ())} cut through a character; give multiples of 8")
        return self


class PointEntry(Place):
    """One quantity."""

    quantity: str
    unit: str
    scale: str = "1"
    scaled_by: str | None = Field(default=None, description="name of a [[scale]]")
    offset: str | None = Field(default=None, description="added to an instantaneous value, in `unit`")
    plus: list[int | PartEntry] = Field(default=[], description="addresses of further parts, to be summed")
    rollover: int | None = Field(default=None, gt=0, description="raw counts at which each part starts again")
    resolution: str | None = Field(default=None, description="smallest step, in `unit`")
    resettable: bool = Field(default=False, description="anybody at the meter can clear it")

    @field_validator("scale", "resolution", "offset")
    @classmethod
    def _exact(cls, text: str | None) -> str | None:
        return text if text is None else fraction(text)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        known = QUANTITIES.get(self.quantity)
        if known is None or known.kind == "statistic":
            raise ValueError(f"no quantity {self.quantity!r}")
        for unit in (self.unit, *(one.unit for one in self._parts() if one.unit is not None)):
            if UNITS.get(unit, ("",))[0] != known.unit:
                raise ValueError(f"{self.quantity} counts {known.unit}; unit {unit!r} does not fit")
        worth = Fraction(self.scale)  # of a power it may be negative: some devices count what they give as positive
        if worth == 0 or (worth < 0 and known.kind == "register"):
            raise ValueError(f"scale {self.scale} is not positive; direction is set in the site file")
        if known.kind == "register" and self.offset is not None:
            raise ValueError("a register has no offset: its advance would not change, its display would")
        return self

    @model_validator(mode="after")
    def _sums(self) -> Self:
        for one in self._parts():
            if one.type is not None and (one.type not in WIDTHS or _encoding(one.type) != _encoding(self.type)):
                raise ValueError(f"{one.type} and {self.type} cannot be parts of one sum")
        return self

    def _parts(self) -> list[PartEntry]:
        return [one for one in self.plus if isinstance(one, PartEntry)]


def _encoding(kind: str) -> Enc:
    return ENCODINGS.get(kind, "int")


class ScaleEntry(Place):
    """A register that says what others are worth."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,31}$")
    form: ScaleForm


class SettingEntry(Place):
    """How the meter is set."""

    name: str
    scale: str = "1"
    times: list[int | PartEntry] = Field(default=[], description="addresses of further factors")

    _exact = field_validator("scale")(fraction)

    @field_validator("name")
    @classmethod
    def _listed(cls, name: str) -> str:
        if name not in SETTINGS:
            raise ValueError(f"no setting {name!r}; known: {', '.join(sorted(SETTINGS))}")
        return name


class ClockEntry(Numbered):
    """Where the meter shows its clock."""

    address: int
    form: ClockForm
    zone: Literal["utc", "local"]
    note: str = ""

    @property
    def registers(self) -> int:
        """Return how many registers it takes."""
        return CLOCK_WORDS[self.form]


class StampEntry(Numbered):
    """Where an entry of a recorder has its time stamp, from the entry's first register."""

    address: int
    form: ClockForm
    zone: Literal["utc", "local"]
    marks: Literal["start", "end"] = "end"


class RecorderEntry(Strict):
    """The meter's own load profile; addresses of `stamp` and `channel` count from an entry's first register."""

    form: Literal["block", "file"]
    function: Literal[3, 4] = 3
    address: int = Field(ge=0, le=0xFFFF, description="first register, or first record of the file")
    file: int | None = Field(default=None, ge=1, le=0xFFFF)
    entries: int = Field(ge=1, le=100_000)
    registers: int = Field(ge=2, le=125, description="of one entry")
    interval_s: int | None = Field(default=None, gt=0)
    holds: Literal["registers", "energies"] = "registers"
    newest: Place | None = None
    stamp: StampEntry
    channel: list[PointEntry] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.form == "file") != (self.file is not None):
            raise ValueError("a recorder of form file, and no other, has file = its number")
        spans = [(one.address or 0, WIDTHS.get(one.type) or 1) for one in self.channel]
        spans.append((self.stamp.address, CLOCK_WORDS[self.stamp.form]))
        if any(first + width > self.registers for first, width in spans):
            raise ValueError(f"an entry has {self.registers} registers; a time stamp or channel lies beyond")
        return self


class ModelEntry(Strict):
    """What stands in the models of these identifiers; addresses count from the model's first register."""

    ids: list[int] = Field(min_length=1)
    note: str = ""
    point: list[PointEntry] = []
    scale: list[ScaleEntry] = []
    serial: Place | None = None


class VectorEntry(Strict):
    """Literal words and what they mean."""

    quantity: str
    words: list[Word]
    raw: int | list[int] | None = None
    value: str | None = None
    text: str | None = None
    scale: int | None = Field(default=None, description="raw value of the point's scale")
    model: int | None = None
    source: str = Field(min_length=1, description="where the words are from, or how they are derived by hand")


class Defaults(Layout):
    """What holds for every point that does not say otherwise."""

    unavailable_unsigned: Literal["all-ones"] | None = None
    unavailable_signed: Literal["max-positive", "min-negative"] | None = None
