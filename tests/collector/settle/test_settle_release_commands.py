"""What a person reads of releases: counts, and beside them the unit of a bill."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli import collector
from collector.store.engine import open_store
from shared import keys
from shared.errors import StoreError
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0
from tests.fakes import reads

HEAD = 'schema = 1\nid = "central"\ndata_dir = "{0}"\n[mqtt]\nembedded = true\n'


@pytest.fixture
def file(tmp_path: Path, migrated_sqlite: Path) -> Path:
    """Return the file of a collector with a final under which late data have come."""
    shutil.copy(migrated_sqlite, tmp_path / "collector.db")
    store = open_store("sqlite", tmp_path)
    office = Office(Centre(store, keys.create(tmp_path / "keys")))
    office.points(GT1)
    office.send(0, [100, 110, None, None, 150])
    office.make(900, "final")
    office.centre.take(office.agent.seal("intervals", reads(T0 + 300, [110, 112, 114, 150])))
    office.run()
    store.close()
    path = tmp_path / "collector.toml"
    path.write_text(HEAD.format(tmp_path))
    return path


def run(*words: object, code: int = 1) -> str:
    done = CliRunner().invoke(collector, ["release", *map(str, words)])
    assert done.exit_code == code, done.output
    return done.stdout


def test_proposals_and_differences_are_read_in_kwh_beside_the_counts(file: Path, tmp_path: Path) -> None:
    (one,) = json.loads(run("proposals", file, "--json"))["proposals"]
    row = one["rows"][0]
    old, new = row["old"], row["new"]
    assert (old, new) == (36_667, 14_000)
    line = f"gt1                  {instant(T0)}  {old} -> {new} mWh (0.036667 -> 0.014 kWh)"
    assert run("proposals", file).splitlines() == [
        f"{one['release_id']}: 1 rows, gt1 {new - old:+} mWh (-0.022667 kWh)",
        f"  {line}",
    ]
    span = ("--from", instant(T0), "--to", instant(T0 + 900))
    run("make", file, *span, "--kind", "final", "--out", tmp_path, code=0)
    assert run("diff", file, one["release_id"], "central-1-000002") .splitlines() == [
        line, "1 rows, gt1 -22667 mWh (-0.022667 kWh)",
    ]  # fmt: skip


def test_a_corrected_multiplier_is_proposed_without_a_run_of_validation_in_between(file: Path, tmp_path: Path) -> None:
    whole = ("--from", instant(T0), "--to", instant(T0 + 900), "--kind", "final", "--out", tmp_path)
    run("make", file, *whole, code=0)
    assert run("proposals", file, code=0) == "every final would come out the same\n"
    said = ("--factor", "1/2", "--from", instant(T0), "--reason", "CT", "--yes")
    done = CliRunner().invoke(collector, ["meters", "correct", str(file), "dc1/gt1-rev", *said])
    assert "`wattseal collector release proposals` shows the finals it changes" in done.stdout
    assert run("proposals", file).startswith("central-1-000002: 1 rows, gt1 -7000 mWh (-0.007 kWh)\n")
    assert run("replay", file, "central-1-000002", code=0).startswith("central-1-000002: the same bytes from position ")


def test_the_list_says_what_a_correction_supersedes(file: Path, tmp_path: Path) -> None:
    whole = ("--from", instant(T0), "--to", instant(T0 + 900), "--kind", "final", "--out", tmp_path)
    run("make", file, *whole, code=0)
    span = f"{instant(T0)} to {instant(T0 + 900)}"
    assert run("list", file, code=0).splitlines() == [
        f"central-1-000002  correction  {span}  supersedes central-1-000001", f"central-1-000001  final       {span}",
    ]  # fmt: skip


def test_a_release_whose_folder_cannot_be_written_is_kept_and_written_elsewhere(file: Path, tmp_path: Path) -> None:
    whole = ("--from", instant(T0), "--to", instant(T0 + 900), "--kind", "final")
    (tmp_path / "out").write_text("no folder")
    done = CliRunner().invoke(collector, ["release", "make", str(file), *whole, "--out", str(tmp_path / "out" / "in")])
    assert isinstance(done.exception, StoreError)
    assert "release central-1-000002 itself is kept: ask again" in str(done.exception)
    assert run("make", file, *whole, "--out", tmp_path / "other", code=0) == f"{tmp_path}/other/central-1-000002\n"
