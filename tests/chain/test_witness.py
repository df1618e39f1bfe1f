"""Whoever keeps what was handed over convicts an operator who owns every key and writes a month anew."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from collector.settle import folder, release
from collector.settle.release import Made, Request
from collector.store.engine import open_store
from collector.vee.run import catch_up
from shared import envelope, keys, master
from shared.keys import FileSigner
from shared.master import PointVersion
from tests.collector.conftest import Centre
from tests.fakes import LittleAgent, reads

T0, L = 1_772_460_000, 300
NAME = "dc1/gt1-rev.energy_active_export"
POINT = PointVersion("gt1", 0, "generation", NAME, L, "energy_active_export", ())
COLLECTOR, AGENT = keys.generate(), keys.generate()


class Operator:
    """A collector that owns its key and that of its gateway, and can make any history it likes."""

    def __init__(self, where: Path, migrated: Path, levels: list[int | None], signer: FileSigner = COLLECTOR) -> None:
        where.mkdir()
        shutil.copy(migrated, where / "collector.db")
        self.where, self.centre = where, Centre(open_store("sqlite", where), signer)
        self.agent: LittleAgent = self.centre.agent(signer=AGENT)
        with self.centre.store.write() as connection:
            self.centre.log.record(connection, "points", master.body([POINT]), by="anna", now=1)
        self.grow(0, levels)

    def grow(self, at: int, levels: list[int | None]) -> None:
        self.agent.seal("intervals", reads(T0 + at * L, list(levels)))
        taken = self.centre.take(*self.agent.texts)
        for _, text in taken.receipts:
            self.agent.believe(text)
        catch_up(self.centre.store, self.centre.log, self.centre.clock)

    def release(self, first: int, stop: int) -> Path:
        log = self.centre.log
        with self.centre.store.write() as connection:
            asked = Request(T0 + first * L, T0 + stop * L, "preliminary", party="bank")
            made: Made = release.make(connection, log, self.centre.signer, asked, timezone="UTC", now=2)
        return folder.write(made, self.where / "out")

    def export(self) -> Path:
        target = self.where / "agent.jws"
        target.write_text("\n".join([self.agent.enrolment, *self.agent.texts]) + "\n", encoding="ascii")
        return target


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    keys.save_public(tmp_path / "keys" / "agents" / "a.pem", AGENT.verifier)
    keys.save_public(tmp_path / "keys" / "collector" / "c.pem", COLLECTOR.verifier)
    return tmp_path / "keys"


def verified(trusted: Path, *paths: Path) -> tuple[int, dict[str, list[str]]]:
    """Return the exit code and what `wattseal verify` says of the files together."""
    words = [sys.executable, "-c", "from shared.cli import main; main()", "verify", *map(str, paths)]
    done = subprocess.run(
        [*words, "--keys", str(trusted), "--json"], capture_output=True, text=True, timeout=60, check=False
    )
    reports = {one["subject"]: one for one in json.loads(done.stdout)["reports"]}
    return done.returncode, reports.get("together", {"failures": ["no word on them together"]})


def test_honest_releases_and_exports_stand_on_one_log_that_only_grew(
    tmp_path: Path, migrated_sqlite: Path, trusted: Path
) -> None:  # fmt: skip
    honest = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125])
    first = honest.release(0, 2)
    honest.grow(2, [125, 140])
    second, third = honest.release(2, 3), honest.release(0, 3)
    honest.grow(3, [140, 150])
    code, found = verified(trusted, first, second, third, honest.export())
    assert (code, found["failures"], found["unproved"]) == (0, [], [])
    assert "one log that only grew" in found["proved"][0]


def test_a_month_that_was_written_anew_convicts_an_operator_with_every_key(
    tmp_path: Path, migrated_sqlite: Path, trusted: Path
) -> None:  # fmt: skip
    honest = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125])
    first = honest.release(0, 2)
    anew = Operator(tmp_path / "b", migrated_sqlite, [100, 118, 125])
    anew.release(0, 2)
    anew.grow(2, [125, 140])
    second = anew.release(2, 3)
    for one in (first, second):
        assert verified(trusted, one)[0] == 0  # each alone is flawless
    code, found = verified(trusted, first, second)
    assert code == 1
    assert "history was rewritten" in found["failures"][0]


def test_two_parties_that_were_shown_two_histories_find_it_out(
    tmp_path: Path, migrated_sqlite: Path, trusted: Path
) -> None:  # fmt: skip
    one = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125]).release(0, 2)
    two = Operator(tmp_path / "b", migrated_sqlite, [100, 118, 125]).release(0, 2)
    code, found = verified(trusted, one, two)
    assert code == 1
    assert "has two roots" in found["failures"][0]


def test_a_gateway_is_a_witness_too(tmp_path: Path, migrated_sqlite: Path, trusted: Path) -> None:
    honest = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125])
    honest.grow(2, [125, 140])  # what it has seen stands in its next batches
    size = max(honest.agent.seen)
    honest.grow(3, [140, 150])
    anew = Operator(tmp_path / "b", migrated_sqlite, [100, 118, 125])
    with anew.centre.store.write() as connection:
        for number in range(size - anew.centre.log.size(connection)):
            anew.centre.log.record(connection, "approval", {"n": number}, by="eve", now=3)
    target = anew.release(0, 2)
    assert verified(trusted, target)[0] == 0
    code, found = verified(trusted, target, honest.export())
    assert code == 1
    assert "has two roots" in found["failures"][0]


def test_a_release_that_was_left_out_is_named(tmp_path: Path, migrated_sqlite: Path, trusted: Path) -> None:
    honest = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125])
    first = honest.release(0, 2)
    honest.grow(2, [125, 140])
    honest.release(2, 3)
    honest.grow(3, [140, 150])
    third = honest.release(3, 4)
    code, found = verified(trusted, first, third)
    assert code == 0
    assert "is not here" in found["unproved"][0]


def test_a_proof_that_is_no_proof_is_one_sentence(tmp_path: Path, migrated_sqlite: Path, trusted: Path) -> None:
    honest = Operator(tmp_path / "a", migrated_sqlite, [100, 110, 125])
    target = honest.release(0, 2)
    manifest = json.loads((target / "manifest.json").read_bytes())
    for wrong in ({"from": "x", "hashes": []}, {"from": 1, "hashes": ["zz"]}, 7, {"from": 1}):
        octets = (json.dumps(manifest | {"consistency": wrong}, separators=(",", ":")) + "\n").encode("ascii")
        (target / "manifest.json").write_bytes(octets)
        jws = envelope.seal(octets.decode("ascii"), envelope.RELEASE, COLLECTOR)
        (target / "manifest.jws").write_text(jws, encoding="ascii")
        words = [sys.executable, "-c", "from shared.cli import main; main()", "verify", str(target)]
        done = subprocess.run(
            [*words, "--keys", str(trusted)], capture_output=True, text=True, timeout=60, check=False
        )  # fmt: skip
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "consistency" in done.stdout
