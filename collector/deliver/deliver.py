"""The turn of a target: what has happened is put on its way, and what is due is handed over.

Rules of this file: each target has its turn in a thread of its own, so that none waits for another's machine; no
transaction is open while another machine is spoken to; a program that dies after the other side took a parcel sends the
same bytes under the same key again.
"""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection

from collector.config import Collector, Target
from collector.deliver import outbox
from collector.deliver.calls import Stopping
from collector.deliver.carrier import Carrier, NotTaken, patience
from collector.deliver.drop import Drop
from collector.deliver.outbox import US, Waiting
from collector.deliver.parcel import Parcel, pack
from collector.deliver.webhook import Webhook
from collector.intake.log import Log
from collector.store.engine import Store
from shared.clock import Clock
from shared.errors import ConfigError
from shared.log import Log as Events

events = Events(__name__)


def carriers(config: Collector) -> dict[str, Carrier]:
    """Return what carries to the kinds of target that the file names."""
    found: dict[str, Carrier] = {"https": Webhook(), "folder": Drop()}
    if any(one.kind == "sftp" for one in config.target):
        from collector.deliver.sftp import Sftp  # asyncssh is large, and few need it

        found["sftp"] = Sftp()
    return found


def merged(config: Collector, target: Target) -> Target:
    """Return a target with the names that hold for all, where it has none of its own."""
    market = {form: config.market.get(form, {}) | target.market.get(form, {}) for form in target.formats}
    return target.model_copy(update={"market": {form: names for form, names in market.items() if names}})


class Deliveries:
    """Hands over what is due."""

    def __init__(self, store: Store, log: Log, clock: Clock, config: Collector, by: Mapping[str, Carrier]) -> None:
        self._store, self._log, self._clock, self._carriers = store, log, clock, by
        self._packing = threading.Lock()  # a parcel takes CPU, memory and a connection to make: one at a time
        self.refused: list[tuple[str, str, str]] = []  # of the last round: target, release, why it was not taken
        self.targets: Sequence[Target] = [merged(config, one) for one in config.target if one.kind != "pull"]

    def round(self) -> int:
        """Give each target one turn, all at the same time; return how many parcels were taken."""
        self.refused.clear()
        with ThreadPoolExecutor(max(1, len(self.targets)), "deliver") as pool:
            try:
                taken = sum(pool.map(self.turn, self.targets))
            except BaseException:  # above all an interrupt: the others are not waited for
                self.cut()
                raise
        order = [one.id for one in self.targets]
        self.refused.sort(key=lambda one: order.index(one[0]))
        return taken

    def turn(self, target: Target) -> int:
        """Hand over to a target all that is due, until something is not taken; return how many parcels were taken."""
        with self._store.write() as connection:
            outbox.plan(connection, target, self._clock.wall())
        taken = 0
        while self._next(target):
            taken += 1
        return taken

    def cut(self) -> None:
        """End what is under way to any target; it is due again, and no turn hands over anything any more."""
        for one in self._carriers.values():
            one.cut()

    def _next(self, target: Target) -> bool:
        """Return whether a parcel was taken."""
        with self._packing, self._store.read() as connection:
            one = outbox.first(connection, target)
            if one is None or not one.due(self._clock.wall()):
                return False
            packed = self._packed(connection, target, one)
        if isinstance(packed, ConfigError):
            return self._given_up(target, one, f"{packed}")
        return self._handed_over(target, one, packed)

    def _handed_over(self, target: Target, one: Waiting, packed: Parcel) -> bool:
        """Return whether a parcel was taken; while it is on its way no other program sends it."""
        until = self._clock.wall() + int(patience(packed) * US)
        with self._store.write() as connection:
            if not outbox.claim(connection, target, one, until):
                return False  # another program hands it over
        try:
            said = self._carriers[target.kind].carry(target, packed, self._clock.wall())
        except Stopping:
            with self._store.write() as connection:
                outbox.let_go(connection, target, one, until, self._clock.wall())
            return False
        except NotTaken as error:
            return self._given_up(target, one, f"{error}") if error.for_good else self._failed(target, one, error)
        except ConfigError as error:
            return self._failed(target, one, NotTaken(f"{error}"))
        with self._store.write() as connection:
            outbox.arrived(connection, self._log, target, one, said, self._clock.wall())
        events.info("delivered", target=target.id, release=one.happening.release_id, what=one.happening.what)
        return True

    def _packed(self, connection: Connection, target: Target, one: Waiting) -> Parcel | ConfigError:
        try:
            return pack(connection, self._log, target, one.happening)
        except ConfigError as error:
            return error

    def _failed(self, target: Target, one: Waiting, error: NotTaken) -> bool:
        self.refused.append((target.id, one.happening.release_id, f"{error}"))
        with self._store.write() as connection:
            again = outbox.failed(connection, target, one, f"{error}", self._clock.wall(), error.after_s)
        events.warning(
            "not_delivered", target=target.id, release=one.happening.release_id, said=str(error), again=again
        )  # fmt: skip
        return False

    def _given_up(self, target: Target, one: Waiting, said: str) -> bool:
        self.refused.append((target.id, one.happening.release_id, said))
        with self._store.write() as connection:
            outbox.give_up(connection, target, one, said, self._clock.wall())
        events.error(
            "delivery_given_up", target=target.id, release=one.happening.release_id, said=said.splitlines()[0]
        )  # fmt: skip
        return False
