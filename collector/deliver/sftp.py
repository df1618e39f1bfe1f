"""A folder on another machine, by SFTP: the host is known by its key, we are known by ours, no password."""

from collections.abc import Callable

import asyncssh

from collector.config import Target
from collector.deliver.calls import Calls
from collector.deliver.carrier import NotTaken, patience
from collector.deliver.parcel import Parcel
from shared.errors import ConfigError


class Sftp:
    """Puts parcels into a folder of another machine.

    Args:
        within: Gives how long one may take. [s]
    """

    def __init__(self, within: Callable[[Parcel], float] = patience) -> None:
        self._within, self._calls = within, Calls()

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:  # noqa: ARG002 - the form of a carrier
        """Write a parcel; one that stands there already is left as it is.

        Raises:
            NotTaken: it cannot be reached or written, or is not the machine that it was.
            Stopping: it was cut.
            ConfigError: a key file cannot be used.
        """
        try:
            return self._calls.run(_carried(target, parcel), self._within(parcel))
        except (ValueError, FileNotFoundError, PermissionError) as error:  # keys that are none, too, and known hosts
            raise ConfigError(f"target {target.id}: key_file or known_hosts_file: {error}") from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise NotTaken(
                f"{target.host}: its key is not in known_hosts_file; ask its owner whether it was changed"
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise NotTaken(f"{target.host}: {f'{error}' or type(error).__name__}") from error

    def cut(self) -> None:
        """End the sessions that are under way."""
        self._calls.cut()


async def _carried(target: Target, parcel: Parcel) -> str:
    place = f"{(target.dir or '.').rstrip('/')}/{parcel.key}"
    async with (
        asyncssh.connect(
            target.host or "", target.port, username=target.username or "", client_keys=[target.key_file or ""],
            known_hosts=target.known_hosts_file or "", agent_path=None, config=None,
        ) as connection,
        connection.start_sftp_client() as remote,
    ):  # fmt: skip
        try:
            await _written(remote, place, parcel)
        except BaseException:  # above all when it was cut: closing a session in order waits for the other side
            connection.abort()
            raise
    return place


async def _written(remote: asyncssh.SFTPClient, place: str, parcel: Parcel) -> None:
    if await remote.exists(place):
        return
    part = f"{place}.part"
    if await remote.exists(part):
        await remote.rmtree(part)
    await remote.makedirs(part)
    for file in parcel.files:
        handle = await remote.open(f"{part}/{file.name}", "wb")
        await handle.write(file.content)
        await handle.close()  # not by `async with`: whoever is cut would wait for the answer to it
    await remote.rename(part, place)
