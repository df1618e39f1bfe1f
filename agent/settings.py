"""The effective configuration as it is signed: profiles resolved, secrets left out, no floats."""

from fractions import Fraction

from agent.acquire.points import Point, Profile
from agent.config import Site
from agent.ship.seal import SOFTWARE

_SECRET = {"username", "password_file", "key_file"}


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
        "points": {point.quantity: _point(point) for point in profile.points},
    }


def _point(point: Point) -> dict[str, object]:
    return {
        "enc": point.enc,
        "parts": [[part.function, part.address, part.type, part.word_order, part.byte_order] for part in point.parts],
        "node": point.node,
        "mult": [_fraction(mult) for mult in point.mults],
        "mod": list(point.mod) if isinstance(point.mod, tuple) else point.mod,
        "step": point.step,
    }


def _fraction(number: Fraction) -> list[int]:
    return [number.numerator, number.denominator]
