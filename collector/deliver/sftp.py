"""A folder on another machine, by SFTP: the host is known by its key, we are known by ours, no password."""

import asyncio

import asyncssh

from collector.config import Target
from collector.deliver.carrier import NotTaken, patience
from collector.deliver.parcel import Parcel
from shared.errors import ConfigError


class Sftp:
    """Puts parcels into a folder of another machine."""

    def carry(self, target: Target, parcel: Parcel, now: int) -> str:  # noqa: ARG002 - the form of a carrier
        """Write a parcel; one that stands there already is left as it is.

        Raises:
            NotTaken: it cannot be reached or written, or is not the machine that it was.
            ConfigError: a key file cannot be used.
        """
        try:
            return asyncio.run(asyncio.wait_for(_carried(target, parcel), patience(parcel)))
        except (asyncssh.KeyImportError, FileNotFoundError, PermissionError) as error:
            raise ConfigError(f"target {target.id}: key_file or known_hosts_file: {error}") from error
        except asyncssh.HostKeyNotVerifiable as error:
            raise NotTaken(
                f"{target.host}: its key is not in known_hosts_file; ask its owner whether it was changed"
            ) from error
        except (OSError, asyncssh.Error) as error:
            raise NotTaken(f"{target.host}: {error or type(error).__name__}") from error


async def _carried(target: Target, parcel: Parcel) -> str:
    place = f"{(target.dir or '.').rstrip('/')}/{parcel.key}"
    async with (
        asyncssh.connect(
            target.host or "", target.port, username=target.username or "", client_keys=[target.key_file or ""],
            known_hosts=target.known_hosts_file or "", agent_path=None, config=None,
        ) as connection,
        connection.start_sftp_client() as remote,
    ):  # fmt: skip
        if not await remote.exists(place):
            part = f"{place}.part"
            if await remote.exists(part):
                await remote.rmtree(part)
            await remote.makedirs(part)
            for file in parcel.files:
                async with remote.open(f"{part}/{file.name}", "wb") as handle:
                    await handle.write(file.content)
            await remote.rename(part, place)
    return place
