"""A restored collector that has lost an enrolment takes it back from the gateway's export, by a person's hand.

The record is the collector's own word, signed by a key of its own: it enters the log again byte for byte as it was.
"""

import json

from sqlalchemy import insert, select

from collector.intake import succession
from collector.intake.keyring import APPROVED
from collector.intake.log import Log, record_leaf
from collector.store.engine import Store
from collector.store.schema import keyring
from shared import envelope, record
from shared.errors import ConfigError, TrustError
from shared.keys import jwk


def readmit(store: Store, log: Log, text: str, now: int) -> bool:
    """Return whether an enrolment that this log has lost stands in it again; one that it knows changes nothing.

    Args:
        store: The collector's database.
        log: Its log.
        text: The enrolment record, as an export begins with.
        now: Time. [UTC us]

    Raises:
        ConfigError: it is not this collector's own word.
    """
    with store.write() as connection:
        ring = {log.signer.kid: log.signer.verifier} | succession.known(connection)
        try:
            found = record.enrolment(record.believe(text, ring))
        except TrustError as error:
            raise ConfigError(f"the enrolment in the file is not this collector's word: {error}") from error
        if found.collector != log.collector:
            raise ConfigError(f"the enrolment in the file is by collector {found.collector!r}, not {log.collector!r}")
        key = found.key
        if connection.execute(select(keyring.c.kid).where(keyring.c.kid == key.kid)).first() is not None:
            return False
        tail = log.tail(connection, now)
        parts = envelope.apart(text)
        position = tail.add(record_leaf(text, "enrolment", parts.kid))
        tail.flush()
        connection.execute(
            insert(keyring).values(
                kid=key.kid, agent=found.agent, site=found.site, jwk=json.dumps(jwk(key)), role="agent",
                assurance=found.assurance, state=APPROVED, requested_at=now, enrolment_position=position,
                enrolment_hash=envelope.digest(text),
            )
        )  # fmt: skip
    return True
