"""An event loop in a thread of its own, for servers that live beside a test."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
_WITHIN = 10.0  # [s]


class Looping:
    """Runs a TCP server on a free loopback port between `start` and `stop`."""

    def __init__(self) -> None:
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__, daemon=True)
        self._server: asyncio.Server | None = None
        self._inside: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def url(self) -> str:
        """Return its address for an MQTT client."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        raise NotImplementedError

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        self.do(self._listen)

    def do(self, work: Callable[[], Awaitable[T]]) -> T:
        """Return what some work gives, done in the loop's thread."""

        async def done() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(_WITHIN)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._inside[task] = writer
        try:
            await self.serve(reader, writer)
        except (OSError, EOFError):
            pass  # the other end went away, as it may at any time
        finally:
            writer.transport.abort()
            del self._inside[task]

    async def cut_all(self) -> None:
        """Reset every connection."""
        for writer in list(self._inside.values()):
            writer.transport.abort()

    def stop(self) -> None:
        """Reset every connection and listen no more."""
        self.do(self._close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_WITHIN)
        self._loop.close()

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._inside)
        await self.cut_all()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
