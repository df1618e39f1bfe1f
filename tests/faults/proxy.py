"""A TCP link that is as bad as a test wants it: latency, loss, a slow line, cuts, stalls, damaged bytes; seeded.

Loss is what an application sees of it: TCP sends again, so what follows waits behind what was lost.
"""

import asyncio
import random
from collections import deque
from dataclasses import dataclass

from tests.faults.looping import Looping

_CHUNK = 1448  # what a segment carries on Ethernet [bytes]


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to what passes; each direction alike."""

    latency: float = 0.0  # one way [s]
    rate: float | None = None  # [bytes/s]
    loss: float = 0.0  # chance of a segment to be lost and sent again
    again: float = 0.3  # after what time it is sent again [s]
    corrupt: float = 0.0  # chance of a segment to have one bit turned
    cut_every: float | None = None  # each connection is reset after that time [s]
    stalled: bool = False  # nothing passes, not even the end: the link is half open


FAIR = Weather()


class Proxy(Looping):
    """Passes a loopback port on to another one; `weather` may be changed at any time."""

    def __init__(self, target: int, weather: Weather = FAIR, seed: int = 1) -> None:
        super().__init__()
        self.target, self.weather = target, weather
        self.connections = 0
        self.worn = 0  # segments that had a bit turned
        self._chances = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, both ways, until either end or the weather ends it."""
        self.connections += 1
        there, back = await asyncio.open_connection("127.0.0.1", self.target)
        try:
            async with asyncio.timeout(self.weather.cut_every):
                ways = [asyncio.create_task(self._pass(*way)) for way in ((reader, back), (there, writer))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)
        except TimeoutError:
            pass
        finally:
            back.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop, way = asyncio.get_running_loop(), deque[tuple[float, bytes]]()
        fresh, ended = asyncio.Event(), False

        async def take() -> None:
            nonlocal ended
            free = 0.0
            while segment := await reader.read(_CHUNK):
                free = max(free, loop.time()) + self._lateness(len(segment))
                way.append((free + self.weather.latency, self._worn(segment)))
                fresh.set()
            ended = True
            fresh.set()

        taking = asyncio.create_task(take())
        try:
            while way or not ended:
                while not way and not ended:
                    fresh.clear()
                    await fresh.wait()
                if way:
                    await self._give(writer, *way.popleft())
        finally:
            taking.cancel()
            await asyncio.gather(taking, return_exceptions=True)

    async def _give(self, writer: asyncio.StreamWriter, due: float, segment: bytes) -> None:
        await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
        while self.weather.stalled:  # noqa: ASYNC110 - a test changes the weather from its own thread
            await asyncio.sleep(0.02)
        writer.write(segment)
        await writer.drain()

    def _lateness(self, size: int) -> float:
        """Return how long a segment holds up what follows it. [bytes, s]"""
        late = 0.0 if self.weather.rate is None else size / self.weather.rate
        while self._chances.random() < self.weather.loss:
            late += self.weather.again
        return late

    def _worn(self, segment: bytes) -> bytes:
        if self._chances.random() >= self.weather.corrupt:
            return segment
        self.worn += 1
        octets = bytearray(segment)
        octets[self._chances.randrange(len(octets))] ^= 1 << self._chances.randrange(8)
        return bytes(octets)

    def cut(self) -> None:
        """Reset every connection now."""
        self.do(self.cut_all)
