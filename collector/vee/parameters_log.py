"""The `rules` record in the log: what is in force as of a position."""

from sqlalchemy import Connection, select

from collector.store.schema import ledger, ledger_bytes
from collector.vee.parameters import Parameters, decode
from shared import envelope, record


def read(connection: Connection, size: int) -> Parameters:
    """Return what the newest `rules` record below a log size says; the defaults where there is none.

    Raises:
        Malformed: a newer version has written it.
    """
    query = (
        select(ledger.c.position, ledger_bytes.c.jws)
        .join(ledger_bytes, ledger_bytes.c.position == ledger.c.position)
        .where(ledger.c.typ == "record", ledger.c.kind == "rules", ledger.c.position < size)
        .order_by(ledger.c.position.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return Parameters()
    return decode(record.decode(envelope.payload(envelope.apart(row.jws))).body, row.position)
