"""JSON as the wire has it: no floats, no duplicate keys, key order kept, large integers as text (WIRE.md section 1)."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from shared.errors import Malformed

#: Largest integer that every JSON reader keeps exact (RFC 8259 section 6, I-JSON).
SAFE = 2**53 - 1
_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def dumps(value: object) -> str:
    """Return compact JSON; integers beyond +-(2^53-1) become decimal strings.

    >>> dumps({"a": 2**53, "b": [1, None]})
    '{"a":"9007199254740992","b":[1,null]}'
    """
    return _ENCODER.encode(value if _is_plain(value) else _wire(value))


def _is_plain(value: object) -> bool:
    """Return whether JSON can be written as the values stand: so it is of nearly all, and quicker seen than redone."""
    left = [value]
    for one in left:  # it grows on the way
        kind = type(one)
        if kind is int or isinstance(one, int):
            if not -SAFE <= one <= SAFE:  # type: ignore[operator] # it is an integer
                return False
        elif kind is list or kind is tuple:
            left += one  # type: ignore[arg-type] # it is a sequence
        elif kind is dict:
            left += one.values()  # type: ignore[attr-defined] # it is a mapping
        elif one is not None and not isinstance(one, str):
            return False
    return True


def _wire(value: object) -> object:
    if isinstance(value, int):
        return value if -SAFE <= value <= SAFE else str(value)
    if isinstance(value, dict):
        return {key: _wire(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(item) for item in value]
    if isinstance(value, float):
        raise TypeError("a float has no place on the wire")
    return value


def loads(text: str | bytes) -> Any:  # noqa: ANN401 - JSON has no narrower type; readers check each field
    """Return what the text holds.

    Raises:
        Malformed: it is no JSON, or has a float, a duplicate key or too deep a nesting.
    """
    try:
        return json.loads(text, object_pairs_hook=_object, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON as the wire has it: {str(error)[:120]}") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Malformed("an object has a key twice")
    return members


def _no_float(text: str) -> NoReturn:
    raise Malformed(f"a number is not an integer: {text[:40]}")


def integer(value: object, where: str) -> int:
    """Return an integer as the wire writes it.

    Raises:
        Malformed: not an integer, or text for one that fits a JSON number.
    """
    if type(value) is int and -SAFE <= value <= SAFE:
        return value
    if isinstance(value, str) and len(value) <= 80 and value.removeprefix("-").isdecimal() and value.isascii():
        number = int(value)
        if abs(number) > SAFE and str(number) == value:
            return number
    raise Malformed(f"{where}: not an integer as the wire writes it")


def integers(entries: list[Any], where: str) -> tuple[int, ...]:
    """Return a list of integers; as `integer` for each, without a call where all are plain.

    Raises:
        Malformed: one is not an integer as the wire writes it.
    """
    for one in entries:
        if type(one) is not int or not -SAFE <= one <= SAFE:
            return tuple(integer(each, where) for each in entries)
    return tuple(entries)


def optionals(entries: list[Any], where: str) -> tuple[int | None, ...]:
    """Return a list of integers and nulls.

    Raises:
        Malformed: one is neither.
    """
    if None not in entries:
        return integers(entries, where)
    return tuple(None if one is None else integer(one, where) for one in entries)


def members(value: object, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return an object that has exactly these keys, in this order.

    Raises:
        Malformed: it has others, or another order.
    """
    if not isinstance(value, dict):
        raise Malformed(f"{where}: not an object")
    if tuple(value) != keys:
        raise Malformed(f"{where}: keys are {_short(value)}, not {_short(keys)}")
    return value


def text(value: object, where: str, limit: int = 1024) -> str:
    """Return a text of at most so many characters.

    Raises:
        Malformed: it is none.
    """
    if isinstance(value, str) and len(value) <= limit:
        return value
    raise Malformed(f"{where}: not a text of at most {limit} characters")


def array(value: object, where: str) -> list[Any]:
    """Return a list.

    Raises:
        Malformed: it is none.
    """
    if isinstance(value, list):
        return value
    raise Malformed(f"{where}: not an array")


def _short(keys: Iterable[str]) -> str:
    return ", ".join(keys)[:200]
