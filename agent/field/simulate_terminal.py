"""A serial line that is none: two pseudo-terminals joined like the ends of a cable, one at a site's device path.

Rules: the path becomes a symbolic link, never below /dev and never in the place of anything but an older such link; it
is removed at the end. A pseudo-terminal has no parity: Linux refuses it with EINVAL.
"""

import asyncio
import contextlib
import os
import tty
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from agent.buses import ModbusRtu
from shared.errors import ConfigError

_TERMINALS = "/dev/pts/"
_MOST = 4096  # [bytes]


def check(bus: ModbusRtu) -> None:
    """Object to a line that cannot be simulated.

    Raises:
        ConfigError: it has a parity, or its device is one of this machine.
    """
    if bus.parity != "none":
        raise ConfigError(
            f'{bus.device}: a pseudo-terminal has no parity; write parity = "none" in the lab\'s site file'
        )
    device = Path(bus.device)
    folder = device.parent.resolve()
    if Path("/dev") in (folder, *folder.parents):
        raise ConfigError(f"{device}: /dev is this machine's own; in a lab write a path elsewhere, as /tmp/lab/ttyA")
    if not folder.is_dir():
        raise ConfigError(f"{device}: no folder {device.parent}; make it first")
    if (device.exists() or device.is_symlink()) and not _is_ours(device):
        raise ConfigError(f"{device}: there is something already; simulate replaces nothing: choose another path")


@contextlib.contextmanager
def line(bus: ModbusRtu) -> Iterator[str]:
    """Give the device at the meters' end of a cable, whose other end stands at the site's path.

    Raises:
        ConfigError: as `check`, or the path cannot be made.
    """
    check(bus)
    device = Path(bus.device)
    with _cable() as (ours, theirs):
        try:
            if device.is_symlink():
                device.unlink()  # of a simulator that was killed
            device.symlink_to(theirs)
        except OSError as error:
            raise ConfigError(f"{device}: {error.strerror}; choose another path") from error
        try:
            yield ours
        finally:
            if device.is_symlink() and str(device.readlink()) == theirs:
                device.unlink()


def _is_ours(device: Path) -> bool:
    return device.is_symlink() and str(device.readlink()).startswith(_TERMINALS)


@contextlib.contextmanager
def _cable() -> Iterator[tuple[str, str]]:
    """Give the devices at both ends; what is written into one comes out of the other."""
    pairs = [os.openpty() for _ in range(2)]
    loop = asyncio.get_running_loop()
    for (near, far), (other, _) in zip(pairs, pairs[::-1], strict=True):
        tty.setraw(far)  # before anybody opens it: no echo
        os.set_blocking(near, False)
        loop.add_reader(near, partial(_passed, near, other))
    try:
        yield os.ttyname(pairs[0][1]), os.ttyname(pairs[1][1])
    finally:
        for near, far in pairs:
            loop.remove_reader(near)
            os.close(near)
            os.close(far)


def _passed(here: int, there: int) -> None:
    """Pass bytes on; those that nobody takes are lost, as on a line."""
    with contextlib.suppress(BlockingIOError):
        os.write(there, os.read(here, _MOST))
