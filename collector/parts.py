"""What every part and command of the collector works with, and how it is opened."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from collector.config import Collector
from collector.intake import pki
from collector.intake.authority import Authority
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.intake.users import Users
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from shared import keys
from shared.clock import Clock
from shared.keys import Signer, Verifier


@dataclass(frozen=True, slots=True)
class Parts:
    """A collector's configuration, clock, key, database, log and ledger."""

    config: Collector
    clock: Clock
    signer: Signer
    store: Store
    log: Log
    ledger: Ledger
    users: Users | None  # of the embedded broker
    next_key: Verifier | None = None  # the public half of the key that takes over once this one goes
    authority: Authority | None = None  # of the gateways' certificates


@contextlib.contextmanager
def opened(config: Collector, clock: Clock) -> Iterator[Parts]:
    """Give the parts of a collector, its database brought to the present version.

    Raises:
        ConfigError: no key, or a database of another collector.
        StoreError: the database cannot be used.
    """
    signer = keys.load(config.keys)
    authority = pki.opened(config, clock.wall())
    store = open_store(config.store, config.data)
    try:
        migrate(store)
        log = Log(store, config.id, signer)
        known = Users(config.data / "broker-users.json") if config.mqtt.embedded else None
        following = config.keys / "next.pub.pem"
        next_key = keys.load_public(following) if following.exists() else None
        yield Parts(config, clock, signer, store, log, Ledger(store, log, clock), known, next_key, authority)
    finally:
        store.close()
