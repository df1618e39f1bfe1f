"""Calls to other machines, each in an event loop of its own in the thread that makes it; all of them can be cut.

Rules of this file: nothing here waits for another machine longer than it is told, nor after `cut`; also the look-up of
a name, for which the C library has a patience of its own, is left alone then.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from shared.errors import LinkDown

T = TypeVar("T")
LookUp = Callable[..., list[Any]]


class Stopping(LinkDown):
    """This program is about to end: a call was cut, and nobody knows whether the other side took what it brought."""


class Calls:
    """What is under way, of all threads."""

    def __init__(self, look_up: LookUp = socket.getaddrinfo) -> None:
        self._look_up = look_up
        self._lock = threading.Lock()
        self._running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []
        self._over = False

    def run(self, call: Coroutine[Any, Any, T], within: float) -> T:
        """Return what a call gives. [s]

        Raises:
            TimeoutError: it took longer.
            Stopping: it was cut.
        """
        with asyncio.Runner(loop_factory=lambda: _Loop(self._look_up)) as runner:
            return runner.run(self._kept(call, within))

    def cut(self) -> None:
        """End what is under way, and let nothing begin."""
        with self._lock:
            self._over = True
            for loop, task in self._running:
                loop.call_soon_threadsafe(task.cancel)

    async def _kept(self, call: Coroutine[Any, Any, T], within: float) -> T:
        task = asyncio.ensure_future(asyncio.wait_for(call, within))
        place = (asyncio.get_running_loop(), task)
        with self._lock:
            self._running.append(place)
            if self._over:
                task.cancel()
        try:
            await asyncio.wait([task])
        finally:
            with self._lock:
                self._running.remove(place)
        if task.cancelled():
            call.close()  # where it had not begun
            raise Stopping("the collector is about to end; it is sent again")
        return task.result()


class _Loop(asyncio.SelectorEventLoop):
    """A loop that can end while a name is looked up: asyncio's own waits for the threads of its pool."""

    def __init__(self, look_up: LookUp) -> None:
        super().__init__()
        self._look_up = look_up

    async def getaddrinfo(self, *place: object, **kinds: object) -> list[Any]:
        found: asyncio.Future[list[Any]] = self.create_future()
        threading.Thread(target=self._look, args=(found, place, kinds), name="look-up", daemon=True).start()
        return await found

    def _look(self, found: "asyncio.Future[list[Any]]", place: tuple[object, ...], kinds: dict[str, object]) -> None:
        try:
            told: list[Any] | OSError | UnicodeError = self._look_up(*place, **kinds)
        except (OSError, UnicodeError) as error:
            told = error
        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self.call_soon_threadsafe(_tell, found, told)


def _tell(found: "asyncio.Future[list[Any]]", told: list[Any] | OSError | UnicodeError) -> None:
    if found.done():
        return
    if isinstance(told, list):
        found.set_result(told)
    else:
        found.set_exception(told)
