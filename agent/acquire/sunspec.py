"""SunSpec discovery: which models a device has and where, and a profile with those addresses. Reads only.

A device says "SunS" at one of three addresses; then models follow, each with its identifier and its length, until
0xFFFF. Rules: the walk only goes forward and ends within bounds, whatever a device answers; a point beyond the length
that its model has on this device is left out; all points come from one model, because two models are two instruments.
Source: SunSpec Information Model Specification V1.9, sections "Device Information Model" and "Modbus".
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from agent.acquire.drivers.base import Refused
from agent.acquire.points import Model, Point, Profile
from shared.errors import ReadError

BASES = (40_000, 50_000, 0)
_SUNS = (0x5375, 0x6E53)
_END = 0xFFFF
_HEAD = 2  # registers of identifier and length, which the length does not count
_MOST_MODELS = 100
_REGISTERS = 1 << 16
_COMMON = 1  # the model that says who a device is

#: Returns holding registers from an address; raises `Refused` or `ReadError`.
Read = Callable[[int, int], Awaitable[Sequence[int]]]


@dataclass(frozen=True, slots=True)
class Found:
    """A model as a device has it."""

    id: int
    address: int  # of its identifier
    length: int  # registers after identifier and length

    @property
    def end(self) -> int:
        """Return the first address after it."""
        return self.address + _HEAD + self.length


async def walk(read: Read) -> tuple[Found, ...]:
    """Return the models of a device in the order of its registers.

    Raises:
        ReadError: it has no SunSpec map, its map has no end, or as ``read``.
    """
    address = await _begin(read) + len(_SUNS)
    found: list[Found] = []
    while len(found) < _MOST_MODELS and address + _HEAD <= _REGISTERS:
        identifier, length = await _head(read, address)
        if identifier == _END:
            return tuple(found)
        if identifier == 0 or address + _HEAD + length >= _REGISTERS:
            raise ReadError(f"SunSpec model {identifier} of {length} registers at {address}: is it a SunSpec device?")
        found.append(Found(identifier, address, length))
        address = found[-1].end
    raise ReadError(f"the SunSpec map has no end after {len(found)} models; report it to the maker")


async def _begin(read: Read) -> int:
    for base in BASES:
        try:
            if tuple(await read(base, len(_SUNS))) == _SUNS:
                return base
        except Refused as error:
            if not error.lives:
                raise
    raise ReadError(f'no "SunS" at {", ".join(map(str, BASES))}: switch SunSpec on in the device, or use its profile')


async def _head(read: Read, address: int) -> tuple[int, int]:
    words = await read(address, _HEAD)
    if len(words) != _HEAD:
        raise ReadError(f"{len(words)} registers for {_HEAD} at {address}; is it a SunSpec device?")
    return words[0], words[1]


def located(profile: Profile, found: Sequence[Found]) -> Profile:
    """Return the profile with the addresses that a device has, of the best model that it has.

    Where a device has several of one model, the first is read. The serial number is that of the common model before it.

    Raises:
        ReadError: the device has none of the profile's models.
    """
    chosen = next(((one, at) for one in profile.maps if one.points for at in found if at.id == one.id), None)
    wanted = () if chosen is None else _shifted(chosen[0].points, chosen[1])
    if chosen is None or not wanted:
        known = ", ".join(str(one.id) for one in profile.maps if one.points)
        has = ", ".join(str(at.id) for at in found)
        raise ReadError(f"the device has SunSpec models {has or 'none'}; profile {profile.id!r} reads one of {known}")
    model, place = chosen
    scales = _shifted(model.scales, place)
    missing = {point.scaled_by for point in wanted} - {scale.quantity for scale in scales} - {None}
    return replace(
        profile,
        points=tuple(point for point in wanted if point.scaled_by not in missing),
        scales=tuple(scale for scale in scales if scale.quantity in {point.scaled_by for point in wanted}),
        serial=_serial(profile.maps, found, place),
        discovery=None,
        maps=(),
    )


def _shifted(points: Sequence[Point], place: Found) -> tuple[Point, ...]:
    """Return the points that a model has on this device, where they are."""
    there = [point for point in points if all(part.end <= _HEAD + place.length for part in point.parts)]
    return tuple(_moved(point, place.address) for point in there)


def _moved(point: Point, address: int) -> Point:
    return replace(point, parts=tuple(replace(part, address=part.address + address) for part in point.parts))


def _serial(maps: Sequence[Model], found: Sequence[Found], place: Found) -> Point | None:
    point = next((one.serial for one in maps if one.id == _COMMON), None)
    commons = [at for at in found if at.id == _COMMON and at.address < place.address]
    if point is None or not commons:
        return None
    shifted = _shifted([point], commons[-1])
    return shifted[0] if shifted else None
