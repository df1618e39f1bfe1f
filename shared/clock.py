"""The only place that reads a clock.

Every loop takes a `Clock`, so that the whole line can run in simulated time. Two clocks matter: the wall
(UTC, may step) and boot (CLOCK_BOOTTIME: monotonic, also through suspend; means nothing on another boot).
"""

import asyncio
import ctypes
import ctypes.util
import struct
import time
import uuid
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

US = 1_000_000
_STA_UNSYNC = 0x0040  # linux/timex.h
_TIME_ERROR = 5
_TIMEX_SIZE = 256  # struct timex is 208 bytes on 64-bit, less on 32-bit Linux


class Discipline(NamedTuple):
    """What the kernel says of its wall clock."""

    status: str  # S synchronised, U unsynchronised
    by: str
    error_us: int | None


class Clock(Protocol):
    """What every loop is given to tell the time and to wait."""

    def wall(self) -> int:
        """Return UTC. [us since the epoch]"""

    def boot(self) -> int:
        """Return time since boot. [us]"""

    def boot_id(self) -> str:
        """Return the id of this boot, 32 lower-case hex digits."""

    def discipline(self) -> Discipline:
        """Return who keeps the wall clock right, and how well."""

    async def sleep(self, seconds: float) -> None:
        """Wait. [s]"""


class SystemClock:
    """The machine's clocks (Linux; elsewhere the monotonic clock stands in for boot time)."""

    def __init__(self) -> None:
        self._boot_source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
        self._boot_id = _boot_id()

    def wall(self) -> int:
        """Return UTC. [us since the epoch]"""
        return time.time_ns() // 1000

    def boot(self) -> int:
        """Return time since boot. [us]"""
        return time.clock_gettime_ns(self._boot_source) // 1000

    def boot_id(self) -> str:
        """Return the kernel's boot id, 32 lower-case hex digits."""
        return self._boot_id

    def discipline(self) -> Discipline:
        """Return the kernel's word on synchronisation (adjtimex(2))."""
        return _kernel_discipline()

    async def sleep(self, seconds: float) -> None:
        """Wait. [s]"""
        await asyncio.sleep(max(0.0, seconds))


def _boot_id() -> str:
    source = Path("/proc/sys/kernel/random/boot_id")
    if source.exists():
        return source.read_text(encoding="ascii").strip().replace("-", "")
    return uuid.uuid4().hex


@cache
def _libc() -> ctypes.CDLL:
    """Return the C library; to look for it starts a program, so that is done once."""
    return ctypes.CDLL(ctypes.util.find_library("c"))


def _kernel_discipline() -> Discipline:
    libc = _libc()
    timex = ctypes.create_string_buffer(_TIMEX_SIZE)  # zeroed: modes = 0 reads only
    if not hasattr(libc, "adjtimex"):
        return Discipline("U", "none", None)
    state = libc.adjtimex(timex)
    # struct timex: unsigned modes; long offset, freq, maxerror, esterror; int status
    _, _, _, maxerror, _, status = struct.unpack_from("@Illlli", timex)
    if state in (-1, _TIME_ERROR) or status & _STA_UNSYNC:
        return Discipline("U", "none", None)
    return Discipline("S", "kernel", maxerror)
