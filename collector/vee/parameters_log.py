"""The `rules` record in the log: what is in force as of a position."""

from sqlalchemy import Connection

from collector.intake import records
from collector.vee.parameters import Parameters, decode


def read(connection: Connection, size: int) -> Parameters:
    """Return what the newest `rules` record below a log size says; the defaults where there is none.

    Raises:
        Malformed: a newer version has written it.
    """
    found = records.newest(connection, "rules", size)
    return Parameters() if found is None else decode(found[1].body, found[0])
