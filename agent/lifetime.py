"""One agent for each data directory, and the signals that end it."""

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from shared.errors import ConfigError


class Busy(ConfigError):  # noqa: N818 - names a state
    """Another agent works in the data directory."""


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Hold the lock of a data directory.

    Raises:
        Busy: another agent runs in it.
        ConfigError: it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(directory / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigError(f"data_dir {directory}: {error.strerror}; give it to the agent's user") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Busy(f"data_dir {directory}: another agent runs here; stop it first") from None
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.asynccontextmanager
async def until_stopped() -> AsyncIterator[asyncio.Event]:
    """Give an event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
