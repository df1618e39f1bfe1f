"""Small real implementations that tests put in the place of clocks and links."""

import asyncio
import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from fractions import Fraction

from shared import batch, envelope, receipt, registers
from shared.batch import Batch, Body, ClockState, Config, Place, Seen
from shared.clock import Discipline
from shared.intervals import Block, Intervals
from shared.keys import FileSigner, Verifier
from shared.receipt import Receipt
from shared.registers import Register


class ManualClock:
    """A clock that stands still until a test moves it (shared.clock.Clock)."""

    def __init__(self, wall: int = 1_772_460_000_000_000, boot: int = 864_000_000_000) -> None:
        """Start at 2026-03-02T14:00:00Z, ten days after boot. [us]"""
        self._wall, self._boot = wall, boot
        self.id = "2c1be4f06d0e4b6b9a37c5f1d8e02a44"
        self.word = Discipline("S", "chrony", 850)
        self._sleepers: list[tuple[int, asyncio.Future[None]]] = []

    def wall(self) -> int:
        """Return UTC. [us since the epoch]"""
        return self._wall

    def boot(self) -> int:
        """Return time since boot. [us]"""
        return self._boot

    def boot_id(self) -> str:
        """Return the id of this boot."""
        return self.id

    def discipline(self) -> Discipline:
        """Return who keeps the wall clock right."""
        return self.word

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved so far. [s]"""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._boot + round(seconds * 1_000_000), woken))
        await woken

    def advance(self, seconds: float) -> None:
        """Move both clocks, and wake who waited for it. [s]"""
        self._wall += round(seconds * 1_000_000)
        self._boot += round(seconds * 1_000_000)
        due = [woken for at, woken in self._sleepers if at <= self._boot]
        self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self._boot]
        for woken in due:
            if not woken.done():
                woken.set_result(None)

    def step(self, seconds: float) -> None:
        """Step the wall clock alone, as a person or a time server may do. [s]"""
        self._wall += round(seconds * 1_000_000)

    @property
    def next_wake(self) -> int | None:
        """Return when the next sleeper wants to wake. [boot us]"""
        return min((at for at, _ in self._sleepers), default=None)


class LittleAgent:
    """A true agent without meters: it seals real batches, and checks each receipt before it believes it."""

    def __init__(self, agent: str, site: str, enrolment: str, signer: FileSigner, collector: Verifier) -> None:
        self.agent, self.site, self.enrolment, self.signer = agent, site, enrolment, signer
        self.ring = {collector.kid: collector}
        self.clock = ManualClock()
        self.seen: dict[int, Seen] = {}
        self.begin(None)

    def begin(self, previous: Place | None, epoch: str | None = None) -> None:
        """Begin an epoch with its configuration."""
        self.epoch = epoch or uuid.uuid4().hex
        self.texts: list[str] = []
        self.reported: dict[int, int] = {}  # sequence: size of the checkpoint in that batch
        self.acked = 0
        self.seal("config", Config(previous, {"schema": 1}))

    def seal(self, kind: str, body: Body, **changes: object) -> str:
        """Return the next batch of the chain; what it tells has passed by then."""
        if isinstance(body, Intervals):
            self._wait(max((at for at in body.boundaries if at is not None), default=0))
        seq = len(self.texts) + 1
        prev = envelope.digest(self.texts[-1] if self.texts else self.enrolment)
        seen = self.seen[max(self.seen)] if self.seen else None
        made = Batch(
            aud=("central",), site=self.site, agent=self.agent, epoch=self.epoch, seq=seq, prev=prev,
            created=self.clock.wall() + seq, boot=self.clock.boot_id(),
            clock=ClockState("S", "chrony", ((self.clock.wall(), self.clock.wall(), 850),)), config=1,
            software="wattseal/0.1.0", seen=seen, kind=kind, body=body,
        )  # fmt: skip
        made = dataclasses.replace(made, **changes)  # type: ignore[arg-type] # a test changes what it likes
        text = envelope.seal(batch.encode(made), envelope.BATCH, self.signer)
        if seen is not None:
            self.reported[seq] = seen.size
        self.texts.append(text)
        return text

    def _wait(self, boundary: int) -> None:
        """Let its clock go on to a boundary of `reads`, whose boot clock is UTC. [us]"""
        self.clock.advance(max(0, boundary - self.clock.wall()) / 1_000_000)

    def heartbeat(self) -> str:
        """Return a batch that says nothing."""
        return self.seal("heartbeat", None)

    def believe(self, text: str) -> Receipt:
        """Return a receipt that is proved, and remember what it acknowledges."""
        found = receipt.believe(text, self.ring)
        told = any(seq <= found.acked_seq for seq in self.reported)
        sent = dict(enumerate(self.texts, start=1)) if found.epoch == self.epoch else {}
        receipt.check(found, agent=self.agent, sent=sent, seen=self.seen if told else {})
        point = found.checkpoint
        self.seen[point.size] = Seen(point.origin, point.size, point.root)
        self.acked = max(self.acked, found.acked_seq)
        return found

    @property
    def head(self) -> Place:
        """Return the newest place of the chain."""
        return Place(self.epoch, len(self.texts), envelope.digest(self.texts[-1]))


def reads(
    start: int,
    levels: Sequence[int | None],
    *,
    length: int = 300,
    meter: str = "gt1-rev",
    serial: str | None = "001",
    quantity: str = "energy_active_export",
    mod: int | None = None,
    flags: Sequence[int] | None = None,
    mult: int = 1000,
    stats: Mapping[str, tuple[int | None, ...]] | None = None,
    source: str = "poll",
) -> Intervals:
    """Return the body of a batch with one read of one register 40 ms after each boundary. levels: [raw counts]"""
    n, base = len(levels) - 1, start * 1_000_000
    boundaries = tuple(base + k * length * 1_000_000 for k in range(n + 1))
    at = tuple(None if level is None else (b + 40_000,) for level, b in zip(levels, boundaries, strict=True))
    raw = tuple(None if level is None else (level,) for level in levels)
    bare = Register("int", raw, Fraction(mult), mod, mult, tuple(flags or (0,) * (n + 1)), ())
    whole = dataclasses.replace(bare, values=tuple(registers.values(bare, at, boundaries)))
    kept = () if source == "poll" else (at, (0, 0))  # a meter's clock that began with ours
    block = Block(meter, serial, "device", source, at, {quantity: whole}, dict(stats or {}), (30,) * n, *kept)
    return Intervals(length, start, n, "default", boundaries, (block,))
