"""Taking batches in: one durable commit for a group of arrivals, receipts after it.

Rules of this file: whatever arrives, nothing is raised for it and nobody else's batch waits for it; the bytes are kept
as they were signed; what this group appends is seen by the rest of the group; nothing is said to an agent before
the commit. The only errors are the database's (StoreError): then nothing of the group has happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import starmap

from sqlalchemy import Connection

from collector.intake import authentic, generation, keyring, quarantine, receipts, turns
from collector.intake.authentic import Arrival, Authentic, Refused
from collector.intake.keyring import APPROVED, Enrolled
from collector.intake.log import Log
from collector.intake.round import Outcome, Round
from collector.store.engine import Store
from shared import failpoint
from shared.clock import Clock
from shared.envelope import Envelope
from shared.receipt import Receipt


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a group: an outcome for each arrival in its order, and the receipts that are now due."""

    outcomes: tuple[Outcome, ...]
    receipts: tuple[tuple[str, str], ...]  # (agent, signed receipt), in the order in which they may be sent
    stored: int  # leaves appended, parked ones that became next included


class Ledger:
    """The collector's end of the promise."""

    def __init__(self, store: Store, log: Log, clock: Clock) -> None:
        self.store, self.log, self.clock = store, log, clock
        self._keys: dict[str, Enrolled] = {}  # approved when they were read
        self.beyond = 0  # the largest checkpoint that an agent has seen of this log and the log did not reach

    def take(self, arrivals: Sequence[Arrival]) -> Taken:
        """Return what became of each arrival, once all of it is durable.

        Raises:
            StoreError: the database refuses; nothing has happened, and the group may be given again.
            Fenced: another collector leads this log; this one must stop.
        """
        failpoint.reach("collector.before_verify")
        while True:
            believed = self._believe(arrivals)
            failpoint.reach("collector.after_verify")
            taken = self._store(believed)
            if taken is not None:
                return taken
            self._keys.clear()  # one was revoked or handed over meanwhile: nothing was written

    def _store(self, believed: Sequence[Authentic | Refused]) -> Taken | None:
        """Return what became of a group; None where a key is not any more what it was believed by."""
        with self.store.write() as connection:
            tail = self.log.tail(connection, self.clock.wall())
            group = Round(connection, self.log, tail)
            if not group.expect(believed):
                return None
            outcomes = [group.refuse(one) if isinstance(one, Refused) else group.take(one) for one in believed]
            group.write()
            due = list(receipts.drafts(connection, self.log.collector, tail.tree, group.spoke, group.told))
            failpoint.reach("collector.before_commit")
        failpoint.reach("collector.after_commit")
        self.log.remember(tail)
        self.beyond = max(self.beyond, group.beyond)
        return Taken(tuple(outcomes), self._sealed(due), group.stored)

    def _believe(self, arrivals: Sequence[Arrival]) -> list[Authentic | Refused]:
        apart = [authentic.apart(one) for one in arrivals]
        keys = self._keys_of({one.kid for one in apart if isinstance(one, Envelope)})

        def verdict(arrival: Arrival, found: Envelope | Refused) -> Authentic | Refused:
            return found if isinstance(found, Refused) else self._verify(arrival, found, keys)

        found = list(starmap(verdict, zip(arrivals, apart, strict=True)))
        while fresh := {kid: one for kid, one in turns.announced(found).items() if kid not in keys}:
            keys |= fresh  # what a successor signed may come in the same group as the batch that names it
            found = list(starmap(verdict, zip(arrivals, apart, strict=True)))
        return found

    def _keys_of(self, kids: set[str]) -> dict[str, Enrolled]:
        """Return keys as they were when they were last asked for: `_store` compares them before it believes them."""
        unknown = kids - self._keys.keys()
        if unknown:
            with self.store.read() as connection:
                fresh = keyring.of(connection, unknown)
            self._keys |= {kid: one for kid, one in fresh.items() if one.key.state == APPROVED}
        else:
            fresh = {}
        return {kid: one for kid in kids if (one := self._keys.get(kid) or fresh.get(kid)) is not None}

    def _verify(self, arrival: Arrival, found: Envelope, keys: dict[str, Enrolled]) -> Authentic | Refused:
        return authentic.believe(arrival, found, keys, self.log.collector)

    def _sealed(self, due: Sequence[Receipt]) -> tuple[tuple[str, str], ...]:
        """Return receipts of what this program has committed as the log's leader: true whoever leads it by now."""
        now = self.clock.wall()
        return tuple((one.agent, receipts.sealed(one, self.log.signer, now)) for one in due)

    def receipts(self) -> list[tuple[str, str]]:
        """Return the newest receipt of every agent, as (agent, text): what a broker is told at each connect."""
        with self.store.read() as connection:
            self.log.lead(connection)
            return list(receipts.everyone(connection, self.log, self.clock.wall()))

    def announcements(self) -> list[tuple[str, str]]:
        """Return what agents have to know beside receipts, as (agent, text): of restored logs and new keys."""
        with self.store.read() as connection:
            return generation.announcements(connection)

    def quarantined(self, connection: Connection) -> int:
        """Return how many refused messages are kept."""
        return quarantine.count(connection)
