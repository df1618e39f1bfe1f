"""Receipts that lie mark nothing; receipts that prove what they say mark exactly that."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.ship.receipts import Desk
from shared import keys, merkle
from shared.errors import BadProof, BadSignature, Malformed, TrustError, UnknownSigner, WrongIdentity
from shared.receipt import Checkpoint, Consistency
from tests.fakes import ManualClock
from tests.fakes_agent import Gateway, LittleCollector, gateway

AGENT = "dc1-gw1"


class World:
    """A gateway, its collector and the desk between them."""

    def __init__(self, folder: Path) -> None:
        self.gate: Gateway = gateway(folder, ManualClock())
        self.collector: LittleCollector = self.gate.collector
        public = self.collector.signer.verifier
        self.desk = Desk(self.gate.outbox, AGENT, "central", {public.kid: public})
        self.way = [next(self.gate.outbox.texts())]

    def deliver(self, count: int = 100) -> None:
        """Bring so many sealed batches to the collector."""
        for text in self.way[:count]:
            self.collector.take(text)
        del self.way[:count]

    def seal(self, count: int) -> None:
        self.way += self.gate.heartbeats(count)

    def receipt(self, **changes: object) -> str:
        return self.collector.receipt(AGENT, self.gate.epoch, **changes)

    @property
    def marked(self) -> tuple[int, object]:
        """Return what the desk has changed so far."""
        return self.gate.outbox.count()["acked"], self.gate.outbox.last_seen()


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.seal(3)
    made.deliver()
    return made


def _told(world: World) -> None:
    """Let the agent see a checkpoint, and let the collector know that it did."""
    world.desk.take(world.receipt(), 1)
    world.seal(2)
    world.deliver()


def test_a_true_receipt_marks_what_it_proves(world: World) -> None:
    world.seal(1)  # not delivered
    assert world.desk.take(world.receipt(), 1).acked == 4
    assert world.gate.outbox.count()["waiting"] == 1
    seen = world.gate.outbox.last_seen()
    assert seen is not None
    assert (seen.log, seen.size) == ("wattseal/central/1", 5)


def test_the_same_receipt_again_changes_nothing(world: World) -> None:
    text = world.receipt()
    world.desk.take(text, 1)
    before = world.marked
    assert world.desk.take(text, 2).acked == 0
    assert world.marked == before


def test_an_older_receipt_after_a_newer_one_changes_nothing(world: World) -> None:
    old = world.receipt()
    world.seal(2)
    world.deliver()
    world.desk.take(world.receipt(), 1)
    before = world.marked
    assert world.desk.take(old, 2).acked == 0
    assert world.marked == before


def test_what_the_collector_may_still_prove_from_outlives_the_retention(world: World) -> None:
    """After an outage longer than the retention, the batches on the way report checkpoints that are as old."""
    _told(world)
    world.desk.take(world.receipt(), 2)  # proves from 5; the agent now knows 7
    world.seal(2)
    assert world.gate.outbox.prune(2**62) == 5
    world.collector.stranger()
    world.desk.take(world.receipt(), 3)  # again from 5: nothing newer has reached the collector
    world.deliver()
    assert world.desk.take(world.receipt(), 4).acked == 2
    world.gate.outbox.prune(2**62)
    assert set(world.gate.outbox.seen(5)) == {world.collector.checkpoint().size}


def test_a_receipt_of_nothing_marks_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    assert world.desk.take(world.receipt(), 1).acked == 0
    assert world.marked == (0, None)


def _rewritten(world: World) -> LittleCollector:
    """Return the same collector with one leaf changed that somebody else owns."""
    other = LittleCollector()
    other.__dict__ |= {**world.collector.__dict__, "leaves": list(world.collector.leaves)}
    other.leaves[0] = merkle.leaf_hash(b"history rewritten")
    return other


LIES: dict[str, tuple[type[TrustError], Callable[[World], str]]] = {
    "a foreign agent": (WrongIdentity, lambda world: world.collector.receipt("dc1-gw2", world.gate.epoch)),
    "a foreign agent and nothing": (WrongIdentity, lambda world: world.collector.receipt("dc1-gw2", "0" * 32)),
    "a foreign collector": (WrongIdentity, lambda world: world.receipt(collector="east")),
    "a foreign epoch": (WrongIdentity, lambda world: world.receipt(epoch="0" * 32)),
    "a batch that was never sealed": (WrongIdentity, lambda world: world.receipt(acked_seq=99)),
    "another batch of that number": (WrongIdentity, lambda world: world.receipt(acked_hash=b"h" * 32)),
    "no hash": (WrongIdentity, lambda world: world.receipt(acked_hash=None)),
    "no position": (BadProof, lambda world: world.receipt(position=None)),
    "another position": (BadProof, lambda world: world.receipt(position=0)),
    "a position outside": (BadProof, lambda world: world.receipt(position=10**9)),
    "no inclusion": (BadProof, lambda world: world.receipt(inclusion=())),
    "a wrong inclusion": (BadProof, lambda world: world.receipt(inclusion=(b"x" * 32,) * 3)),
    "a checkpoint of another log": (
        WrongIdentity,
        lambda world: world.receipt(checkpoint=dataclasses.replace(world.collector.checkpoint(), origin="x/1")),
    ),
    "a root of its own": (
        BadProof,
        lambda world: world.receipt(checkpoint=dataclasses.replace(world.collector.checkpoint(), root=b"r" * 32)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_marks_nothing(world: World, lie: str) -> None:
    kind, tell = LIES[lie]
    before = world.marked
    with pytest.raises(kind):
        world.desk.take(tell(world), 1)
    assert world.marked == before


def test_a_forged_receipt_marks_nothing(world: World) -> None:
    text, before = world.receipt(), world.marked
    at = text.index(".") + 30
    changed = text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]
    world.collector.signer = keys.generate()
    for forged, kind in ((changed, BadSignature), (world.receipt(), UnknownSigner)):
        with pytest.raises(kind):
            world.desk.take(forged, 1)
    assert world.marked == before


@pytest.mark.parametrize("rubbish", ["", "x", "a.b.c", "\x00" * 10, "." * 300_000, "e" * 300_000])
def test_rubbish_marks_nothing(world: World, rubbish: str) -> None:
    before = world.marked
    with pytest.raises(Malformed):
        world.desk.take(rubbish, 1)
    assert world.marked == before


def test_a_header_of_deep_nesting_is_refused_and_not_a_crash(world: World) -> None:
    header = keys.b64url(b"[" * 100_000)
    with pytest.raises(Malformed):
        world.desk.take(f"{header}.e30.AAAA", 1)


def test_a_batch_is_no_receipt(world: World) -> None:
    with pytest.raises(Malformed):
        world.desk.take(world.gate.heartbeats(1)[0], 1)


def test_a_proof_of_continuity_is_owed_once_the_collector_was_told(world: World) -> None:
    _told(world)
    before = world.marked
    with pytest.raises(BadProof, match="does not prove that the log continues"):
        world.desk.take(world.receipt(consistency=None), 1)
    assert world.marked == before
    assert world.desk.take(world.receipt(), 1).acked == 2


def test_a_proof_from_a_checkpoint_that_was_never_seen_is_none(world: World) -> None:
    _told(world)
    world.seal(1)
    world.deliver()
    size = len(world.collector.leaves)
    proof = Consistency(3, tuple(merkle.consistency(world.collector.node, 3, size)))
    before = world.marked
    with pytest.raises(BadProof):
        world.desk.take(world.receipt(consistency=proof), 1)
    assert world.marked == before


def test_a_rewritten_log_marks_nothing(world: World) -> None:
    _told(world)
    before = world.marked
    with pytest.raises(BadProof, match="not a continuation"):
        world.desk.take(_rewritten(world).receipt(AGENT, world.gate.epoch), 1)
    assert world.marked == before


def test_two_roots_of_one_size_mark_nothing(world: World) -> None:
    world.desk.take(world.receipt(), 1)
    other = _rewritten(world)
    before = world.marked
    with pytest.raises(BadProof):
        world.desk.take(other.receipt(AGENT, world.gate.epoch), 1)
    assert world.marked == before


def test_a_stale_receipt_without_proof_does_not_change_what_was_seen(world: World) -> None:
    """A collector that rewrote its log may send an old acknowledgement in the new one."""
    world.desk.take(world.receipt(), 1)
    other = _rewritten(world)
    other.stranger()
    before = world.marked
    assert world.desk.take(other.receipt(AGENT, world.gate.epoch), 1).acked == 0
    assert world.marked == before


def test_the_log_of_another_generation_marks_nothing(world: World) -> None:
    _told(world)
    world.collector.log = "wattseal/central/2"
    before = world.marked
    with pytest.raises(BadProof, match="this agent follows"):
        world.desk.take(world.receipt(), 1)
    assert world.marked == before


def test_a_shrunken_log_marks_nothing(world: World) -> None:
    _told(world)
    before = world.marked
    small = Checkpoint(world.collector.log, 2, merkle.root_of(world.collector.leaves[:2]))
    with pytest.raises(BadProof):
        world.desk.take(world.receipt(checkpoint=small, position=1, inclusion=(world.collector.leaves[0],)), 1)
    assert world.marked == before


class AnyOrder(RuleBasedStateMachine):
    """A link that loses, repeats and reorders batches and receipts, and an agent that restarts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.receipts: list[str] = []

    @rule(count=st.integers(1, 4))
    def seal(self, count: int) -> None:
        self.world.seal(count)

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        self.world.deliver(count)

    @rule()
    def somebody_else_writes(self) -> None:
        self.world.collector.stranger()

    @rule()
    def receipt(self) -> None:
        self.receipts.append(self.world.receipt())

    @precondition(lambda self: self.receipts)
    @rule(chance=st.randoms(use_true_random=False))
    def read_any_receipt_again(self, chance: object) -> None:
        text = chance.choice(self.receipts)  # type: ignore[attr-defined] # hypothesis gives a random.Random
        try:
            self.world.desk.take(text, 1)
        except BadProof:  # an old one may lack the proof that is owed by now
            if text == self.receipts[-1]:
                raise

    @precondition(lambda self: self.receipts)
    @rule(at=st.integers(0, 10**6), letter=st.sampled_from("AZ09_-."))
    def read_a_receipt_with_a_changed_letter(self, at: int, letter: str) -> None:
        text = self.receipts[-1]
        at %= len(text)
        if text[at] == letter:
            return
        before = self.world.marked
        with pytest.raises(TrustError):
            self.world.desk.take(text[:at] + letter + text[at + 1 :], 1)
        assert self.world.marked == before

    @rule(lie=st.sampled_from(sorted(LIES)))
    def read_a_lie(self, lie: str) -> None:
        before = self.world.marked
        if self.world.collector.acked:
            with pytest.raises(TrustError):
                self.world.desk.take(LIES[lie][1](self.world), 1)
        assert self.world.marked == before

    @invariant()
    def only_what_the_collector_holds_is_marked(self) -> None:
        held = self.world.collector.acked.get(self.world.gate.epoch, (0,))[0]
        assert self.world.gate.outbox.acked(self.world.gate.epoch) <= held

    @invariant()
    def what_was_seen_is_a_prefix_of_the_log(self) -> None:
        seen = self.world.gate.outbox.last_seen()
        if seen is not None:
            assert merkle.root_of(self.world.collector.leaves[: seen.size]) == seen.root

    def teardown(self) -> None:
        self.world.deliver()
        self.world.desk.take(self.world.receipt(), 1)
        assert self.world.gate.outbox.count()["waiting"] == 0
        self.world.gate.outbox.close()
        self.folder.cleanup()


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
