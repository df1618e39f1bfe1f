"""The same signed strings, the same key and the same commands give the same bytes on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.intake import enrol
from collector.intake.authentic import Arrival
from collector.intake.ledger import Ledger
from collector.intake.log import Log
from collector.settle import folder, release
from collector.settle.release import Made, Request
from collector.settle.rounding import Carry
from collector.settle.sources import channels, channels_of, numbers
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from collector.vee.run import catch_up
from shared import keys, master
from shared.keys import FileSigner
from shared.master import PointVersion
from shared.release import instant
from shared.verify import Ring
from shared.verify_release import release as verify
from tests.fakes import LittleAgent, ManualClock, reads
from tests.results import results

T0 = 1_772_460_000
DAY = (T0, T0 + 7200)
NAME = "dc1/gt1-rev.energy_active_export"
POINTS = (
    PointVersion("gt1", 0, "generation", NAME, 900, "energy_active_export", ()),
    PointVersion("hall", 0, "load", "dc1/hall-a.energy_active_import", 300, "energy_active_import", ()),
    PointVersion("loss", 0, "load", "0.0175 * hall", 300, "energy_active_import", ()),
    PointVersion("net", 0, "grid", "gt1 - 0.97 * dc1/hall-a.energy_active_import", 900, "energy_active_net", ()),
)


class Collector:
    """A collector over a store, with a key and a clock that are given."""

    def __init__(self, store: Store, signer: FileSigner, agent: FileSigner) -> None:
        self.store, self.signer, self.clock = store, signer, ManualClock()
        self.log = Log(store, "central", signer)
        self.ledger = Ledger(store, self.log, self.clock)
        now = self.clock.wall()
        token = enrol.issue(store, agent="dc1-gw1", site="dc1", now=now)
        proof = enrol.proof(token, "dc1-gw1", "dc1", agent)
        enrol.request(store, token=token, key=keys.jwk(agent.verifier), proof=proof, now=now)
        own = signer.verifier
        self.enrolment = enrol.approve(store, self.log, agent="dc1-gw1", collector_key=own, by="anna", now=now)
        with store.write() as connection:
            self.log.record(connection, "points", master.body(POINTS), by="anna", now=now)

    def take(self, exported: Path) -> None:
        """Take the strings of an export in, as `import` does."""
        lines = exported.read_bytes().splitlines()
        self.clock.advance(7260)  # what is exported has happened
        outcomes = self.ledger.take([Arrival(None, line) for line in lines]).outcomes
        assert {one.verdict for one in outcomes} <= {"stored", "repeated"}

    def make(self, kind: str) -> Made:
        catch_up(self.store, self.log, self.clock)
        asked = Request(*DAY, kind)
        with self.store.write() as connection:
            return release.make(
                connection, self.log, self.signer, asked, timezone="Europe/Berlin", now=self.clock.wall()
            )  # fmt: skip

    def values(self, size: int) -> list[tuple[str, list[int | None]]]:
        """Return the points' values as they stood at a size of the log."""
        span = range(*DAY)
        with self.store.read() as connection:
            refs = channels_of(POINTS, [one.id for one in POINTS], T0)
            known = channels(connection, numbers(connection), refs, span, size)
            found = results(POINTS, [one.id for one in POINTS], known, span, Carry("Europe/Berlin"))
        return [(one.point.id, [one.evaluated.value(at) for at in range(len(one.evaluated.values))]) for one in found]

    def on_disk(self, made: Made, out: Path) -> dict[str, bytes]:
        """Return every file of a release with its evidence, by name."""
        target = folder.write(made, out)
        with self.store.read() as connection:
            folder.evidence(connection, self.log, made, self.signer.verifier, target)
        return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


@pytest.fixture
def stores(tmp_path: Path, postgres_url: str) -> Iterator[tuple[Store, Store]]:
    """Give an empty store of either kind."""
    opened = open_store("sqlite", tmp_path / "sqlite"), open_store(postgres_url, tmp_path / "postgresql")
    for one in opened:
        migrate(one)
    yield opened
    for one in opened:
        one.close()


def sealed(agent: LittleAgent) -> tuple[list[str], list[str]]:
    """Return what arrives in time, and what arrives late: two meters, a rollover, gaps inside."""
    for at in range(24):
        known = [None if k in (5, 6, 13) else 1_000 + 137 * k + k * k for k in (at, at + 1)]
        agent.seal("intervals", reads(T0 + 300 * at, known))
        rolled = [(9_500 + 61 * k) % 10_000 for k in (at, at + 1)]
        flags = (0, 1) if rolled[1] < rolled[0] else (0, 0)
        hall = reads(
            T0 + 300 * at, rolled, meter="hall-a", quantity="energy_active_import", mod=10_000, flags=flags,
        )  # fmt: skip
        agent.seal("intervals", hall)
    return agent.texts[:-10], agent.texts[-10:]


def test_one_log_prefix_gives_the_same_bytes_on_both_stores(stores: tuple[Store, Store], tmp_path: Path) -> None:
    signer, gateway = keys.generate(), keys.generate()
    sides = [Collector(store, signer, gateway) for store in stores]
    assert sides[0].enrolment == sides[1].enrolment
    agent = LittleAgent("dc1-gw1", "dc1", sides[0].enrolment, gateway, signer.verifier)
    early, late = sealed(agent)
    (tmp_path / "early.jws").write_text("\n".join(early), encoding="ascii")
    (tmp_path / "all.jws").write_text("\n".join([*early, *late]), encoding="ascii")

    found: list[tuple[Made, Made]] = []
    for name in ("early.jws", "all.jws"):
        for side in sides:
            side.take(tmp_path / name)
        found.append((sides[0].make("final"), sides[1].make("final")))
        one, other = (
            side.on_disk(made, side.store.data_dir / name) for side, made in zip(sides, found[-1], strict=True)
        )
        assert one == other
        assert {"manifest.json", "rows.jsonl", "evidence/ledger.jsonl"} <= set(one)
    (final, _), (correction, _) = found
    _corrects(final, correction)
    for side in sides:
        _as_of(side, final, correction)
        ring = Ring({gateway.kid: gateway.verifier}, {signer.kid: signer.verifier})
        report = verify(side.store.data_dir / "all.jws" / correction.id, ring)
        assert report.failures == []


def _corrects(final: Made, correction: Made) -> None:
    """The correction says what it replaces and by how much, and nothing else changed."""
    members = release.manifest_of(correction)
    assert (final.kind, correction.kind, members["supersedes"]) == ("final", "correction", final.id)
    was = {(row.point, row.start): row for row in final.parsed}
    now = {(row.point, row.start): row for row in correction.parsed}
    differs = [key for key in sorted(now) if (was[key].value, was[key].status) != (now[key].value, now[key].status)]
    told = [(one["point"], one["start"], one["old"], one["new"]) for one in members["delta"]]
    assert told == [(p, instant(s), was[p, s].value, now[p, s].value) for p, s in differs]
    assert differs
    assert [row.revision for row in correction.parsed] == [
        int((row.point, row.start) in differs) for row in correction.parsed
    ]
    assert all(was[key].value is None for key in differs)  # late data filled what was missing; nothing measured moved
    assert sum(row.value or 0 for row in correction.parsed if row.point == "gt1") == (24 * 137 + 24 * 24) * 1000
    assert sum(row.value or 0 for row in correction.parsed if row.point == "hall") == 24 * 61 * 1000


def _as_of(side: Collector, final: Made, correction: Made) -> None:
    """What was known at a position is given again, bit for bit."""
    for made in (final, correction):
        shown: dict[str, list[int | None]] = {}
        for row in made.parsed:
            shown.setdefault(row.point, []).append(row.value)
        assert dict(side.values(made.position)) == shown
