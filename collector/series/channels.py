"""Channels and sources: the names of series, and the numbers by which the tables know them."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from sqlalchemy import Connection, insert, select

from collector.store.prepared import Prepared
from collector.store.schema import channel, source
from shared.errors import ConfigError

#: Which path is preferred where nobody has said otherwise: the lowest first.
RANKS = {"poll": 100, "recorder": 200, "history": 300}
_CHANNELS = Prepared(select(channel.c.id, channel.c.site, channel.c.meter, channel.c.quantity))
_SOURCES = Prepared(select(source.c.id, source.c.agent, source.c.epoch, source.c.path))


@dataclass(frozen=True, slots=True)
class Channel:
    """One quantity of one meter."""

    id: int
    site: str
    meter: str
    quantity: str

    @property
    def name(self) -> str:
        """Return `site/meter.quantity`."""
        return f"{self.site}/{self.meter}.{self.quantity}"


def every(connection: Connection, site: str | None = None, meter: str | None = None) -> list[Channel]:
    """Return the channels that ever had a value, by name."""
    query = select(channel.c.id, channel.c.site, channel.c.meter, channel.c.quantity)
    query = query if site is None else query.where(channel.c.site == site)
    query = query if meter is None else query.where(channel.c.meter == meter)
    ordered = query.order_by(channel.c.site, channel.c.meter, channel.c.quantity)
    return [Channel(*row) for row in connection.execute(ordered).all()]


def named(connection: Connection, name: str) -> Channel:
    """Return the channel `site/meter.quantity`.

    Raises:
        ConfigError: there is none of that name.
    """
    place, _, quantity = name.partition(".")
    site, _, meter = place.partition("/")
    found = [one for one in every(connection, site, meter) if one.quantity == quantity]
    if not found:
        near = get_close_matches(name, [one.name for one in every(connection)], 3)
        hint = f"is it {' or '.join(near)}?" if near else "a name is site/meter.quantity"
        raise ConfigError(f"no channel {name!r} has any values; {hint}")
    return found[0]


class Numbers:
    """Finds the number of a channel or source, and gives one to whatever is new."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._channels: dict[tuple[str, str, str], int] = {}
        self._sources: dict[tuple[str, str, str], int] = {}

    def channel(self, site: str, meter: str, quantity: str) -> int:
        """Return the number of a channel."""
        key = (site, meter, quantity)
        self._read_channels()
        if key not in self._channels:
            row = insert(channel).values(site=site, meter=meter, quantity=quantity).returning(channel.c.id)
            self._channels[key] = int(self.connection.execute(row).scalar_one())
        return self._channels[key]

    def known(self, site: str, names: Iterable[tuple[str, str]]) -> list[int]:
        """Return the numbers of those of some meters' quantities that have one."""
        self._read_channels()
        found = (self._channels.get((site, meter, quantity)) for meter, quantity in names)
        return [number for number in found if number is not None]

    def _read_channels(self) -> None:
        if not self._channels:
            rows = _CHANNELS.rows(self.connection)
            self._channels = {(row.site, row.meter, row.quantity): row.id for row in rows}

    def of_meter(self, site: str, meter: str) -> dict[str, int]:
        """Return the numbers of a meter's channels by quantity."""
        return {one.quantity: one.id for one in every(self.connection, site, meter)}

    def source(self, agent: str, epoch: str, path: str) -> int:
        """Return the number of a source."""
        key = (agent, epoch, path)
        if self.known_source(*key) is None:
            row = insert(source).values(agent=agent, epoch=epoch, path=path, rank=RANKS[path]).returning(source.c.id)
            self._sources[key] = int(self.connection.execute(row).scalar_one())
        return self._sources[key]

    def known_source(self, agent: str, epoch: str, path: str) -> int | None:
        """Return the number of a source that has one."""
        if not self._sources:
            rows = _SOURCES.rows(self.connection)
            self._sources = {(row.agent, row.epoch, row.path): row.id for row in rows}
        return self._sources.get((agent, epoch, path))
