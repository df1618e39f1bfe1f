"""A disk that fills up: acknowledged batches go first, what nobody else has never goes, what cannot be kept is named.

The true daemon in simulated time against the limit of the site file; tests/faults/test_full_disk.py does it on a disk.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.daemon import Agent
from agent.ship.pressure import BALLAST, Level
from agent.ship.receipts import Desk
from shared.batch import Event
from tests.site_bench import Bench

INTERVAL = 3_000_000  # 36 kW in 300 s [mWh]
METERS = {f"m{n}": "poll_s = 300" for n in range(4)}


class Filling(Bench):
    """A site whose outbox may be one megabyte, of which a batch takes a good part."""

    def _read(self) -> None:
        super()._read()
        up = self.site.uplink.model_copy(update={"max_outbox_MB": 1})
        self.site = self.site.model_copy(update={"uplink": up})

    def fill(self, agent: Agent, size: int = 70_000) -> None:
        """Seal a hundred kilobytes that hold no interval."""
        noise = Event(None, "noise", 1, 1, 1, {"text": "x" * size})
        agent.sealer.seal(("event", (noise,)))

    def fill_a_little(self, agent: Agent) -> None:
        """Seal a few kilobytes that hold no interval."""
        self.fill(agent, 9_000)

    def acknowledge(self, agent: Agent) -> None:
        """Let the collector take all and say so."""
        public = self.collector.signer.verifier
        for text in agent.outbox.texts():
            self.collector.take(text)
        desk = Desk(agent.outbox, "dc1-gw1", "central", {public.kid: public})
        desk.take(self.collector.receipt("dc1-gw1", agent.outbox.head().epoch), self.clock.wall())


@pytest.fixture
def bench(tmp_path: Path) -> Filling:
    return Filling(tmp_path, **METERS)  # type: ignore[arg-type] # meters by name


def _level(found: list[Level]) -> Callable[[Agent], object]:
    def look(agent: Agent) -> None:
        assert agent.pressure is not None
        found.append(agent.pressure.level)

    return look


def test_acknowledged_batches_go_first_and_early_where_they_must(bench: Filling) -> None:
    """A collector that answers keeps the outbox below its limit for ever; nothing that it lacks goes."""
    steps: list[float | Callable[[Agent], object]] = [300, bench.fill, bench.acknowledge]
    agent = bench.run(50, *steps * 20, 300)
    assert agent.pressure is not None
    assert agent.pressure.pruned_early > 0
    assert agent.pressure.level == Level.EASY
    assert agent.pressure.used <= 1_000_000
    texts = [batch.seq for batch in bench.batches()]
    assert texts == list(range(texts[0], texts[-1] + 1))
    assert texts[0] > 1
    assert texts[-1] >= 40


def test_what_is_not_acknowledged_never_goes_and_what_cannot_be_kept_is_a_signed_gap(
    bench: Filling, caplog: pytest.LogCaptureFixture
) -> None:
    levels: list[Level] = []
    sealed: list[int] = []

    def count(agent: Agent) -> None:
        agent.unsealed.most = 6
        sealed.append(agent.outbox.head().seq)

    bench.run(
        650, count, *[bench.fill] * 9, 600, *[bench.fill_a_little] * 5, *[300] * 40, _level(levels), count,
        bench.acknowledge, 900, _level(levels), count,
    )  # fmt: skip
    assert levels == [Level.FULL, Level.EASY]
    said = [record.getMessage() for record in caplog.records]
    assert said.index("outbox_tight") < said.index("outbox_full")
    assert said.count("outbox_refuses") < 5
    assert said.count("outbox_full") == 1
    assert "intervals_not_kept" in said
    assert said[-1:] != ["outbox_full"]
    assert (bench.folder / "ballast").stat().st_size == BALLAST
    _assert_named(bench, "m0")
    _assert_named(bench, "m3")
    assert sealed[-1] > sealed[-2]


def _assert_named(bench: Filling, meter: str) -> None:
    """Each interval is there or in a signed gap, never both; and the registers on both sides tell what is missing."""
    found = bench.values(meter)
    gaps = [gap for gap in bench.gaps() if gap.meter == meter]
    assert gaps
    assert {gap.reason for gap in gaps} == {"disk_full"}
    missing = {start for gap in gaps for start in range(gap.start, gap.stop, 300)}
    assert not missing & set(found)
    every = sorted(missing | set(found))
    assert every == list(range(every[0], every[-1] + 300, 300))
    assert set(found.values()) == {INTERVAL}
    blocks = bench.blocks(meter)
    first, last = blocks[0].registers["energy_active_import"], blocks[-1].registers["energy_active_import"]
    assert first.raw[0] is not None
    assert last.raw[-1] is not None
    advance = (last.raw[-1][0] - first.raw[0][0]) * first.mult  # type: ignore[operator] # integers of one register
    assert advance == INTERVAL * len(every)


def test_nearly_full_leaves_out_what_settles_nothing_and_says_so(bench: Filling) -> None:
    """The alarm is signed; the registers go on."""
    levels: list[Level] = []
    bench.run(350, *[bench.fill] * 9, *[step for _ in range(20) for step in (300, _level(levels))])
    first = levels.index(Level.TIGHT)
    assert set(levels[:first]) == {Level.EASY}
    assert [event.event for event in bench.events() if event.event != "noise"].count("outbox_tight") == 1
    assert all(value == INTERVAL for value in bench.values("m0").values())
