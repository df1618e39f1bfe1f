"""The protocol as a state machine against a hostile broker (facts/trust.md, test 5).

Two gateways, a collector, and a broker that does what Hypothesis wants: it loses, doubles, reorders, damages, keeps old
receipts and forgets. Both ends crash at any step, are rolled back, cloned and restored. After each step the promise is
held; in the end the world heals, and everything that was ever sealed stands in the ledger.
"""

import itertools
import logging
import os
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.intake.intake import Message
from collector.store.engine import SQLITE_FILE, open_store
from collector.store.migrate import migrate
from shared import topics
from tests.fakes import ManualClock
from tests.simulation.machines import Collector, Machine
from tests.simulation.world import World

EXAMPLES = int(os.environ.get("WATTSEAL_EXAMPLES", "10000"))
SHRINKS = os.environ.get("WATTSEAL_SHRINK") == "true"  # it takes minutes; a failure's steps are printed either way
NAMES = ("dc1-gw1", "dc1-gw2")
MOST_ON_THE_WAY = 200
Which = st.sampled_from(NAMES)
Chances = st.randoms(use_true_random=False)


def _migrated() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="wattseal-protocol-"))
    opened = open_store("sqlite", folder)
    migrate(opened)
    opened.close()
    return folder / SQLITE_FILE


class Protocol(RuleBasedStateMachine):
    """The whole protocol."""

    template: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        self.folder = Path(tempfile.mkdtemp(prefix="wattseal-protocol-"))
        world = World(1)
        self.numbers = itertools.count(1)
        self.clock = ManualClock()
        (self.folder / "centre").mkdir()
        Protocol.template = Protocol.template or _migrated()
        shutil.copyfile(Protocol.template, self.folder / "centre" / SQLITE_FILE)
        self.centre = Collector(self.folder / "centre", world.key("central"), self.clock)
        self.machines = [Machine(self.folder / name, name, world.key(name), self.clock) for name in NAMES]
        for machine in self.machines:
            self.centre.enrol(machine, self._epoch())
        self.way: list[tuple[str, bytes]] = []  # batches between a gateway and the collector
        self.past: list[tuple[str, str]] = []  # every receipt and announcement that was ever published
        self.forked: set[str] = set()
        self.images: dict[str, Path] = {}
        self.backup: Path | None = None

    def _epoch(self) -> str:
        return f"{next(self.numbers):032x}"

    def _of(self, name: str) -> list[Machine]:
        return [one for one in self.machines if one.name == name]

    # -- what both ends do --------------------------------------------------------------------------------------------

    @rule(name=Which, count=st.integers(1, 20), fuse=st.none() | st.integers(0, 6))
    def seal(self, name: str, count: int, fuse: int | None) -> None:
        for machine in self._of(name):
            self.clock.advance(1)
            machine.hazard.fuse = fuse
            machine.seal(count)
            machine.hazard.fuse = None

    @rule(name=Which)
    @precondition(lambda self: not self.forked)
    def begin_an_epoch(self, name: str) -> None:
        for machine in self._of(name):
            machine.begin(self._epoch())

    @rule(name=Which, seconds=st.sampled_from((1, 31, 1000)))
    def send(self, name: str, seconds: int) -> None:
        self.clock.advance(seconds)
        for machine in self._of(name):
            self.way += [(name, text.encode()) for text in machine.courier.due()]
        del self.way[:-MOST_ON_THE_WAY]

    @rule(chances=Chances, most=st.integers(1, 64), fuse=st.none() | st.integers(0, 8))
    def deliver(self, chances: random.Random, most: int, fuse: int | None) -> None:
        """Deliver some batches in any order; what a crash keeps from being acknowledged comes again."""
        chances.shuffle(self.way)
        group, self.way = self.way[:most], self.way[most:]
        open_ends = dict(enumerate(group))

        def done(at: int) -> None:
            open_ends.pop(at, None)

        messages = [Message(topics.batch(name), octets, partial(done, at)) for at, (name, octets) in enumerate(group)]
        self.centre.hazard.fuse = fuse
        self.centre.take(messages)
        self.centre.hazard.fuse = None
        self.way += open_ends.values()

    @rule(fuse=st.none() | st.integers(0, 3))
    def greet(self, fuse: int | None) -> None:
        self.centre.hazard.fuse = fuse
        self.centre.greet()
        self.centre.hazard.fuse = None

    @rule(chances=Chances, loss=st.sampled_from((0.0, 0.3, 0.9)), fuse=st.none() | st.integers(0, 4))
    def hear(self, chances: random.Random, loss: float, fuse: int | None) -> None:
        """Deliver what the collector has published, in any order and some of it twice."""
        out, self.centre.out = self.centre.out, []
        self.past += out
        told = [one for one in out for _ in range(chances.choice((1, 1, 2))) if chances.random() >= loss]
        chances.shuffle(told)
        self._tell(told, fuse)

    def _tell(self, told: list[tuple[str, str]], fuse: int | None = None) -> None:
        for topic, text in told:
            for machine in self._of(topics.agent_of(topic)):
                machine.hazard.fuse = fuse
                machine.hear(topic, text.encode())
                machine.hazard.fuse = None

    # -- what the broker does -----------------------------------------------------------------------------------------

    @rule(chances=Chances, share=st.sampled_from((0.2, 1.0)))
    def lose(self, chances: random.Random, share: float) -> None:
        """Say PUBACK and forget."""
        self.way = [one for one in self.way if chances.random() >= share]

    @rule()
    def double(self) -> None:
        self.way = (self.way * 2)[-MOST_ON_THE_WAY:]

    @rule(chances=Chances)
    def damage(self, chances: random.Random) -> None:
        if self.way:
            at = chances.randrange(len(self.way))
            name, octets = self.way[at]
            place = chances.randrange(len(octets))
            self.way[at] = name, octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]

    @rule(name=Which, chances=Chances, foreign=st.booleans())
    def keep_something_old(self, name: str, chances: random.Random, *, foreign: bool) -> None:
        """Retain an old receipt or announcement, perhaps another gateway's."""
        topic, of = topics.receipt(name), [one for one in self.past if foreign or topics.agent_of(one[0]) == name]
        if of:
            old = chances.choice(of)
            self._tell([(topic if foreign else old[0], old[1])])

    @rule()
    def wipe(self) -> None:
        self.way, self.centre.out = [], []
        for machine in self.machines:
            machine.courier.connected()
        self.centre.greet()

    # -- what befalls the machines ------------------------------------------------------------------------------------

    @rule(name=Which)
    def restart_an_agent(self, name: str) -> None:
        for machine in self._of(name):
            machine.restart()

    @rule()
    def restart_the_collector(self) -> None:
        self.centre.restart()

    @rule(name=Which)
    def make_an_image(self, name: str) -> None:
        self.images[name] = self.folder / f"{name}.image"
        self._of(name)[0].image(self.images[name])

    @rule(name=Which)
    @precondition(lambda self: self.images)
    def roll_back(self, name: str) -> None:
        if name in self.images:
            self.forked.add(name)
            self._of(name)[0].roll_back(self.images[name])

    @rule(name=Which)
    @precondition(lambda self: len(self.machines) == len(NAMES))
    def clone(self, name: str) -> None:
        self.forked.add(name)
        first = self._of(name)[0]
        made = Machine(self.folder / f"{name}-clone", name, first.signer, self.clock)
        made.folder.mkdir()
        first.image(made.path)
        made.start()
        made.look()
        self.machines.append(made)

    @rule()
    def back_up(self) -> None:
        self.backup = self.folder / "backup.db"
        self.centre.backup(self.backup)

    @rule()
    @precondition(lambda self: self.backup is not None)
    def restore(self) -> None:
        if self.backup is not None:
            self.centre.restore(self.backup)
            self.centre.greet()

    # -- the promise --------------------------------------------------------------------------------------------------

    @invariant()
    def what_is_acknowledged_is_durable(self) -> None:
        """Of gateways that have heard of the newest generation; the others un-mark when they hear of it."""
        stands = {row[4] for row in self.centre.rows()}
        for machine in self.machines:
            if (machine.outbox.get("followed") or "wattseal/central/1") == self.centre.log.id:
                assert not set(machine.acked()) - stands

    @invariant()
    def each_stands_once_and_chains_have_no_hole(self) -> None:
        rows = self.centre.rows()
        assert len({row[4] for row in rows}) == len(rows)
        chains: dict[tuple[str, str], list[int]] = {}
        for agent, epoch, seq, state, _ in rows:
            if state != "fork":
                chains.setdefault((agent, epoch), []).append(seq)
        assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in chains.values())

    @invariant()
    def nothing_was_never_sealed(self) -> None:
        everything = {text for machine in self.machines for text in machine.everything}
        assert {row[4] for row in self.centre.rows()} <= everything

    def teardown(self) -> None:
        try:
            self._heal()
        finally:
            for machine in self.machines:
                machine.outbox.close()
            self.centre.store.close()
            shutil.rmtree(self.folder)
            logging.disable(logging.NOTSET)

    def _heal(self) -> None:
        self.way = []
        for machine in self.machines:
            machine.seal(1)  # as every gateway does within five minutes
        for _ in range(200):
            self.clock.advance(2000)
            self.centre.greet()
            out, self.centre.out = self.centre.out, []
            self._tell(out)
            sent = [(one.name, text) for one in self.machines for text in one.courier.due()]
            if not sent:
                break
            self.centre.take([Message(topics.batch(name), text.encode(), lambda: None) for name, text in sent])
            out, self.centre.out = self.centre.out, []
            self._tell(out)
        self._all_is_there()

    def _all_is_there(self) -> None:
        states: dict[str, str] = {row[4]: row[3] for row in self.centre.rows()}
        for machine in self.machines:
            sealed = list(machine.sealed.values())  # what was only on a disk that is gone is promised to nobody
            assert not [text for text in sealed if text not in states], "everything stands in the ledger"
            if machine.name not in self.forked:
                assert {states[text] for text in sealed} == {"admitted"}
                assert machine.outbox.count()["waiting"] == 0


CALM = settings(
    deadline=None, suppress_health_check=list(HealthCheck), database=None,
    phases=(Phase.generate, Phase.shrink) if SHRINKS else (Phase.generate,),
)  # fmt: skip


class Campaign(Protocol):
    """The same, for long."""


Protocol.TestCase.settings = settings(CALM, max_examples=6, stateful_step_count=25, derandomize=True)
Campaign.TestCase.settings = settings(CALM, max_examples=EXAMPLES, stateful_step_count=50)
test_whatever_broker_and_machines_do = Protocol.TestCase
test_a_campaign_against_broker_and_machines = pytest.mark.soak(pytest.mark.timeout(0)(Campaign.TestCase))
