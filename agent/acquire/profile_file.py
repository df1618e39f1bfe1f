"""The form of a profile file, and the profile that is made of it. The tables are in `profile_entry`."""

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from agent.acquire.points import (
    WIDTHS,
    ClockRegisters,
    Model,
    Order,
    Part,
    Point,
    Profile,
    Recorder,
    ScaleForm,
    Trust,
    Vector,
)
from agent.acquire.profile_entry import (
    ENCODINGS,
    ORDERS,
    ClockEntry,
    Defaults,
    Layout,
    ModelEntry,
    Numbered,
    PartEntry,
    Place,
    PointEntry,
    RecorderEntry,
    ScaleEntry,
    SettingEntry,
    StampEntry,
    Strict,
    VectorEntry,
)
from shared.quantity import QUANTITIES, UNITS

_NATURAL = {"bcd": 10**4, "mod10k": 10**4}  # what one register holds, so that the modulus follows from the type
_NOT_IMPLEMENTED = 0x8000  # SunSpec: a scale factor that the device does not have
_FILE_RECORD = 20
_DEFAULT_FUNCTION = 3
#: Lists of a TOML file are no tuples, to a strict reader.
Span = Annotated[tuple[int, int], Field(strict=False)]
_LONG = 4  # registers of a value that has two halves


class ProfileFile(Strict):
    """The whole file."""

    schema_: Literal[1] = Field(alias="schema")
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")
    vendor: str
    models: list[str]
    class_: str = Field(default="", alias="class")
    protocol: Literal["modbus", "opcua"]
    trust: Trust
    sources: list[str] = Field(min_length=1)
    notes: list[str] = Field(default=[])
    dangerous: list[str] = Field(default=[], description="registers that change or clear the meter when written")
    update_s: float | None = Field(default=None, gt=0)
    max_registers: int = Field(default=125, ge=1, le=125)
    pause_ms: int = Field(default=0, ge=0, le=10_000)
    one_value: bool = Field(default=False, description="the meter answers one value a request")
    close_after_gather: bool = Field(default=False, description="it wants the connection closed after each round")
    discovery: Literal["sunspec"] | None = None
    forbidden: list[Span] = Field(default=[], description="first and last address of ranges that no request touches")
    defaults: Defaults = Defaults()
    serial: Place | None = None
    clock: ClockEntry | None = None
    recorder: RecorderEntry | None = None
    point: list[PointEntry] = Field(default=[])
    scale: list[ScaleEntry] = Field(default=[])
    setting: list[SettingEntry] = Field(default=[])
    model: list[ModelEntry] = Field(default=[])
    vector: list[VectorEntry] = Field(default=[])

    @model_validator(mode="after")
    def _has_points(self) -> Self:
        if (self.discovery is None) != bool(self.point) or bool(self.point) == bool(self.model):
            raise ValueError("a profile has either [[point]], or discovery and [[model]]")
        for points, scales in [(self.point, self.scale), *((one.point, one.scale) for one in self.model)]:
            known = {scale.name: scale.form for scale in scales}
            for point in points:
                _check_worth(point, known)
        return self


def _check_worth(point: PointEntry, scales: dict[str, ScaleForm]) -> None:
    """Refuse a point whose scale is not described, or a register that restarts nobody knows where."""
    if point.scaled_by is not None and point.scaled_by not in scales:
        raise ValueError(f"{point.quantity}: no [[scale]] {point.scaled_by!r}; known: {', '.join(scales) or 'none'}")
    told = point.scaled_by is not None and scales[point.scaled_by] == "eig_energy_format"
    if QUANTITIES[point.quantity].kind == "register" and point.rollover is None and not told:
        narrow = point.type.startswith(("int", "uint", "abs")) and WIDTHS[point.type] < 4
        if narrow:
            raise ValueError(f"{point.quantity}: a register of type {point.type} needs rollover = raw counts")


def profile(file: ProfileFile, origin: str) -> Profile:
    """Return the profile that a checked file describes."""
    maps = tuple(_model(number, entry, file) for entry in file.model for number in entry.ids)
    return Profile(
        id=file.id,
        vendor=file.vendor,
        models=tuple(file.models),
        protocol=file.protocol,
        trust=file.trust,
        sources=tuple(file.sources),
        notes=(*file.notes, *(f"never write: {text}" for text in file.dangerous)),
        points=_points(file.point, file.scale, file) if file.point else _union(maps),
        serial=None if file.serial is None else _serial(file.serial, file),
        update_s=file.update_s,
        max_registers=file.max_registers,
        pause_ms=file.pause_ms,
        forbidden=tuple((first, last + 1) for first, last in file.forbidden),
        vectors=tuple(_vector(entry) for entry in file.vector),
        origin=origin,
        scales=tuple(_scale(entry, file) for entry in file.scale),
        settings=tuple(_setting(entry, file) for entry in file.setting),
        clock=None if file.clock is None else _clock(file.clock, file),
        one_value=file.one_value,
        close_after_gather=file.close_after_gather,
        discovery=file.discovery,
        maps=maps,
        recorder=None if file.recorder is None else _recorder(file.recorder, file),
    )


def _points(entries: list[PointEntry], scales: list[ScaleEntry], file: ProfileFile) -> tuple[Point, ...]:
    forms = {scale.name: scale.form for scale in scales}
    return tuple(replace(_point(entry, file), form=forms.get(entry.scaled_by or "")) for entry in entries)


def _model(number: int, entry: ModelEntry, file: ProfileFile) -> Model:
    return Model(
        number,
        _points(entry.point, entry.scale, file),
        tuple(_scale(scale, file) for scale in entry.scale),
        None if entry.serial is None else _serial(entry.serial, file),
    )


def _union(maps: tuple[Model, ...]) -> tuple[Point, ...]:
    """Return one point for each quantity that a device may have, as its best model describes it."""
    found: dict[str, Point] = {}
    for one in maps:
        for point in one.points:
            found.setdefault(point.quantity, point)
    return tuple(found.values())


def _point(entry: PointEntry, file: ProfileFile) -> Point:
    known = QUANTITIES[entry.quantity]
    several = bool(entry.plus)
    others = [_as_part(one) for one in entry.plus]
    parts = (_part(entry, entry.type, entry.registers, file), *(_further(one, entry, file) for one in others))
    all_parts: list[PointEntry | PartEntry] = [entry, *others]
    mults = tuple(_worth(one.scale or entry.scale, one.unit or entry.unit) for one in all_parts)
    register = known.kind == "register"
    mods = _moduli(entry, all_parts) if register else None
    return Point(
        quantity=entry.quantity,
        kind="register" if register else "instantaneous",
        parts=parts,
        enc=ENCODINGS.get(entry.type, "int"),
        mult=mults if several else mults[0],
        mod=mods if mods is None or several else mods[0],
        step=None if entry.scaled_by else _resolution(entry, mults),
        na=_unavailable(entry, file.defaults),
        unit=entry.unit,
        node=entry.node,
        scaled_by=entry.scaled_by,
        offset=_worth(entry.offset or "0", entry.unit),
        resettable=entry.resettable,
        confidence=entry.confidence,
    )


def _moduli(entry: PointEntry, parts: list[PointEntry | PartEntry]) -> tuple[int, ...] | None:
    """Return where each part starts again; None where that is not known of all."""
    found = [one.rollover or entry.rollover or _natural(one.type or entry.type) for one in parts]
    known = tuple(one for one in found if one is not None)
    return known if len(known) == len(found) else None


def _worth(amount: str, unit: str) -> Fraction:
    return Fraction(amount) * Fraction(10) ** UNITS[unit][1]


def _as_part(one: int | PartEntry) -> PartEntry:
    return one if isinstance(one, PartEntry) else PartEntry(address=one, doc_address=one)


def _further(one: PartEntry, first: Place, file: ProfileFile) -> Part:
    """Return a further part: what it does not say is as in the first."""
    own = one.order is not None or one.word_order is not None or one.byte_order is not None
    layout = (one.word_order, one.byte_order, one.order) if own else (first.word_order, first.byte_order, first.order)
    names = dict(zip(("word_order", "byte_order", "order"), layout, strict=True))
    placed = one.model_copy(update=names | {"function": one.function or first.function})
    return _part(placed, one.type or first.type, first.registers, file)


def _serial(entry: Place, file: ProfileFile) -> Point:
    part = _part(entry, entry.type, entry.registers, file)
    return Point("serial", "instantaneous", (part,), "int", Fraction(1), na=_unavailable(entry, file.defaults),
                 node=entry.node, confidence=entry.confidence)  # fmt: skip


def _scale(entry: ScaleEntry, file: ProfileFile) -> Point:
    part = _part(entry, entry.type, entry.registers, file)
    absent = frozenset({_NOT_IMPLEMENTED}) if entry.form == "power10" else _unavailable(entry, file.defaults)
    return Point(entry.name, "scale", (part,), "int", Fraction(1), na=absent, node=entry.node, form=entry.form)


def _setting(entry: SettingEntry, file: ProfileFile) -> Point:
    others = [_as_part(one) for one in entry.times]
    parts = (_part(entry, entry.type, entry.registers, file), *(_further(one, entry, file) for one in others))
    mults = (Fraction(entry.scale), *(Fraction(one.scale or "1") for one in others))
    return Point(
        entry.name, "setting", parts, ENCODINGS.get(entry.type, "int"), mults if others else mults[0],
        na=_unavailable(entry, file.defaults), node=entry.node, product=bool(others), confidence=entry.confidence,
    )  # fmt: skip


def _clock(entry: ClockEntry | StampEntry, file: ProfileFile) -> ClockRegisters:
    count = ClockEntry(address=0, form=entry.form, zone=entry.zone).registers
    return ClockRegisters(_part(entry, "words", count, file), entry.form, entry.zone)


def _recorder(entry: RecorderEntry, file: ProfileFile) -> Recorder:
    newest = None if entry.newest is None else replace(_serial(entry.newest, file), quantity="newest")
    return Recorder(
        form=entry.form,
        function=_FILE_RECORD if entry.form == "file" else entry.function,
        address=entry.address,
        entries=entry.entries,
        registers=entry.registers,
        stamp=_clock(entry.stamp, file),
        stamp_marks=entry.stamp.marks,
        channels=_points(entry.channel, [], file),
        interval_s=entry.interval_s,
        newest=newest,
        file=entry.file,
        holds=entry.holds,
    )


def _part(entry: Numbered, kind: str, registers: int | None, file: ProfileFile) -> Part:
    count = WIDTHS.get(kind) or registers or 1
    # Text and dates stand in the order of the registers, whatever the order of the words of numbers.
    word_order, byte_order, half_order = _order(entry, file.defaults if kind in WIDTHS else Defaults(), count)
    return Part(
        address=entry.address or 0,
        count=count,
        function=entry.function or file.defaults.function or _DEFAULT_FUNCTION,
        type=kind,
        word_order=word_order,
        byte_order=byte_order,
        half_order=half_order,
        bits=entry.bits,
    )


def _order(entry: Layout, defaults: Layout, count: int) -> tuple[Order, Order, Order | None]:
    """Return word, byte and half order: by the entry's name, its words, or the file's defaults."""
    if entry.order is not None:
        if len(entry.order) != 2 * count:
            raise ValueError(f"order {entry.order} has {len(entry.order)} bytes, the value {2 * count}")
        return ORDERS[entry.order]
    word, byte, half = ORDERS[defaults.order] if defaults.order else (defaults.word_order, defaults.byte_order, None)
    return entry.word_order or word or "big", entry.byte_order or byte or "big", half if count == _LONG else None


def _natural(kind: str) -> int | None:
    for name, one in _NATURAL.items():
        if kind.startswith(name):
            return int(one ** WIDTHS[kind])
    return None


def _resolution(entry: PointEntry, mults: tuple[Fraction, ...]) -> int | None:
    """Return the step in counts; of an integer one raw count, of a float only what the file declares."""
    if entry.resolution is not None:
        steps = (_worth(entry.resolution, entry.unit),) * len(mults)
    elif entry.type in ENCODINGS:
        return None
    else:
        steps = mults
    return sum(-(-abs(step.numerator) // step.denominator) for step in steps)


def _unavailable(entry: Place, defaults: Defaults) -> frozenset[int]:
    if entry.unavailable is not None:
        return frozenset(entry.unavailable)
    bits = 16 * WIDTHS.get(entry.type, 0)
    if entry.type.startswith("uint") and defaults.unavailable_unsigned == "all-ones":
        return frozenset({(1 << bits) - 1})
    if entry.type.startswith(("int", "abs")) and defaults.unavailable_signed is not None:
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
        scale=entry.scale,
        model=entry.model,
    )
