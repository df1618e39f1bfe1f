"""The effective configuration as it is signed: profiles resolved, secrets left out, no floats."""

from fractions import Fraction

from agent.acquire.points import Part, Point, Profile
from agent.config import Site
from agent.ship.seal import SOFTWARE

_SECRET = {"username", "password_file", "key_file", "pin_file"}


def effective(site: Site, profiles: dict[str, Profile]) -> dict[str, object]:
    """Return what decides about numbers, as JSON values."""
    members = site.model_dump(mode="json", by_alias=True, exclude={"data_dir", "metrics_listen"})
    plain = _plain(members)
    if not isinstance(plain, dict):
        raise TypeError("a site is a table")
    return plain | {"software": SOFTWARE, "profiles": _profiles(profiles)}


def _profiles(profiles: dict[str, Profile]) -> list[dict[str, object]]:
    """Return each profile once, with the meters that are read by it; a site has many meters of few kinds."""
    found: list[dict[str, object]] = []
    meters: list[list[str]] = []
    for meter, profile in sorted(profiles.items()):
        members = _profile(profile)
        if members not in found:
            found.append(members)
            meters.append([])
        meters[found.index(members)].append(meter)
    return [{"meters": names} | members for names, members in zip(meters, found, strict=True)]


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in _SECRET}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return repr(value) if isinstance(value, float) else value


def _profile(profile: Profile) -> dict[str, object]:
    return {
        "id": profile.id,
        "trust": profile.trust,
        "update_s": None if profile.update_s is None else repr(profile.update_s),
        "points": {point.quantity: _point(point) for point in profile.points},
        "scales": {scale.quantity: [scale.form, _part(scale.parts[0])] for scale in profile.scales},
        "models": {str(one.id): {p.quantity: _point(p) for p in one.points} for one in profile.maps},
    } | _recorder(profile)


def _recorder(profile: Profile) -> dict[str, object]:
    """Return what decides about refilled gaps; nothing of a meter that keeps nothing."""
    kept = profile.recorder
    if kept is None:
        return {}
    stamp: list[object] = [kept.stamp.part.address, kept.stamp.form, kept.stamp.zone, kept.stamp_marks]
    place: list[object] = [kept.form, kept.function, kept.file, kept.address, kept.entries, kept.registers]
    channels = {point.quantity: _point(point) for point in kept.channels}
    return {"recorder": {
        "place": place, "stamp": stamp, "interval_s": kept.interval_s, "holds": kept.holds, "channels": channels,
    }}  # fmt: skip


def _point(point: Point) -> dict[str, object]:
    return {
        "enc": point.enc,
        "parts": [_part(part) for part in point.parts],
        "node": point.node,
        "offset": _fraction(point.offset),
        "scaled_by": point.scaled_by,
        "mult": [_fraction(mult) for mult in point.mults],
        "mod": list(point.mod) if isinstance(point.mod, tuple) else point.mod,
        "step": point.step,
    }


def _part(part: Part) -> list[object]:
    orders = [part.word_order, part.byte_order, part.half_order]
    return [part.function, part.address, part.type, *orders, None if part.bits is None else list(part.bits)]


def _fraction(number: Fraction) -> list[int]:
    return [number.numerator, number.denominator]
