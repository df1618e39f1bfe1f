"""What a meter tells of itself, out of its registers: serial number, settings, clock. Pure."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from agent.acquire import decode
from agent.acquire.drivers.base import Identity, MeterClock, Refused
from agent.acquire.plan import Block, plan, split
from agent.acquire.points import Point, Profile, Setting

_CLOCK = "clock"
_NO_SUCH_THING = frozenset({1, 2, 3})  # the meter lives and lacks what was asked


def blocks(profile: Profile, cost: tuple[int, int]) -> tuple[Block, ...]:
    """Return the requests that bring serial number, settings and clock; near ones in one. cost: as of a link. [us]"""
    round_trip, register = cost
    return plan(
        _points(profile), max_registers=profile.max_registers, round_trip_cost=round_trip, per_register_cost=register,
        forbidden=profile.forbidden, one_value=profile.one_value,
    )  # fmt: skip


def narrower(block: Block, error: Refused) -> Sequence[Block]:
    """Return what to ask after a refusal: the halves of a block that the meter does not have as a whole.

    Raises:
        Refused: for another reason.
    """
    if error.code not in _NO_SUCH_THING:
        raise error
    halves = split(block)
    return halves if len(halves) > 1 else ()


class Found:
    """What was found so far."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._serial: str | None = None
        self._settings: dict[str, Setting] = {}
        self._clock: MeterClock | None = None

    def add(self, block: Block, words: Sequence[int], sent: int, at: int) -> None:
        """Take the words of a block. [boot us]"""
        for point in block.points:
            mine = [word for part in point.parts for word in words[part.address - block.address :][: part.count]]
            self._take(point, mine, sent, at)

    def _take(self, point: Point, words: Sequence[int], sent: int, at: int) -> None:
        clock = self._profile.clock
        if point is self._profile.serial:
            self._serial = decode.text(words, point)
        elif clock is not None and point.parts[0] is clock.part:
            told = decode.clock(words, clock.form)
            self._clock = None if told is None else MeterClock(told, sent, at)
        elif (value := decode.setting(words, point)) is not None:
            self._settings[point.quantity] = value

    def identity(self) -> Identity:
        """Return all that the meter told."""
        return Identity(self._serial, self._settings, self._clock)


def _points(profile: Profile) -> Iterator[Point]:
    if profile.serial is not None:
        yield profile.serial
    yield from profile.settings
    if profile.clock is not None:
        yield Point(_CLOCK, "setting", (profile.clock.part,), "int", Fraction(1))
