"""Small real implementations around an agent: a collector with a Merkle log, and a link with meters behind it."""

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agent.acquire.drivers.base import BlockRead, Identity, MeterClock, Recorded, Refused, Target, Unreachable
from agent.acquire.plan import Block, plan
from agent.acquire.points import Setting
from agent.ship.outbox import Outbox
from agent.ship.seal import Sealer
from shared import batch, envelope, keys, merkle, receipt, record
from shared.batch import ClockState, Event, Head
from shared.clock import Clock
from shared.errors import ReadError
from shared.keys import FileSigner, Signer
from shared.receipt import Checkpoint, Consistency, Receipt
from shared.record import Record


class LittleCollector:
    """A true collector without meaning: it verifies, appends to a Merkle tree, and proves that it did."""

    def __init__(self, name: str = "central") -> None:
        self.name, self.log, self.signer = name, f"wattseal/{name}/1", keys.generate()
        self.leaves: list[bytes] = []
        self.acked: dict[str, tuple[int, bytes, int]] = {}  # by epoch: sequence, hash, position
        self.told: int | None = None  # size of the checkpoint that the agent reported last
        self.ahead: dict[tuple[str, int], str] = {}
        self.ring: dict[str, keys.Verifier] = {}
        self.prev: dict[str, bytes] = {}

    def enrol(self, agent: str, site: str, signer: Signer) -> str:
        """Return the enrolment record of an agent, now a leaf."""
        self.ring[signer.kid] = signer.verifier
        body: dict[str, object] = {
            "agent": agent, "site": site, "key": keys.jwk(signer.verifier), "assurance": "software",
            "collector_key": keys.jwk(self.signer.verifier), "next_collector_key": None,
        }  # fmt: skip
        text = record.seal(Record(self.name, self.log, "enrolment", 1, "anna", body), self.signer)
        self._append(text)
        return text

    def _append(self, text: str) -> int:
        self.leaves.append(merkle.leaf_hash(text.encode("ascii")))
        return len(self.leaves) - 1

    def stranger(self) -> None:
        """Append somebody else's leaf."""
        self._append(uuid.uuid4().hex)

    def take(self, text: str) -> None:
        """Admit a batch: in order it becomes a leaf, ahead of order it waits, known it changes nothing."""
        head = batch.head(envelope.believe(text, envelope.BATCH, self.ring))
        self.ahead[head.epoch, head.seq] = text
        while (following := (head.epoch, self.acked.get(head.epoch, (0,))[0] + 1)) in self.ahead:
            self._admit(self.ahead.pop(following))

    def _admit(self, text: str) -> None:
        head: Head = batch.head(envelope.believe(text, envelope.BATCH, self.ring))
        known = self.acked.get(head.epoch)
        if known is not None and head.prev != known[1]:
            raise AssertionError("the chain is broken")
        self.acked[head.epoch] = head.seq, envelope.digest(text), self._append(text)
        self.told = self.told if head.seen is None else head.seen.size

    def receipt(self, agent: str, epoch: str, /, **changes: object) -> str:
        """Return the receipt of an epoch; `changes` make it a lie."""
        seq, hashed, position = self.acked.get(epoch, (0, None, None))
        size = len(self.leaves)
        path = () if position is None else tuple(merkle.inclusion(self.node, position, size))
        told = self.told
        proof = None if told is None else Consistency(told, tuple(merkle.consistency(self.node, told, size)))
        made = Receipt(
            self.name, self.log, agent, epoch, seq, hashed, position, 1, (), (), self.checkpoint(), path, proof
        )
        return receipt.seal(dataclasses.replace(made, **changes), self.signer)  # type: ignore[arg-type] # a test lies as it likes

    def checkpoint(self) -> Checkpoint:
        """Return size and root of the log."""
        return Checkpoint(self.log, len(self.leaves), merkle.root_of(self.leaves))

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree."""
        return merkle.root_of(self.leaves[index << level : (index + 1) << level])


@dataclass
class Gateway:
    """An enrolled outbox with its sealer, and the collector that enrolled it."""

    outbox: Outbox
    sealer: Sealer
    collector: LittleCollector
    signer: FileSigner
    enrolment: str

    @property
    def epoch(self) -> str:
        """Return the epoch in force."""
        return self.outbox.head().epoch

    def heartbeats(self, count: int) -> list[str]:
        """Seal so many batches that say nothing."""
        return [self.sealer.seal(("heartbeat", None))[0].text for _ in range(count)]

    def event(self, size: int) -> str:
        """Seal a batch of about that size. [bytes]"""
        return self.sealer.seal(("event", (Event(None, "noise", 1, 1, 1, {"text": "x" * (size * 3 // 4)}),)))[0].text


def gateway(folder: Path, clock: Clock, collector: LittleCollector | None = None) -> Gateway:
    """Return a gateway `dc1-gw1` that has sealed its configuration."""
    collector, signer = collector or LittleCollector(), keys.generate()
    enrolment = collector.enrol("dc1-gw1", "dc1", signer)
    outbox = Outbox(folder / "outbox.sqlite")
    outbox.begin(uuid.uuid4().hex, enrolment)

    def word() -> ClockState:
        return ClockState("S", "chrony", ((clock.boot(), clock.wall(), 850),))

    sealer = Sealer(outbox, signer, clock, ("central",), "dc1", "dc1-gw1", word)
    sealer.seal_config({"schema": 1})
    return Gateway(outbox, sealer, collector, signer, enrolment)


Law = Callable[[int], int]  # boot us -> raw register


@dataclass
class Bus:
    """A link (drivers.base.Driver) to meters whose registers are functions of time; each answers in `answer_us`."""

    clock: Clock
    laws: dict[str, Law]
    serials: dict[str, str] = field(default_factory=dict)
    settings: dict[str, dict[str, Setting]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    missing: dict[str, set[int]] = field(default_factory=dict)  # addresses that a meter lacks
    refuses: dict[str, int] = field(default_factory=dict)  # exception code with which a meter answers every request
    down: bool = False
    identities: list[str] = field(default_factory=list)
    #: By meter: how far its own clock is ahead [us]; by it, the meter labels what it keeps every `keeps_s`.
    ahead: dict[str, int] = field(default_factory=dict)
    keeps_s: int = 300
    holes: set[int] = field(default_factory=set)  # labels of entries that no recorder has [us]
    kept: Callable[[str, int], int] | None = None  # what a recorder holds of a label, where that is not the law's
    recalls: list[int] = field(default_factory=list)  # when a recorder was asked [boot us]
    recall_refusals: int = 0  # so many recalls more are refused
    answer_us: int = 20_000

    def blocks(self, target: Target) -> tuple[Block, ...]:
        """Return the requests that bring all points of a meter."""
        return plan(target.profile.points)

    async def read(self, target: Target, block: Block, timeout_s: float) -> BlockRead:
        """Return what the law gives at the moment of the answer."""
        sent = self.clock.boot()
        await self._answer(target.id, timeout_s)
        if self.missing.get(target.id, set()) & set(range(block.address, block.address + block.count)):
            raise Refused(f"{target.id}: exception 02", 2)
        at = self.clock.boot()
        raw = self.laws[target.id]((sent + at) // 2)
        registers = {point.quantity: raw for point in block.points if point.kind == "register"}
        values = {point.quantity: 1000 for point in block.points if point.kind != "register"}
        return BlockRead(target.id, block.index, sent, at, registers, values)

    async def _answer(self, meter: str, timeout_s: float) -> None:
        if self.down:
            await self.clock.sleep(timeout_s)
            raise Unreachable("bus: no connection")
        if meter in self.silent:
            await self.clock.sleep(timeout_s)
            raise ReadError(f"{meter}: no answer")
        await self.clock.sleep(self.answer_us / 1_000_000)
        if meter in self.refuses:
            raise Refused(f"{meter}: exception {self.refuses[meter]:02X}", self.refuses[meter])

    async def resolve(self, target: Target, timeout_s: float) -> Target:  # noqa: ARG002 - nothing is to be found
        """Return the meter as it is."""
        return target

    async def identity(self, target: Target, timeout_s: float) -> Identity:
        """Return the serial number of the meter that stands there now."""
        await self._answer(target.id, timeout_s)
        self.identities.append(target.id)
        return Identity(self.serials.get(target.id), self.settings.get(target.id, {}), self._told(target.id))

    def _told(self, meter: str) -> MeterClock | None:
        boot = self.clock.boot()
        ahead = self.ahead.get(meter)
        return None if ahead is None else MeterClock(self.clock.wall() + ahead, boot, boot)

    async def recorded(self, target: Target, start_us: int, stop_us: int, timeout_s: float) -> list[Recorded]:
        """Return the law's registers at each multiple of `keeps_s` by the meter's own clock."""
        await self._answer(target.id, timeout_s)
        self.recalls.append(self.clock.boot())
        if len(self.recalls) <= self.recall_refusals:
            raise Refused(f"{target.id}: exception 04", 4)
        step, ours = self.keeps_s * 1_000_000, self.clock.wall() - self.clock.boot()
        stop_us = min(stop_us, self.clock.wall() + self.ahead[target.id] + 1)
        labels = [one for one in range(-(-start_us // step) * step, stop_us, step) if one not in self.holes]
        law = self.kept or (lambda meter, label: self.laws[meter](label - self.ahead[meter] - ours))
        names = [point.quantity for point in target.profile.points if point.kind == "register"]
        return [Recorded(name, label, law(target.id, label)) for label in labels for name in names]

    async def close(self) -> None:
        """Close the link."""
