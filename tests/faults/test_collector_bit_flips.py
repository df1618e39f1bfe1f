"""Bytes of the collector's database that a disk has changed are refused, found by a check, or change nothing."""

import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from collector.intake.audit import audit
from collector.series import channels, raw, versions
from collector.series.project import catch_up
from collector.store.engine import open_store
from collector.vee.run import catch_up as judge
from shared.errors import WattsealError
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre

SEEDS = int(os.environ.get("WATTSEAL_FAULT_FLIPS", "1000"))
INTERVALS = 200
NAME = "dc1/gt1-rev.energy_active_export"
Numbers = tuple[list[int], list[int], list[int]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite: Path) -> tuple[Path, Centre, Numbers]:
    """Return the folder of a collector with a day of metering, and what it says."""
    base = tmp_path_factory.mktemp("flips")
    folder = base / "sound"
    folder.mkdir()
    shutil.copy(migrated_sqlite, folder / "collector.db")
    centre = Centre(open_store("sqlite", folder))
    pair = Pair(base, centre)
    pair.meters(INTERVALS)
    pair.ship()
    while (done := catch_up(centre.store)).stop > done.first:
        pass
    judge(centre.store, centre.log, centre.clock)
    said = numbers(centre)
    with centre.store.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    centre.store.close()
    return folder, centre, said


def numbers(centre: Centre) -> Numbers:
    """Return registers, values and status of the channel."""
    stop = START + INTERVALS * 300
    with centre.store.read() as connection:
        number = channels.named(connection, NAME).id
        registers = raw.read(connection, number, START, stop, 300)
        found = versions.read(connection, number, START, stop, 300)
    return registers.registers.tolist(), found.values.tolist(), found.status.tolist()


def verdict(folder: Path, centre: Centre, said: Numbers) -> str:
    """Return what becomes of a database: refused, found, harmless or silent."""
    try:
        store = open_store("sqlite", folder)
        try:
            other = Centre(store, centre.signer, centre.clock)
            with store.read() as connection:
                if audit(connection, other.log, centre.signer.verifier).failures:
                    return "found"
            catch_up(store)
            return "harmless" if numbers(other) == said else "silent"
        finally:
            store.close()
    except WattsealError:
        return "refused"


def flipped(sound: Path, target: Path, seed: int) -> None:
    """Copy a folder and change random bytes of its database, mostly one, at most 64."""
    shutil.copytree(sound, target)
    chance, path = random.Random(seed), target / "collector.db"
    octets = bytearray(path.read_bytes())
    for _ in range(chance.choice((1, 1, 1, 2, 4, 16, 64))):
        octets[chance.randrange(len(octets))] ^= chance.randint(1, 255)
    path.write_bytes(octets)


def _campaign(sound: tuple[Path, Centre, Numbers], base: Path, seeds: range) -> Counter[str]:
    folder, centre, said = sound
    found: Counter[str] = Counter()
    for seed in seeds:
        target = base / str(seed)
        flipped(folder, target, seed)
        found[verdict(target, centre, said)] += 1
        shutil.rmtree(target)
    return found


def test_a_sound_copy_is_harmless(sound: tuple[Path, Centre, Numbers], tmp_path: Path) -> None:
    shutil.copytree(sound[0], tmp_path / "copy")
    assert verdict(tmp_path / "copy", sound[1], sound[2]) == "harmless"


def test_changed_bytes_never_become_numbers(sound: tuple[Path, Centre, Numbers], tmp_path: Path) -> None:
    found = _campaign(sound, tmp_path, range(12))
    assert found["silent"] == 0, found
    assert found["refused"] + found["found"] > 0, found


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_campaign_of_changed_bytes(sound: tuple[Path, Centre, Numbers], tmp_path: Path) -> None:
    found = _campaign(sound, tmp_path, range(SEEDS))
    print(f"{SEEDS} seeds: {dict(found)}")
    assert found["silent"] == 0, found
