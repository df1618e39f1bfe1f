"""The terms that requests name things by, each bounded: ids, channels, times, positions."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Path, Query
from sqlalchemy import Connection

from collector.intake.log import Log
from shared.errors import ConfigError, Malformed
from shared.quantity import INT64_MAX, QUANTITIES, Quantity
from shared.release import seconds

NAME = r"^[a-z0-9][a-z0-9_-]{0,62}$"
RELEASE = r"^[a-z0-9][a-z0-9_-]{0,99}$"
CHANNEL = r"^[a-z0-9][a-z0-9_-]{0,62}/[a-z0-9][a-z0-9_-]{0,62}\.[a-z][a-z0-9_]{0,62}$"

AgentInPath = Annotated[str, Path(pattern=NAME)]
SiteFilter = Annotated[str | None, Query(pattern=NAME)]
AgentFilter = Annotated[str | None, Query(pattern=NAME)]
ChannelFilter = Annotated[str | None, Query(pattern=CHANNEL, description="site/meter.quantity")]
Time = Annotated[str | None, Query(max_length=40, description="RFC 3339 with Z")]
Position = Annotated[int, Path(ge=0, le=INT64_MAX, description="leaf index in the log")]


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as a request names it."""

    site: str
    meter: str
    quantity: Quantity

    @property
    def text(self) -> str:
        """Return `site/meter.quantity`."""
        return f"{self.site}/{self.meter}.{self.quantity.name}"


def channel(text: str) -> Channel:
    """Return the channel of a text that fits `CHANNEL`.

    Raises:
        ConfigError: there is no such quantity.
    """
    place, _, name = text.rpartition(".")
    site, _, meter = place.partition("/")
    if name not in QUANTITIES:
        raise ConfigError(f"channel {text!r}: no quantity {name!r}; see /v1/channels")
    return Channel(site, meter, QUANTITIES[name])


def instant_of(text: str, name: str) -> int:
    """Return the epoch seconds of a parameter.

    Raises:
        ConfigError: it is not written as 2026-03-02T14:00:00Z.
    """
    try:
        return seconds(text)
    except Malformed as error:
        raise ConfigError(f"{name}: {error}") from error


def tree_size(connection: Connection, log: Log, as_of: str | None) -> int:
    """Return the size of the log that a reader wants to see: all of it where nothing is said.

    Args:
        connection: A reading transaction.
        log: The log.
        as_of: A position (the tree of that size), or a time.

    Raises:
        ConfigError: neither, or the log is not yet so long.
    """
    size = log.size(connection)
    if as_of is None:
        return size
    if not as_of.isascii() or not as_of.isdecimal():
        return log.size_at(connection, instant_of(as_of, "as_of") * 1_000_000)
    if int(as_of) > size:
        raise ConfigError(f"as_of: the log has {size} entries; {as_of} is not reached yet")
    return int(as_of)
