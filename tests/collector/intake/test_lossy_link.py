"""The promise as a state machine: whatever the link does, what is sealed stands in the ledger exactly once."""

import random
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import select

from collector.intake.authentic import Arrival
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.store import schema
from collector.store.engine import open_store
from collector.store.migrate import migrate
from shared import envelope
from tests.collector.conftest import Centre


class LossyLink(RuleBasedStateMachine):
    """A true agent, a link that loses, doubles and reorders, and a collector that may restart."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store("sqlite", Path(self.folder.name))
        migrate(self.store)
        self.centre = Centre(self.store)
        self.agent = self.centre.agent()
        self.past: list[str] = []  # batches of epochs that ended
        self.way: list[str] = []  # on the link

    @rule(count=st.integers(1, 5))
    def seal(self, count: int) -> None:
        for _ in range(count):
            self.agent.heartbeat()

    @rule()
    def begin_an_epoch(self) -> None:
        self.past += self.agent.texts
        self.agent.begin(self.agent.head)

    @rule(chances=st.randoms(use_true_random=False), loss=st.floats(0, 0.9))
    def send(self, chances: random.Random, loss: float) -> None:
        """Send all that is not acknowledged, old epochs included, over a link that loses and doubles."""
        waiting = [*self.past, *self.agent.texts[self.agent.acked :]]
        self.way += [text for text in waiting for _ in range(2) if chances.random() > loss]

    @rule(chances=st.randoms(use_true_random=False), most=st.integers(1, 30), lost=st.booleans())
    def deliver(self, chances: random.Random, most: int, *, lost: bool) -> None:
        """Deliver some in any order, together with what nobody signed; the receipts may be lost."""
        chances.shuffle(self.way)
        arrived, self.way = self.way[:most], self.way[most:]
        octets = [text.encode() for text in arrived]
        octets += [octet[:-9] + b"AAAAAAAAA" for octet in octets[:1]]
        taken = self.centre.ledger.take([Arrival(self.agent.agent, octet) for octet in octets])
        for _, text in () if lost else taken.receipts:
            self.hear(text)

    @rule()
    def connect(self) -> None:
        for _, text in self.centre.ledger.receipts():
            self.hear(text)

    def hear(self, text: str) -> None:
        acked = self.agent.acked
        found = self.agent.believe(text) if self._is_of_now(text) else None
        assert self.agent.acked >= acked
        assert found is None or found.acked_seq <= len(self.agent.texts)

    def _is_of_now(self, text: str) -> bool:
        """Skip receipts of an epoch that ended: this little agent kept only what it seals now."""
        return self.agent.epoch in receipt_epoch(text)

    @rule()
    def restart_the_collector(self) -> None:
        log = Log(self.store, "central", self.centre.signer)
        self.centre.log, self.centre.ledger = log, Ledger(self.store, log, self.centre.clock)

    @invariant()
    def never_lost_never_twice_never_out_of_order(self) -> None:
        ledger = schema.ledger
        query = select(ledger.c.epoch, ledger.c.seq, ledger.c.state).where(ledger.c.typ == "batch")
        with self.store.read() as connection:
            rows = connection.execute(query.order_by(ledger.c.position)).all()
        for epoch in {row.epoch for row in rows}:
            seqs = [row.seq for row in rows if row.epoch == epoch]
            assert seqs == list(range(1, len(seqs) + 1))
        own = [row.seq for row in rows if row.epoch == self.agent.epoch]
        assert len(own) >= self.agent.acked

    def teardown(self) -> None:
        """At last the link heals: then all that was sealed is there, admitted and acknowledged."""
        try:
            self._heal()
        finally:
            self.store.close()
            self.folder.cleanup()

    def _heal(self) -> None:
        everything = [*self.past, *self.agent.texts]
        taken = self.centre.take(*everything)
        for _, text in taken.receipts:
            self.hear(text)
        assert self.agent.acked == len(self.agent.texts)
        ledger, stored = schema.ledger, schema.ledger_bytes
        with self.store.read() as connection:
            query = select(stored.c.jws, ledger.c.state).join(ledger, ledger.c.position == stored.c.position)
            rows = connection.execute(query.where(ledger.c.typ == "batch")).all()
            assert connection.execute(select(schema.parked.c.seq)).all() == []
        assert sorted(row.jws for row in rows) == sorted(everything)
        assert {row.state for row in rows} == {"admitted"}


def receipt_epoch(text: str) -> str:
    return envelope.payload(envelope.apart(text)).decode()


LossyLink.TestCase.settings = settings(max_examples=12, stateful_step_count=20, deadline=None)
test_whatever_the_link_does = LossyLink.TestCase
