"""Two pseudo-terminals, joined like the two ends of a serial cable."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial


@asynccontextmanager
async def cable() -> AsyncIterator[tuple[str, str]]:
    """Give the devices at both ends."""
    pairs = [os.openpty() for _ in range(2)]
    for near, far in pairs:
        tty.setraw(far)
        os.set_blocking(near, False)
    (one, one_far), (other, other_far) = pairs
    loop = asyncio.get_running_loop()
    loop.add_reader(one, partial(_passed, one, other))
    loop.add_reader(other, partial(_passed, other, one))
    try:
        yield os.ttyname(one_far), os.ttyname(other_far)
    finally:
        for near, far in pairs:
            loop.remove_reader(near)
            os.close(near)
            os.close(far)


def _passed(here: int, there: int) -> None:
    os.write(there, os.read(here, 4096))
