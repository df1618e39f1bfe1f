"""A collector's intake on either backend, and agents that it has enrolled."""

from collections.abc import Callable

import pytest

from collector.intake import enrol
from collector.intake.authentic import Arrival
from collector.intake.ledger import Ledger, Taken
from collector.intake.log import Log
from collector.store.engine import Store
from shared import batch, envelope, keys
from shared.errors import TrustError
from shared.keys import FileSigner, Signer
from tests.fakes import LittleAgent, ManualClock


class Centre:
    """The intake of a collector named `central`, with its keys and its clock."""

    def __init__(self, store: Store, signer: Signer | None = None, clock: ManualClock | None = None) -> None:
        self.store, self.clock, self.signer = store, clock or ManualClock(), signer or keys.generate()
        self.log = Log(store, "central", self.signer)
        self.follows = True  # its clock goes with the gateways': a test that sets it itself says False
        self.ledger = Ledger(store, self.log, self.clock)

    def agent(self, name: str = "dc1-gw1", site: str = "dc1", signer: FileSigner | None = None) -> LittleAgent:
        """Return a new agent, enrolled by token, proof and approval."""
        signer = signer or keys.generate()
        token = enrol.issue(self.store, agent=name, site=site, now=self.clock.wall())
        proof = enrol.proof(token, name, site, signer)
        enrol.request(self.store, token=token, key=keys.jwk(signer.verifier), proof=proof, now=self.clock.wall())
        enrolment = enrol.approve(
            self.store, self.log, agent=name, collector_key=self.signer.verifier, by="anna", now=self.clock.wall()
        )
        return LittleAgent(name, site, enrolment, signer, self.signer.verifier)

    def take(self, *texts: str, topic: str | None = None) -> Taken:
        """Return what became of some strings in one group."""
        if self.follows:
            for text in texts:
                self._follow(text)
        return self.ledger.take([Arrival(topic, text.encode("utf-8", "surrogateescape")) for text in texts])

    def _follow(self, text: str) -> None:
        """Let time go on to when a gateway with a right clock sealed something."""
        try:
            found = batch.decode(envelope.payload(envelope.apart(text)))
        except (TrustError, ValueError):
            return  # what is sent to be refused says nothing of the time
        if found.clock.status == "S":
            self.clock.advance(max(0, found.created - self.clock.wall()) / 1_000_000)


@pytest.fixture
def centre(store: Store) -> Centre:
    """Return an intake over an empty store."""
    return Centre(store)


@pytest.fixture
def make_centre() -> Callable[[Store], Centre]:
    """Return how to make one over a store of the test's own."""
    return Centre
