"""What a driver is: it reads blocks of one link and translates every failure into a `ReadError`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.acquire.plan import Block
from agent.acquire.points import Point, Profile, Raw, Setting
from shared.errors import ReadError


@dataclass(frozen=True, slots=True)
class Target:
    """A meter as a link sees it."""

    id: str
    profile: Profile
    poll_us: int = 10_000_000  # [us]
    unit: int = 1  # Modbus unit id
    nodes: Mapping[str, str] = field(default_factory=dict)  # OPC UA: quantity -> node id text with namespace URI


@dataclass(frozen=True, slots=True)
class BlockRead:
    """One block read of one meter: what it said, and between which instants."""

    meter: str
    block: int  # its index in the meter's plan
    sent: int  # just before the request left [us since boot]
    at: int  # when the reply was complete [us since boot]
    registers: Mapping[str, Raw | None]  # by quantity, in the point's `enc`; None: the meter says not available
    values: Mapping[str, int | None]  # instantaneous quantities [counts of the quantity's unit]
    #: Registers whose worth the meter itself declares (scale registers), resolved by what it says now.
    scaled: Mapping[str, Point] = field(default_factory=dict)
    uncertain: frozenset[str] = frozenset()  # quantities that the source itself calls uncertain
    #: When the source says that a value was so, by quantity; never changed by us. [UTC us]
    stamps: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MeterClock:
    """What a meter's own clock said, between which instants of ours."""

    told: int  # [UTC us]
    sent: int  # [boot us]
    at: int  # [boot us]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a device says that it is, and how it is set."""

    serial: str | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)  # by name; only those that it told
    clock: MeterClock | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A register as the meter's own recorder or history holds it."""

    quantity: str
    stamp: int  # the instant that the meter's own label names, by its clock, as if UTC [us]
    raw: Raw


#: The gateway speaks for a unit that does not (Modbus Application Protocol V1.1b3 section 7).
_UNIT_IS_SILENT = frozenset({10, 11})


class Refused(ReadError):  # noqa: N818 - names what the device did
    """The device lives and refuses: a Modbus exception reply, or a bad status of a whole OPC UA request."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code

    @property
    def lives(self) -> bool:
        """Return whether it is the meter that answered, rather than a gateway in its stead."""
        return self.code not in _UNIT_IS_SILENT


class Unreachable(ReadError):  # noqa: N818 - names the state of the link
    """The link itself cannot be opened: no meter behind it can answer."""


class Driver(Protocol):
    """One link: one request at a time."""

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the requests that bring all points of a meter, those with registers first.

        None of a meter whose addresses are still to be found by `resolve`.
        """

    async def resolve(self, target: Target, timeout_s: float) -> Target:
        """Return the meter with the addresses that it has; as it is where the profile says them all. [s]

        Raises:
            ReadError: as `read`.
        """

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return what the meter answered to one request.

        Raises:
            Refused: the meter lives and refuses.
            Unreachable: the link cannot be opened.
            ReadError: no usable answer in time. [s]
        """

    async def identity(self, target: Target, timeout_s: float) -> Identity:
        """Return serial number, settings and clock, as far as profile and meter have them. [s, for all of it]

        Raises:
            ReadError: as `read`.
        """

    async def recorded(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        """Return the registers that the meter itself kept with labels in ``[start_us, stop_us)``, as if UTC. [us; s]

        None of a meter that keeps none.

        Raises:
            ReadError: as `read`.
        """

    async def close(self) -> None:
        """Close the link."""
