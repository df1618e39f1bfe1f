"""Test vectors of a profile: literal words, decoded and compared before the profile is used. Pure."""

from collections.abc import Iterable
from fractions import Fraction

from agent.acquire import decode
from agent.acquire.points import Model, Point, Profile, Raw, Vector

_US = 1_000_000


def wrong_vectors(made: Profile) -> list[str]:
    """Return a sentence for each test vector that does not decode to what it promises."""
    return [f"vector {one.quantity}: {text}" for one in made.vectors if (text := _wrong(made, one)) is not None]


def _wrong(made: Profile, vector: Vector) -> str | None:
    if vector.quantity == "clock":
        return _wrong_clock(made, vector)
    point = _point(made, vector)
    if point is None:
        return "the profile has no such point"
    if len(vector.words) != sum(part.count for part in point.parts):
        return f"{len(vector.words)} words do not fit the point's type"
    if vector.quantity == "serial":
        return _differs(decode.text(vector.words, point), vector.text)
    if point.kind == "setting":
        expected = vector.value if vector.text is None else vector.text
        return _differs(decode.setting(vector.words, point), expected)
    return _wrong_number(point, vector)


def _point(made: Profile, vector: Vector) -> Point | None:
    """Return the point that a vector is about, from its model where it names one."""
    models: list[Profile | Model] = [one for one in made.maps if vector.model in (None, one.id)]
    everything: Iterable[Profile | Model] = [*models, made] if vector.model is None else models
    for one in everything:
        serial = () if one.serial is None else (one.serial,)
        settings = one.settings if isinstance(one, Profile) else ()
        its_points: tuple[Point, ...] = (*one.points, *one.scales, *settings, *serial)
        for point in its_points:
            if point.quantity == vector.quantity:
                return point
    return None


def _wrong_clock(made: Profile, vector: Vector) -> str | None:
    if made.clock is None:
        return "the profile has no clock"
    told = decode.clock(vector.words, made.clock.form)
    return _differs(None if told is None else Fraction(told, _US), vector.value)


def _differs(found: object, expected: object) -> str | None:
    return None if found == expected else f"decodes to {found!r}, not {expected!r}"


def _wrong_number(point: Point, vector: Vector) -> str | None:
    worth: Point | None = point
    if point.scaled_by is not None:
        worth = decode.resolved(point, vector.scale, point.form or "power10")
    raw, value = (None, None) if worth is None else _decoded(worth, vector.words)
    if raw != vector.raw or (point.kind != "scale" and value != vector.value):
        return f"decodes to raw {raw}, value {value}; not {vector.raw}, {vector.value}"
    return None


def _decoded(point: Point, words: tuple[int, ...]) -> tuple[Raw | None, Fraction | None]:
    raws, start = [], 0
    for part in point.parts:
        raws.append(decode.part_raw(decode.packed(words[start : start + part.count]), part, point.na))
        start += part.count
    raw, value = decode.combine(point, raws)
    if raw is None or value is None:
        return None, None
    return raw, decode.exact_sum(point, raw if isinstance(raw, tuple) else (raw,))
