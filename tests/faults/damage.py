"""A gateway that ran for some hours, its disk as a power cut would leave it, and copies of it to be damaged."""

import copy
import shutil
from dataclasses import dataclass
from pathlib import Path

from agent.daemon import Agent
from agent.ship.receipts import Desk
from agent.ship.salvage import decoded
from shared.batch import Batch, Event
from shared.intervals import Intervals
from tests.fakes_agent import LittleCollector
from tests.site_bench import Bench

FILES = ("outbox.sqlite", "outbox.sqlite-wal", "outbox.head")
INTERVAL = 3_000_000  # 36 kW in 300 s [mWh]


class Site:
    """The gateway before the damage."""

    def __init__(self, folder: Path, *, acknowledged: int, waiting: int) -> None:
        self.folder = folder
        folder.mkdir()
        self.bench = Bench(folder, a='serial = "0012345"', b='serial = "0054321"')
        self.bench.enrol()
        (folder / "enrolment.jws").write_text(self.bench.enrolled + "\n", encoding="ascii")
        self.bench.run(50 + 300 * acknowledged + 10, self._acknowledge, 300 * waiting, self._keep)

    def _acknowledge(self, agent: Agent) -> None:
        public = self.bench.collector.signer.verifier
        for text in agent.outbox.texts():
            self.bench.collector.take(text)
        desk = Desk(agent.outbox, "dc1-gw1", "central", {public.kid: public})
        desk.take(self.bench.collector.receipt("dc1-gw1", agent.outbox.head().epoch), self.bench.clock.wall())

    def _keep(self, agent: Agent) -> None:
        """Copy what is on disk while the agent runs: the log is not yet in the database."""
        self.texts = list(agent.outbox.texts())
        self.acked = agent.outbox.count()["acked"]
        self.epoch = agent.outbox.head().epoch
        for name in FILES:
            shutil.copy(self.folder / name, self.folder / f"kept-{name}")

    def copy(self, folder: Path) -> "Copy":
        """Return a gateway of its own with the same disk, keys and time, before the same collector."""
        folder.mkdir()
        shutil.copytree(self.folder / "keys", folder / "keys")
        shutil.copy(self.folder / "enrolment.jws", folder)
        for name in FILES:
            shutil.copy(self.folder / f"kept-{name}", folder / name)
        bench = Bench(folder, a='serial = "0012345"', b='serial = "0054321"')
        bench.enrolled = self.bench.enrolled
        bench.clock.advance((self.bench.clock.boot() - bench.clock.boot()) / 1_000_000)
        bench.collector = LittleCollector()
        bench.collector.__dict__ |= copy.copy(self.bench.collector.__dict__)
        for name in ("leaves", "acked", "ahead", "ring", "prev"):
            setattr(bench.collector, name, copy.copy(getattr(self.bench.collector, name)))
        return Copy(self, bench, folder)


@dataclass
class Copy:
    """The gateway after the damage."""

    site: Site
    bench: Bench
    folder: Path
    salvaged: bool = False

    def file(self, name: str) -> Path:
        """Return a file of its disk."""
        return self.folder / name

    def assert_told(self) -> int:
        """Run it twice; hold that nothing is lost silently; return how many batches are lost and named so.

        Every batch that waited is sent as it was, or its body again, or is named as lost; no number is wrong; the chain
        of what is sent holds at a collector that checks it; the second start finds nothing to repair.
        """
        journal, there = self.file(FILES[1]), self.file(FILES[0]).exists()
        before = journal.read_bytes() if journal.exists() else b""
        self.bench.run(610)
        self.bench.run(310)
        batches = self.bench.batches()  # its collector takes each: the chain holds
        values = {**self.bench.values("a"), **self.bench.values("b")}
        assert set(values.values()) <= {INTERVAL, None}
        events = [event for event in self.bench.events() if event.event == "outbox_salvaged"]
        assert len(events) <= 1, "it was repaired twice"
        self.salvaged = bool(events)
        if not events:
            assert {(one.epoch, one.seq) for one in batches} >= self._places(0)
            return 0
        kept = {path.name.partition(".sqlite")[2]: path.read_bytes() for path in self.folder.glob("outbox.damaged-*")}
        assert kept.get("-wal", b"") == before, "the log is not kept as it was found"
        assert ("" in kept) == there
        return self._assert_salvaged(batches, events[0])

    def _places(self, after: int) -> set[tuple[str, int]]:
        return {(one.epoch, one.seq) for one in map(decoded, self.site.texts[after:])}

    def _assert_salvaged(self, batches: list[Batch], event: Event) -> int:
        spans = event.detail["lost"]
        assert isinstance(spans, list)
        lost = {(epoch, seq) for epoch, first, last in spans for seq in range(first, last + 1)}
        held = {(one.epoch, one.seq) for one in batches}
        bodies = [one.body for one in batches]
        for text in self.site.texts[self.site.acked :]:
            one = decoded(text)
            place = one.epoch, one.seq
            assert place in held or place in lost or one.body in bodies, f"batch {one.seq} is lost silently"
            if place in lost and isinstance(one.body, Intervals):
                self._assert_named(one.body)
        return len(lost)

    def _assert_named(self, body: Intervals) -> None:
        """Hold that a signed gap names what a lost batch held, unless no batch is left that could tell."""
        named = [gap for gap in self.bench.gaps() if gap.start <= body.start and gap.stop >= body.start + body.length]
        if self.bench.bodies()[0].start < body.start:
            assert {gap.meter for gap in named} >= {block.meter for block in body.blocks}, body.start
