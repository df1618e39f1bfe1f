"""Who a release can be cut for: whom a point or the collector's file names."""

from sqlalchemy import Connection

from collector.config import Collector
from collector.settle import sources
from shared.errors import ConfigError


def check(connection: Connection, size: int, config: Collector, party: str | None) -> None:
    """Accept a party, or that there is none.

    Args:
        connection: A reading connection.
        size: Of the log: the points in force then count.
        config: The collector's file.
        party: Whom a release is to be cut for.

    Raises:
        ConfigError: nothing names it, so that it may be misspelt; it would get a release of what everybody may see.
    """
    if party is None or party in _named(config):
        return
    versions = sources.points(connection, size).versions
    of_points = {one for version in versions for one in version.parties}
    if versions and party not in of_points:  # without points there is another thing to say
        known = ", ".join(sorted(of_points | _named(config))) or "none"
        raise ConfigError(
            f"no party {party[:80]!r}; known: {known}; name it in `parties` of a point, or, if it is to see only the"
            " points of everybody, in a [[target]], a [[schedule]] or [disclosure] of the collector's file"
        )


def _named(config: Collector) -> set[str]:
    """Return the parties of the collector's file; a disclosure group is named for one."""
    groups = config.disclosure
    tables = [one.party for one in config.target] + [one.party for one in config.schedule]
    return {one for one in tables if one} | set(groups) | {one for parties in groups.values() for one in parties}
