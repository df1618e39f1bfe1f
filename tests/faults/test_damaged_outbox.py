"""A damaged outbox (facts/trust.md section 13, test 24): no crash loop, nothing lost silently, what is true goes on.

The true daemon in simulated time; its disk is damaged between two starts.
"""

import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.ship.outbox import Outbox
from shared.batch import Config
from tests.faults.damage import Copy, Site

SEEDS = int(os.environ.get("WATTSEAL_FAULT_FLIPS", "1000"))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Return a gateway with twelve batches that the collector has, and twenty-four that only it has."""
    return Site(tmp_path_factory.mktemp("damaged") / "site", acknowledged=12, waiting=24)


@pytest.fixture
def damaged(site: Site, tmp_path: Path) -> Copy:
    return site.copy(tmp_path / "copy")


def test_an_undamaged_disk_is_gone_on_from(damaged: Copy) -> None:
    assert damaged.assert_told() == 0
    assert not damaged.salvaged
    assert {batch.epoch for batch in damaged.bench.batches()} == {damaged.site.epoch}


def _flip(path: Path, chances: random.Random, count: int) -> None:
    octets = bytearray(path.read_bytes())
    for _ in range(count if octets else 0):
        octets[chances.randrange(len(octets))] ^= 1 << chances.randrange(8)
    path.write_bytes(octets)


def _flipped(site: Site, folder: Path, seed: int) -> tuple[int, bool]:
    """Turn 1 to 64 random bits of database, log or both; return how many batches are lost, and whether it was seen."""
    chances = random.Random(seed)
    copy = site.copy(folder)
    names = chances.choice((["outbox.sqlite"], ["outbox.sqlite-wal"], ["outbox.sqlite", "outbox.sqlite-wal"]))
    for name in names:
        _flip(copy.file(name), chances, chances.choice((1, 2, 4, 8, 16, 32, 64)))
    lost = copy.assert_told()
    return lost, copy.salvaged


@pytest.mark.parametrize("seed", [*range(24), 318])  # 318: SQLite's own words are no text
def test_turned_bits_are_found_or_harmless(site: Site, tmp_path: Path, seed: int) -> None:
    _flipped(site, tmp_path / "copy", seed)


@pytest.mark.soak
@pytest.mark.timeout(6000)
def test_a_thousand_seeds_of_turned_bits(site: Site, tmp_path: Path) -> None:
    found = [_flipped(site, tmp_path / f"copy{seed}", seed) for seed in range(SEEDS)]
    seen, lost = sum(one for _, one in found), sum(one for one, _ in found)
    print(f"\nturned bits, seeds 0 to {SEEDS - 1}: {seen} salvaged, {SEEDS - seen} harmless; {lost} of"
          f" {24 * SEEDS} waiting batches lost, each named; no crash, no second repair")  # fmt: skip


def test_one_destroyed_batch_costs_only_itself(damaged: Copy) -> None:
    """What lies beyond the hole is sealed again in the next epoch, with the boot and the reads it had."""
    outbox = Outbox(damaged.file("outbox.sqlite"))
    outbox._db.execute("UPDATE batch SET jws = replace(jws, '.', 'x') WHERE seq = 20")
    outbox.close()
    assert damaged.assert_told() == 1
    assert list(damaged.bench.values().values()).count(None) == 0
    gaps = damaged.bench.gaps()
    assert {(gap.meter, gap.stop - gap.start, gap.reason) for gap in gaps} >= {("a", 300, "outbox_damaged")}
    opening = [batch for batch in damaged.bench.batches() if isinstance(batch.body, Config)][-1]
    assert opening.body.previous_epoch is not None  # type: ignore[union-attr] # it is a Config
    assert opening.body.previous_epoch.seq == 19  # type: ignore[union-attr] # likewise


def _overwrite(path: Path, at: int, count: int) -> None:
    octets = bytearray(path.read_bytes())
    octets[at : at + count] = b"\xa5" * count
    path.write_bytes(octets)


def _cut(path: Path, parts: int) -> None:
    octets = path.read_bytes()
    path.write_bytes(octets[: len(octets) // parts])


def _gone(copy: Copy) -> None:
    copy.file("outbox.sqlite").unlink()
    copy.file("outbox.sqlite-wal").unlink()


DAMAGE: dict[str, Callable[[Copy], object]] = {
    "the header is gone": lambda copy: _overwrite(copy.file("outbox.sqlite"), 0, 100),
    "the first pages are gone": lambda copy: _overwrite(copy.file("outbox.sqlite"), 0, 12_000),
    "the database is cut in half": lambda copy: _cut(copy.file("outbox.sqlite"), 2),
    "the log is cut in half": lambda copy: _cut(copy.file("outbox.sqlite-wal"), 2),
    "the log is empty": lambda copy: copy.file("outbox.sqlite-wal").write_bytes(b""),
    "the log is gone": lambda copy: copy.file("outbox.sqlite-wal").unlink(),
    "the database is empty": lambda copy: copy.file("outbox.sqlite").write_bytes(b""),
    "the database is gone": lambda copy: copy.file("outbox.sqlite").unlink(),
    "both are gone": _gone,
    "text stands in its place": lambda copy: copy.file("outbox.sqlite").write_text("gone " * 9000, encoding="ascii"),
    "the version's bit is turned": lambda copy: _overwrite(copy.file("outbox.sqlite"), 62, 1),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_whatever_is_lost_is_named(
    damaged: Copy, damage: Callable[[Copy], object], caplog: pytest.LogCaptureFixture
) -> None:
    damage(damaged)
    lost = damaged.assert_told()
    told = [record.getMessage() for record in caplog.records].count("outbox_salvaged")
    assert told == damaged.salvaged
    assert told or not lost  # where the log still held all that the database had, nothing is to be told


def test_an_older_copy_put_back_is_found_and_forks_nothing(site: Site, tmp_path: Path) -> None:
    """The note beside the outbox is newer than the outbox: its head is not sealed a second time."""
    copy = site.copy(tmp_path / "copy")
    outbox = Outbox(copy.file("outbox.sqlite"))
    outbox._db.execute("DELETE FROM batch WHERE seq > 30")
    outbox.close()
    assert copy.assert_told() == len(site.texts) - 30
    assert [batch.seq for batch in copy.bench.batches() if batch.epoch == site.epoch][-1] == 30
