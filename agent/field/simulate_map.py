"""What stands in the registers of a simulated meter beside its values: scales, settings, its clock, SunSpec's heads.

A simulated SunSpec device has the common model and the best model of its profile.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from fractions import Fraction
from functools import lru_cache

from agent.acquire import decode, sunspec
from agent.acquire.points import ClockForm, Part, Point, Profile, Setting
from agent.field import simulate_encode as encode

#: What a simulated scale register says: power of ten for energies and for powers; kilo, two decimals, eight digits.
_TENS_OF_ENERGY, _TENS_OF_POWER = 0, 3
_EIG_FORMAT = 0x3332
#: How a simulated meter is set where its site file does not say it.
_SETTINGS: Mapping[str, Setting] = {
    "ct_primary_A": Fraction(100), "ct_secondary_A": Fraction(5), "vt_primary_V": Fraction(400),
    "vt_secondary_V": Fraction(100), "ct_ratio": Fraction(20), "vt_ratio": Fraction(1),
    "parameter_counter": Fraction(1), "wiring_system": Fraction(3), "demand_period_min": Fraction(15),
    "meter_name": "SIMULATED",
}  # fmt: skip
_COMMON = 1
_END = (0xFFFF, 0)


@lru_cache(maxsize=256)
def settled(profile: Profile) -> Profile:
    """Return the profile as the simulated device has it: addresses found, scales resolved."""
    placed = _placed(profile)
    raws = {scale.quantity: _scale(scale, placed) for scale in placed.scales}
    return replace(placed, points=tuple(_resolved(point, raws) for point in placed.points))


def _placed(profile: Profile) -> Profile:
    found = _chain(profile)
    return sunspec.located(profile, found) if found else profile


def _resolved(point: Point, raws: Mapping[str, int]) -> Point:
    if point.scaled_by is None or point.form is None:
        return point
    return decode.resolved(point, raws[point.scaled_by], point.form) or point


def _scale(scale: Point, profile: Profile) -> int:
    if scale.form == "eig_energy_format":
        return _EIG_FORMAT
    of_energy = any(p.kind == "register" and p.scaled_by == scale.quantity for p in profile.points)
    return _TENS_OF_ENERGY if of_energy else _TENS_OF_POWER


def _chain(profile: Profile) -> tuple[sunspec.Found, ...]:
    """Return the models that the simulated device has; none where the profile says the addresses itself."""
    if profile.discovery is None:
        return ()
    best = next(one for one in profile.maps if one.points)
    common = next((one for one in profile.maps if one.id == _COMMON), None)
    address, found = sunspec.BASES[0] + 2, []
    for one in (common, best):
        if one is not None:
            points = [*one.points, *one.scales, *([one.serial] if one.serial else [])]
            found.append(sunspec.Found(one.id, address, max(part.end for p in points for part in p.parts) - 2))
            address = found[-1].end
    return tuple(found)


Registers = dict[int, int]  # address -> word


class Beside:
    """The registers of one meter that are no values of it.

    Args:
        profile: As the site has it.
        settings: How the meter is set, where the site says it.
        zone: Of its clock, where the meter shows local time.
    """

    def __init__(self, profile: Profile, settings: Mapping[str, Setting], zone: tzinfo) -> None:
        self._clock, self._zone = profile.clock, zone
        self._fixed: dict[int, Registers] = {}
        for part, words in _parts(profile, settings):
            mine = self._fixed.setdefault(part.function, {})
            for address, word in enumerate(words, part.address):
                mine[address] = mine.get(address, 0) | word  # two settings may share a register

    def at(self, now: int) -> Mapping[int, Registers]:
        """Return what stands there, by function. [us since the epoch]"""
        if self._clock is None:
            return self._fixed
        part, form = self._clock.part, self._clock.form
        shown = datetime.fromtimestamp(now // 1_000_000, UTC if self._clock.zone == "utc" else self._zone)
        dated = dict(enumerate(_date(shown, form), part.address))
        return self._fixed | {part.function: self._fixed.get(part.function, {}) | dated}


def _parts(profile: Profile, settings: Mapping[str, Setting]) -> list[tuple[Part, list[int]]]:
    placed, found = _placed(profile), _heads(profile)
    for scale in placed.scales:
        found += _written(scale, Fraction(_scale(scale, placed)))
    for setting in placed.settings:
        found += _written(setting, settings.get(setting.quantity, _SETTINGS.get(setting.quantity, Fraction(0))))
    return found


def _heads(profile: Profile) -> list[tuple[Part, list[int]]]:
    chain = _chain(profile)
    if not chain:
        return []
    words = [(sunspec.BASES[0], (0x5375, 0x6E53)), *((one.address, (one.id, one.length)) for one in chain)]
    return [(Part(at, 2, 3, "words"), list(pair)) for at, pair in [*words, (chain[-1].end, _END)]]


def _written(point: Point, value: Setting) -> list[tuple[Part, list[int]]]:
    first, *others = point.parts
    if isinstance(value, str):
        return [(first, encode.characters(value, first))]
    raws = [encode.raw_of(value / point.mults[0], point.enc), *(1 for _ in others)]  # further factors are 1
    return [
        (part, encode.part_words(encode.bits(part, raw), part)) for part, raw in zip(point.parts, raws, strict=True)
    ]


def _date(at: datetime, form: ClockForm) -> list[int]:
    """Return the registers that show a time, as `agent.acquire.decode_clock` says."""
    year, moment = at.year - 2000, int(at.replace(tzinfo=UTC).timestamp())
    seconds = [moment >> 16, moment & 0xFFFF]
    return {
        "schneider4": [year, at.month << 8 | at.day, at.hour << 8 | at.minute, at.second * 1000],
        "siemens4": [*seconds, 0, 0],
        "words6": [year, at.month, at.day, at.hour, at.minute, at.second],
        "bytes6": [year << 8 | at.month, at.day << 8 | at.hour, at.minute << 8 | at.second],
        "unix": seconds,
    }[form]
