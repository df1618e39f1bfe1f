"""Which way of reading some registers gives the number that a meter's display shows. Pure.

All types, orders and powers of ten are tried. The digits that were written say how exact the number is: 184223.4 is
meant to a tenth, 184e3 to a thousand.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction

from agent.acquire import decode
from agent.acquire.points import WIDTHS, Part, Profile
from agent.acquire.profile_entry import ENCODINGS, ORDERS
from shared.errors import ConfigError
from shared.quantity import QUANTITIES, UNITS

_TENS = range(-9, 10)
_STRAIGHT = ("AB", "ABCD", "ABCDEF", "ABCDEFGH")
_COMMON = ("float32", "uint32", "int32", "uint64", "int64", "float64", "uint16", "int16")
_PREFIXES = {-3: "m", 0: "", 3: "k", 6: "M"}
_FEW_DIGITS = 3
_NEAR = 4  # registers, within which a profile's point is taken for the one that is sought
_REGISTERS = 1 << 16
_PRINTED = range(30_001, 50_000)

Span = tuple[int, int, Sequence[int]]  # function, address of the first, words


@dataclass(frozen=True, slots=True)
class Expected:
    """A number as a display shows it."""

    number: Fraction
    within: Fraction  # one of its last digit
    digits: int


@dataclass(frozen=True, slots=True)
class Hit:
    """One way of reading that gives the number."""

    function: int
    address: int
    type: str
    order: str  # a name of `ORDERS`
    tens: int  # the raw number times ten to this is the number
    words: tuple[int, ...]
    shows: Fraction


def expected(text: str) -> Expected:
    """Return the number that a person read off a display.

    Raises:
        ConfigError: it is none, or zero.

    Examples:
        >>> expected("184223.4").within, expected("184e3").within
        (Fraction(1, 10), Fraction(1000, 1))
    """
    try:
        number = Decimal(text.replace(" ", ""))
    except InvalidOperation:
        raise ConfigError(f"--expect {text!r}: write a number with a point, as the display shows it") from None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or not number:
        raise ConfigError(f"--expect {text!r}: 0 stands in many registers; wait until there is something to compare")
    return Expected(Fraction(number), Fraction(10) ** exponent, len(number.as_tuple().digits))


def doubts(wanted: Expected, found: Sequence[Hit]) -> list[str]:
    """Return what a person should know before believing a hit."""
    notes = []
    if wanted.digits < _FEW_DIGITS:
        notes.append(f"only {wanted.digits} digits: registers fit by chance; write all that the display shows")
    if len(found) > 1:
        notes.append(f"{len(found)} ways fit now; those that still fit when the number has moved are right")
    return notes


def hits(spans: Sequence[Span], near: int, wanted: Expected, profile: Profile) -> list[Hit]:
    """Return the ways of reading that give the number, the likeliest first.

    Args:
        spans: What was read.
        near: The address that a document or profile names; only it and its neighbours begin a number.
        wanted: What the display shows.
        profile: What is thought of the meter: the function that it uses is the likelier one.
    """
    usual = {part.function for point in profile.points for part in point.parts}
    found = {
        (one.function, one.address, one.type, one.order): one
        for function, first, words in spans
        for one in _hits(function, first, words, near, wanted)
    }
    return sorted(found.values(), key=lambda one: _rank(one, near, one.function in usual))


def _rank(one: Hit, near: int, usual: bool) -> tuple[object, ...]:  # noqa: FBT001 - a sort key
    commonness = _COMMON.index(one.type) if one.type in _COMMON else len(_COMMON)
    straight = _STRAIGHT.index(one.order) if one.order in _STRAIGHT else len(_STRAIGHT)
    place = (abs(one.address - near), not usual)
    return (one.type not in _COMMON, *place, one.order not in _STRAIGHT, abs(one.tens), commonness, straight)


def _hits(function: int, first: int, words: Sequence[int], near: int, wanted: Expected) -> Iterator[Hit]:
    for address in (near - 1, near, near + 1):
        for kind, width in WIDTHS.items():
            own = tuple(words[address - first : address - first + width]) if address >= first else ()
            if len(own) == width:
                yield from _read(function, address, kind, own, wanted)


def _read(function: int, address: int, kind: str, words: tuple[int, ...], wanted: Expected) -> Iterator[Hit]:
    block = decode.packed(words)
    for order, (word_order, byte_order, half_order) in ORDERS.items():
        if len(order) != 2 * len(words) or (kind.startswith("mod10k") and byte_order == "little"):
            continue
        part = Part(0, len(words), function, kind, word_order, byte_order, half_order)
        raw = decode.part_raw(block, part, frozenset())
        value = None if raw is None or _is_twin(kind, block, part) else decode.exact(raw, ENCODINGS.get(kind, "int"))
        tens = None if not value else _tens(value, wanted)
        if value and tens is not None:
            yield Hit(function, address, kind, order, tens, words, value * Fraction(10) ** tens)


def _is_twin(kind: str, block: bytes, part: Part) -> bool:
    """Return whether another type gives the same: a signed one of a number without its sign bit."""
    signed = kind.startswith(("int", "abs"))
    return signed and not decode.pattern(block, part) >> (16 * part.count - 1)


def _tens(value: Fraction, wanted: Expected) -> int | None:
    """Return the power of ten that makes a value the number; the smallest of several."""
    fitting = [tens for tens in _TENS if abs(value * Fraction(10) ** tens - wanted.number) <= wanted.within]
    return min(fitting, key=abs, default=None)


def point_lines(hit: Hit, near: int, unit: str, profile: Profile) -> list[str]:
    """Return the table of a profile that reads so.

    Args:
        hit: The way of reading.
        near: The address that was asked for.
        unit: Of the number that was expected, as `kWh`.
        profile: The meter's; it says which quantity stands there.
    """
    counted, scale = _worth(unit, hit.tens)
    lines = ["[[point]]", f'quantity = "{_quantity(profile, near, unit)}"', f"address = {hit.address}"]
    if hit.address in _PRINTED:
        lines.append(f"doc_address = {hit.address}")
    lines += [f"function = {hit.function}", f'type = "{hit.type}"']
    lines += [] if hit.order in _STRAIGHT else [f'order = "{hit.order}"']
    lines.append(f'unit = "{counted}"')
    return lines if scale is None else [*lines, f'scale = "{scale}"']


def _worth(unit: str, tens: int) -> tuple[str, str | None]:
    """Return unit and scale of one raw count: a prefix where there is one, else a decimal number."""
    powers: Mapping[str, int] = {name: ten for name, (_, ten) in UNITS.items()}
    for name, ten in powers.items():
        if UNITS[name][0] == UNITS[unit][0] and ten == powers[unit] + tens and name:
            return name, None
    return unit, format(Decimal(1).scaleb(tens), "f")


def _quantity(profile: Profile, address: int, unit: str) -> str:
    """Return the quantity of that unit that the profile has near an address, else the first that there is."""
    counted = UNITS[unit][0]
    places = [
        (abs(part.address - address), point.quantity)
        for point in profile.points
        for part in point.parts
        if abs(part.address - address) <= _NEAR and QUANTITIES[point.quantity].unit == counted
    ]
    return min(places)[1] if places else next(name for name, one in QUANTITIES.items() if one.unit == counted)


def address(text: str) -> int:
    """Return a register address.

    Raises:
        ConfigError: it is none on the wire.

    Examples:
        >>> address("3204"), address("0x0C84")
        (3204, 3204)
    """
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number < _REGISTERS:
        raise ConfigError(f"--address {text!r}: write a wire address, 0 to 65535 (400001 is 0 of function 3)")
    return number


def known_unit(unit: str) -> str:
    """Return the unit.

    Raises:
        ConfigError: profiles do not know it.
    """
    if unit not in UNITS:
        raise ConfigError(f"--unit {unit!r}: no such unit; known: {', '.join(name for name in UNITS if name)}")
    return unit
