"""Asks one meter of a site file once, through the driver of its bus; nothing is written anywhere.

Rules: one request at a time, with the pause that the meter wants; a meter that is silent is not asked on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from agent import links
from agent.acquire import decode, plan
from agent.acquire.drivers.base import Driver, Identity, Refused, Target
from agent.acquire.drivers.modbus import Modbus
from agent.acquire.plan import Block
from agent.acquire.points import Part, Point, Profile, Raw
from agent.config import Meter, Site
from shared.clock import US, Clock
from shared.errors import ConfigError, ReadError

_ILLEGAL_ADDRESS = 2
_IDENTITY_TIMES = 5  # timeouts for serial, settings and clock together


@dataclass(frozen=True, slots=True)
class Behind:
    """Words that a meter answered."""

    part: Part
    words: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """One point and what the meter says of it."""

    point: Point  # with the worth that a scale register declares
    raw: Raw | None
    value: int | None  # [counts of the quantity's unit]
    at: int  # when the answer was complete [boot us]
    behind: tuple[Behind, ...] = ()
    node: str | None = None  # OPC UA: where, and with which status
    status: str | None = None


class Listener:
    """One meter on its bus.

    Args:
        site: The site file.
        profiles: The profile of each meter.
        name: The meter's id.
        clock: Tells the time.

    Raises:
        ConfigError: the site has no such meter, or a file of its bus cannot be used.
    """

    def __init__(self, site: Site, profiles: Mapping[str, Profile], name: str, clock: Clock) -> None:
        if name not in profiles:
            raise ConfigError(f"no meter {name!r} in the site; it has {', '.join(profiles)}")
        self.meter: Meter = next(meter for meter in site.meter if meter.id == name)
        self.clock = clock
        self.target = Target(name, profiles[name], self.meter.poll_s * US, self.meter.unit, self.meter.nodes)
        self.timeout_s = site.buses[self.meter.bus].timeout_ms / 1000
        self._driver: Driver = links.driver(site, self.meter.bus, clock)
        self._scales: dict[str, int | None] = {}
        self._blocks: tuple[Block, ...] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._driver.close()

    async def identity(self) -> Identity:
        """Return serial number, settings and clock, as far as profile and meter have them.

        Raises:
            ReadError: no usable answer.
        """
        await self._found()
        return await self._driver.identity(self.target, _IDENTITY_TIMES * self.timeout_s)

    async def everything(self, *, registers_only: bool = False) -> tuple[list[Said], list[str]]:
        """Return what each point says, and a sentence for each request that failed."""
        said: list[Said] = []
        try:
            waiting = [block for block in await self._found() if block.has_register or not registers_only]
        except ReadError as error:
            return said, [str(error)]
        errors = []
        while waiting:
            block = waiting.pop(0)
            try:
                said += await self._ask(block)
            except ReadError as error:
                if isinstance(error, Refused) and error.code == _ILLEGAL_ADDRESS and len(block.points) > 1:
                    waiting = [*plan.split(block), *waiting]
                    continue
                errors.append(str(error))
                if not (isinstance(error, Refused) and error.lives):
                    break
        return said, errors

    async def registers(self, function: int, address: int, count: int) -> Sequence[int]:
        """Return raw words of holding (3) or input (4) registers.

        Raises:
            ConfigError: the meter does not speak Modbus.
            ReadError: no usable answer.
        """
        if not isinstance(self._driver, Modbus):
            raise ConfigError(f"meter {self.meter.id}: its bus {self.meter.bus} has no registers; it speaks OPC UA")
        await self._pause()
        return await self._driver.registers(self.meter.unit, function, address, count, self.timeout_s)

    async def _found(self) -> tuple[Block, ...]:
        """Return the meter's requests, its addresses found first where it says them itself."""
        if self._blocks is None:
            self.target = await self._driver.resolve(self.target, _IDENTITY_TIMES * self.timeout_s)
            self._blocks = self._driver.blocks(self.target)
        return self._blocks

    async def _pause(self) -> None:
        if self.target.profile.pause_ms:
            await self.clock.sleep(self.target.profile.pause_ms / 1000)

    async def _ask(self, block: Block) -> list[Said]:
        if not isinstance(self._driver, Modbus):
            return await self._nodes(block)
        words = await self.registers(block.function, block.address, block.count)
        at = self.clock.boot()
        decoded = decode.block_reader(block.address, block.points)(decode.packed(words), self._scales)
        self._scales |= decoded.scales
        return [
            _said(decoded.scaled.get(point.quantity, point), decoded, at, _behind(point, block, words))
            for point in block.points
            if point.kind != "scale"
        ]

    async def _nodes(self, block: Block) -> list[Said]:
        from agent.acquire.drivers.opcua import OpcUa  # asyncua costs 40 MB; only meters that need it pay

        read = await self._driver.read(self.target, block, self.timeout_s)
        troubles = self._driver.troubles if isinstance(self._driver, OpcUa) else {}
        decoded = decode.Decoded(dict(read.registers), dict(read.values), {}, {})
        return [
            replace(
                _said(point, decoded, read.at, ()),
                node=self.meter.nodes.get(point.quantity, point.node),
                status=troubles.get((self.meter.id, point.quantity), "Good"),
            )
            for point in block.points
        ]


def _said(point: Point, decoded: decode.Decoded, at: int, behind: tuple[Behind, ...]) -> Said:
    if point.kind != "register":
        return Said(point, None, decoded.values.get(point.quantity), at, behind)
    raw = decoded.registers.get(point.quantity)
    if raw is None or point.scaled_by is not None:
        return Said(point, raw, None, at, behind)
    return Said(point, raw, decode.combine(point, raw if isinstance(raw, tuple) else (raw,))[1], at, behind)


def _behind(point: Point, block: Block, words: Sequence[int]) -> tuple[Behind, ...]:
    return tuple(
        Behind(part, tuple(words[part.address - block.address : part.end - block.address])) for part in point.parts
    )
