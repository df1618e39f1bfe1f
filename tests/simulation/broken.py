"""Parts that are broken on purpose, as somebody might break them; the simulation must notice each (`test_it_can_fail`).

Each is a subclass in the place of a true part; nothing is patched.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import event

from agent.acquire.drivers.base import BlockRead
from agent.ship.window import Window
from collector.intake import receipts
from collector.intake.authentic import Arrival, Authentic, Refused
from collector.intake.keyring import Enrolled
from collector.intake.ledger import Ledger, Taken
from collector.intake.log import Log
from collector.intake.round import Round
from collector.series import labels
from shared import topics
from shared.batch import Seen
from shared.clock import US
from shared.envelope import Envelope
from tests.simulation.centre import Centre
from tests.simulation.disk import SimOutbox, SimStore
from tests.simulation.faults import Faults
from tests.simulation.gateway import IMPORT, Gateway
from tests.simulation.line import Line, Plan
from tests.simulation.meters import Meter

# -- the agent --------------------------------------------------------------------------------------------------------


class UnsyncedOutbox(SimOutbox):
    """Does not wait for the disk."""

    def prepared(self) -> None:
        """Set what a hurried person sets."""
        self._db.execute("PRAGMA synchronous=OFF")


class ForgetfulOutbox(SimOutbox):
    """Deletes what is old, acknowledged or not."""

    def prune(self, before: int) -> int:
        """Delete what is older than an hour."""
        with self._transaction():
            return self._db.execute("DELETE FROM batch WHERE created < ?", (before + 71 * 3600 * US,)).rowcount


class Unsynced(Gateway):
    """Has a disk that is not waited for."""

    outbox_type = UnsyncedOutbox


class Forgetful(Gateway):
    """Keeps nothing for long."""

    outbox_type = ForgetfulOutbox


class BelievesThePuback(Gateway):
    """Takes the broker's word for the collector's."""

    def send(self) -> None:
        """Send, and mark at once."""
        super().send()
        for one in self._outbox.waiting(16) if self.linked else ():
            before = self._acked()
            self._outbox.acknowledge(one.epoch, one.seq, Seen("wattseal/central/1", 0, bytes(32)), self.clock.wall())
            self._newly(before)


class OnceOnly(Window):
    """Never sends again."""

    def again(self, rows: Sequence[int], now: int) -> None:
        """Leave it at that."""


class SendsOnce(Gateway):
    """Never sends again what got no receipt, unless the link is a new one."""

    def connect(self) -> None:
        """Connect with endless patience."""
        self._agent.uplink.courier.window = OnceOnly(16, 10**15)
        super().connect()


class ReadsLate(Gateway):
    """Answers with what the register was a minute ago."""

    def _answer(self, meter: Meter) -> BlockRead:
        return replace(super()._answer(meter), registers={IMPORT: meter.shows(self.world.now - 60 * US)})


# -- the collector ----------------------------------------------------------------------------------------------------


class EagerLedger(Ledger):
    """Sends receipts before its commit."""

    centre: "Eager"

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Take a group as the true one does, but for the order."""
        believed = self._believe(arrivals)
        with self.store.write() as connection:
            group = Round(connection, self.log, self.log.tail(connection, self.clock.wall()))
            group.expect(believed)
            outcomes = [group.refuse(one) if isinstance(one, Refused) else group.take(one) for one in believed]
            group.write()
            for agent, text in receipts.write(connection, self.log, group.spoke, self.clock.wall()):
                self.centre.broker.down(topics.receipt(agent), text)
        return Taken(tuple(outcomes), (), group.stored)


class Eager(Centre):
    """Says that it is done before it is."""

    def make_ledger(self, store: SimStore, log: Log) -> Ledger:
        """Return a ledger that does so."""
        made = EagerLedger(store, log, self.clock)
        made.centre = self
        return made


class CredulousLedger(Ledger):
    """Does not look at the hash of the batch before."""

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Take each alone, and believe that it continues what is known."""
        taken = [super(CredulousLedger, self).take([one]) for one in arrivals]
        outcomes = tuple(outcome for one in taken for outcome in one.outcomes)
        return Taken(outcomes, tuple(due for one in taken for due in one.receipts), sum(one.stored for one in taken))

    def _verify(self, arrival: Arrival, found: Envelope, keys: dict[str, Enrolled]) -> Authentic | Refused:
        one = super()._verify(arrival, found, keys)
        if isinstance(one, Refused) or one.head is None or one.head.seq == 1:
            return one
        with self.store.read() as connection:
            query = "SELECT hash FROM chain WHERE agent = ? AND epoch = ?"
            known = connection.exec_driver_sql(query, (one.head.agent, one.head.epoch)).scalar_one_or_none()
        return one if known is None else replace(one, head=replace(one.head, prev=bytes(known)))


class Credulous(Centre):
    """Believes that every batch continues the one before."""

    def make_ledger(self, store: SimStore, log: Log) -> Ledger:
        """Return a ledger that does so."""
        return CredulousLedger(store, log, self.clock)


class UnsyncedStore(SimStore):
    """Does not wait for the disk."""

    def prepared(self) -> None:
        """Set what a hurried person sets."""

        def hurried(connection: sqlite3.Connection, _record: object) -> None:
            connection.execute("PRAGMA synchronous=OFF")

        self.engine.dispose()
        event.listen(self.engine, "connect", hurried)


class UnsyncedCentre(Centre):
    """Has a disk that is not waited for."""

    store_type = UnsyncedStore


class Hasty(Centre):
    """Has a person who calls every clock right."""

    def read_in(self) -> None:
        """Let in whatever waits because it is labelled in the future."""
        super().read_in()
        for one in self.early():
            now, running = self.clock.wall(), self.opened
            labels.say(running.store, running.log, agent=one.agent, boots=[one.boot], right=True, by="ben", now=now)
        super().read_in()


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken part, and the world in which it must be noticed by a law."""

    law: str
    faults: Faults
    gateway: type[Gateway] = Gateway
    centre: type[Centre] = Centre


MUTANTS: dict[str, Mutant] = {
    "an outbox that is not synced": Mutant(
        "nothing un-acknowledged is evicted|what was sealed stands|nothing was never sealed|honest batches",
        Faults.named(["agent_power_cut=8", "site_partition=4"]), gateway=Unsynced,
    ),
    "an outbox that evicts what is not acknowledged": Mutant(
        "nothing un-acknowledged is evicted", Faults.named(["site_partition=6"]), gateway=Forgetful
    ),
    "an agent that believes the broker's PUBACK": Mutant(
        "a receipt acknowledges only what is durable", Faults.named(["drop=0.1"]), gateway=BelievesThePuback
    ),
    "an agent that sends once": Mutant(
        "what was sealed stands in the ledger once|most boundaries", Faults.named(["drop=0.1"]), gateway=SendsOnce
    ),
    "a meter that is read late": Mutant(
        "a measured value is the truth|a register run", Faults.none(), gateway=ReadsLate
    ),
    "a receipt before the commit": Mutant(
        "a receipt acknowledges only what is durable", Faults.named(["collector_crash=20"]), centre=Eager
    ),
    "a collector that is not synced": Mutant(
        "what a collector committed stays", Faults.named(["collector_power_cut=8"]), centre=UnsyncedCentre
    ),
    "labels of the future that are let in": Mutant(
        "nothing of the future", Faults.named(["clock_step=12"]), centre=Hasty
    ),
    "a chain whose links are not compared": Mutant(
        "a fork has a state|honest batches|both branches|a receipt acknowledges only",  # the other branch's batches too
        Faults.named(["clone"]), centre=Credulous,
    ),
}  # fmt: skip


def broken(name: str, seed: int, folder: Path) -> Line:
    """Return a line, not yet run, in which one part is broken."""
    mutant = MUTANTS[name]

    class Broken(Line):
        gateway_type = mutant.gateway
        centre_type = mutant.centre

    return Broken(Plan(seed, 1, mutant.faults, poll=900), folder)
