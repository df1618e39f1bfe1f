"""What an OPC UA answer is worth: status, source stamp, raw register. No I/O.

Rules: Good is a value; Uncertain is a value that is marked; Bad, and the severity that OPC 10000-4 section 7.39.1
reserves, is None, never the last value; a source stamp is passed on as it came; an answer of another type than the
profile's is refused, not converted.
"""

import math
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from asyncua import ua

from agent.acquire.points import Point, Setting

Node = tuple[str, str]  # meter, quantity

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FLOATS = {ua.VariantType.Float, ua.VariantType.Double}
_INTEGERS = {
    ua.VariantType.SByte, ua.VariantType.Byte, ua.VariantType.Int16, ua.VariantType.UInt16, ua.VariantType.Int32,
    ua.VariantType.UInt32, ua.VariantType.Int64, ua.VariantType.UInt64,
}  # fmt: skip
_TEXTS = {ua.VariantType.String, ua.VariantType.LocalizedText}


def code(answer: ua.DataValue) -> int:
    """Return the raw StatusCode; an absent one is Good (OPC 10000-6 section 5.2.2.17)."""
    return 0 if answer.StatusCode is None else int(answer.StatusCode.value)


def name(status: int) -> str:
    """Return the name of a StatusCode, with its number."""
    return f"{ua.StatusCode(ua.UInt32(status)).name} 0x{status:08X}"


def is_bad(status: int) -> bool:
    """Return whether a StatusCode says that there is no value."""
    return bool(status >> 31)


def is_uncertain(status: int) -> bool:
    """Return whether a StatusCode says that the value may be wrong."""
    return status >> 30 == 1


def microseconds(stamp: datetime) -> int:
    """Return an instant as UTC. [us since the epoch]"""
    return ((stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND


def instant(at_us: int) -> datetime:
    """Return UTC in us since the epoch as asyncua writes it."""
    return _EPOCH + at_us * _MICROSECOND


def stamp(answer: ua.DataValue) -> int | None:
    """Return the source's own stamp [UTC us]; None where it gave none."""
    return None if answer.SourceTimestamp is None else microseconds(answer.SourceTimestamp)


def held(answer: ua.DataValue) -> ua.Variant | None:
    """Return the value of an answer that is not Bad."""
    if is_bad(code(answer)) or answer.Value is None or answer.Value.Value is None:
        return None
    return answer.Value


def misfit(answer: ua.DataValue, point: Point) -> str | None:
    """Return how an answer does not fit the profile; None where it fits or holds nothing."""
    variant = held(answer)
    if variant is None or (not variant.is_array and variant.VariantType in _kinds(point)):
        return None
    array = "an array of " if variant.is_array else ""
    return (
        f"{point.quantity} is {array}of type {variant.VariantType.name}, the profile says {point.parts[0].type};"
        " use a profile with that type"
    )


def _kinds(point: Point) -> set[ua.VariantType]:
    if point.enc == "int":
        return _INTEGERS
    return _FLOATS if point.enc == "f64" else {ua.VariantType.Float}  # a Float is a Double without loss


def raw(answer: ua.DataValue, point: Point) -> int | None:
    """Return the raw integer in the point's encoding; None for a Bad, absent or misfitting value."""
    variant = held(answer)
    if variant is None or misfit(answer, point) is not None:
        return None
    if point.enc == "int":
        return None if variant.Value in point.na else int(variant.Value)
    return int.from_bytes(struct.pack(">f" if point.enc == "f32" else ">d", variant.Value), "big")


def text(answer: ua.DataValue) -> str | None:
    """Return a value as text: a serial number stands there as text or as a number."""
    variant = held(answer)
    if variant is None or variant.is_array:
        return None
    plain = variant.Value.Text if isinstance(variant.Value, ua.LocalizedText) else variant.Value
    return str(plain).strip() or None if plain is not None else None


def setting(answer: ua.DataValue, point: Point) -> Setting | None:
    """Return what a meter says of how it is set: a number in the unit of its name, or a text."""
    variant = held(answer)
    if variant is None or variant.is_array:
        return None
    if variant.VariantType in _TEXTS:
        return text(answer)
    if variant.VariantType not in _INTEGERS | _FLOATS or variant.Value in point.na:
        return None
    try:
        return Fraction(variant.Value) * point.mults[0]
    except (ValueError, OverflowError):  # NaN, infinity
        return None


def same(one: ua.DataValue, other: ua.DataValue) -> bool:
    """Return whether two answers say the same, value and status; stamps aside."""
    left, right = held(one), held(other)
    if code(one) != code(other) or (left is None) != (right is None):
        return False
    if left is None or right is None:
        return True
    return bool(left.Value == right.Value) or (_is_nan(left.Value) and _is_nan(right.Value))


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


class Stamps:
    """Tells a source that goes backwards in time, for each node of a session.

    A server that falls back to a stale source shows older stamps. Such a value is not fresh. A source whose clock was
    set back shows older stamps, too, but then runs on: its second stamp after the step is believed again.
    """

    def __init__(self) -> None:
        self._highest: dict[Node, int] = {}
        self._last: dict[Node, int] = {}

    def fresh(self, node: Node, told: int | None) -> bool:
        """Return whether a value with that source stamp [UTC us] may count as new; without a stamp it may."""
        if told is None:
            return True
        last, highest = self._last.get(node, told), self._highest.get(node, told)
        self._last[node] = told
        if told < highest and told <= last:
            return False
        self._highest[node] = told
        return True


def stamps(answers: Mapping[str, ua.DataValue]) -> dict[str, int]:
    """Return the source stamp of each quantity that has one. [UTC us]"""
    return {quantity: told for quantity, answer in answers.items() if (told := stamp(answer)) is not None}
