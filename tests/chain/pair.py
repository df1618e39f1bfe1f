"""A gateway's true outbox, sealer, trust and desk beside a true collector; the way between them is a call."""

import uuid
from pathlib import Path

from agent.ship import trust
from agent.ship.outbox import Outbox
from agent.ship.receipts import Desk
from agent.ship.seal import Sealer
from agent.ship.trust import Trust
from collector.intake import enrol
from collector.intake.authentic import Arrival
from shared import keys, record, rotation
from shared.batch import ClockState
from shared.clock import US
from shared.errors import TrustError
from shared.keys import Verifier
from tests.collector.conftest import Centre
from tests.fakes import ManualClock, reads

START = 1_772_460_000  # 2026-03-02T14:00:00Z


class Pair:
    """One gateway of a collector; `ship` brings what waits, and the receipts back."""

    def __init__(
        self, folder: Path, centre: Centre, name: str = "dc1-gw1", meter: str = "gt1-rev",
        next_key: Verifier | None = None,
    ) -> None:  # fmt: skip
        self.centre, self.name, self.meter, self.clock = centre, name, meter, centre.clock
        self.signer = keys.generate()
        self.outbox = Outbox(folder / f"{name}.sqlite")
        self.outbox.begin(uuid.uuid4().hex, self._enrolled(next_key))
        self.sealer = Sealer(self.outbox, self.signer, self.clock, ("central",), "dc1", name, self._word)
        self.sealer.seal_config({"schema": 1})
        self.refused: list[str] = []
        self.sealed = 0
        self.resume()

    def _enrolled(self, next_key: Verifier | None) -> str:
        centre, now = self.centre, self.clock.wall()
        token = enrol.issue(centre.store, agent=self.name, site="dc1", now=now)
        proof = enrol.proof(token, self.name, "dc1", self.signer)
        enrol.request(centre.store, token=token, key=keys.jwk(self.signer.verifier), proof=proof, now=now)
        return enrol.approve(
            centre.store,
            centre.log,
            agent=self.name,
            collector_key=centre.signer.verifier,
            by="anna",
            now=now,
            grant=enrol.Grant(next_key=next_key),
        )

    def _word(self) -> ClockState:
        return ClockState("S", "chrony", ((self.clock.boot(), self.clock.wall(), 850),))

    def resume(self) -> None:
        """Begin as after a restart of the agent: what it knows is what its disk holds."""
        text = self.outbox.enrolment()
        assert text is not None
        first = record.introduce(text)
        self.trust = Trust(self.outbox, first, trust.ring(trust.newest(self.outbox, first)))
        self.desk = Desk(self.outbox, self.name, "central", self.trust.keys)

    def meters(self, intervals: int) -> None:
        """Seal so many batches of one interval each: 1 kWh in every 5 minutes."""
        for _ in range(intervals):
            at = self.sealed
            self.pass_until(START + (at + 1) * 300)
            body = reads(START + at * 300, [1000 + at, 1001 + at], meter=self.meter)
            self.sealer.seal(("intervals", body))
            self.sealed += 1

    def pass_until(self, time: int) -> None:
        """Let a clock that is moved by hand go on to a time: what is sealed has happened. [UTC s]"""
        if isinstance(self.clock, ManualClock):
            self.clock.advance(max(0, time * US - self.clock.wall()) / US)

    def rotate(self) -> None:
        """Hand over to a new signing key."""
        following, head = keys.generate(), self.outbox.head()
        body = rotation.handing_over(self.name, head.epoch, head.seq + 1, following)
        self.sealer.seal(("key_rotate", body))
        self.signer = following
        self.sealer.signer = following

    @property
    def waiting(self) -> list[str]:
        """Return what the outbox would send, in order."""
        found = [self.outbox.batch(one.epoch, one.seq) for one in self.outbox.waiting(100_000)]
        return [text for text in found if text is not None]

    def ship(self, centre: Centre | None = None, window: int = 16) -> None:
        """Bring everything that waits, a window at a time, until nothing moves any more."""
        centre = centre or self.centre
        before = -1
        while (waiting := self.waiting) and len(waiting) != before:
            before = len(waiting)
            arrivals = [Arrival(self.name, text.encode("ascii")) for text in waiting[:window]]
            for _, receipt in centre.ledger.take(arrivals).receipts:
                self.hear(receipt)

    def connect(self, centre: Centre) -> None:
        """Hear what the collector tells at a new connection: records first, then the newest receipt."""
        self.connect_records(centre)
        for agent, text in centre.ledger.receipts():
            if agent == self.name:
                self.hear(text)

    def connect_records(self, centre: Centre) -> None:
        """Hear the records alone."""
        for agent, text in centre.ledger.announcements():
            if agent == self.name:
                self.trust.learn(text)

    def connect_quietly(self, centre: Centre) -> None:
        """Connect, and note what is not believed of the records, too."""
        try:
            self.connect(centre)
        except TrustError as error:
            self.refused.append(str(error))

    def hear(self, receipt: str) -> None:
        """Take a receipt, or note why it is not believed."""
        try:
            self.desk.take(receipt, self.clock.wall())
        except TrustError as error:
            self.refused.append(str(error))

    def texts(self) -> list[str]:
        """Return every sealed string."""
        return list(self.outbox.texts())
