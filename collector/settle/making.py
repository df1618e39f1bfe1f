"""How a release comes about: what has arrived is validated, a final's estimates are made anew, then it is made."""

from collector.config import Collector
from collector.intake.log import Log
from collector.settle import parties
from collector.settle.release import Made, Request, make
from collector.settle.renewal import renew
from collector.store.engine import Store
from collector.vee.run import catch_up
from shared.clock import Clock
from shared.errors import ConfigError
from shared.keys import Signer
from shared.release import instant


def made(store: Store, log: Log, clock: Clock, signer: Signer, config: Collector, asked: Request) -> Made:
    """Return a release of all that is in the log by now.

    Raises:
        ConfigError: the period, points, party or kind do not fit, a final's period is not over, findings stand in the
            way, or too much lacks.
        StoreError: the database refuses.
    """
    if asked.start >= asked.stop:
        raise ConfigError(f"{instant(asked.start)} to {instant(asked.stop)} is no period: it ends before it begins")
    if asked.kind == "final" and asked.stop * 1_000_000 > clock.wall():
        raise ConfigError(f"the period is not over before {instant(asked.stop)}; till then make it preliminary")
    with store.read() as connection:
        parties.check(connection, log.size(connection), config, asked.party)
    catch_up(store, log, clock)
    renew(store, log, clock, asked)
    with store.write() as connection:
        return make(
            connection, log, signer, asked, timezone=config.timezone, now=clock.wall(), gate=config.gate
        )  # fmt: skip
