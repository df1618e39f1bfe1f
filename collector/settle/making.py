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

#: Most days of one release: a year, and what a billing year may have beside it. What takes longer fills a machine.
LONGEST = 400
_DAY, _LAST = 86_400, 253_370_764_800  # [s]; 9999-01-01


def made(store: Store, log: Log, clock: Clock, signer: Signer, config: Collector, asked: Request) -> Made:
    """Return a release of all that is in the log by now.

    Raises:
        ConfigError: the period, points, party or kind do not fit, a final's period is not over, findings stand in the
            way, or too much lacks.
        StoreError: the database refuses.
    """
    _check(asked)
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


def _check(asked: Request) -> None:
    """Accept the period of a new release; of older ones, which may be longer, nothing is asked.

    Raises:
        ConfigError: it ends before it begins, is longer than `LONGEST`, or lies where calendars do not reach.
    """
    if not 0 <= asked.start <= _LAST or not 0 <= asked.stop <= _LAST:
        raise ConfigError("the period of a release lies between 1970 and 9998")
    period = f"{instant(asked.start)} to {instant(asked.stop)}"
    if asked.start >= asked.stop:
        raise ConfigError(f"{period} is no period: it ends before it begins")
    if asked.stop - asked.start > LONGEST * _DAY:
        raise ConfigError(f"{period} has more than {LONGEST} days; make a release of each year")
