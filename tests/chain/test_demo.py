"""The acceptance test of every commit: the whole line as real processes, hurt twice, with every promise kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.cli import collector
from collector.demo.cli import shown
from shared.errors import ConfigError

pytestmark = pytest.mark.clock


FORMATS = ("jsonl", "csv", "local-csv", "parquet", "nem12", "espi", "cim", "mscons")


def exported(folder: Path, release: str, form: str) -> tuple[int, str]:
    """Return exit code and complaints of an export of a release of the demo."""
    words = ["release", "export", str(folder / "collector.toml"), release, "--format", form, "--out", str(folder)]
    done = CliRunner().invoke(collector, words)
    assert done.exception is None or isinstance(done.exception, ConfigError | SystemExit), done.output
    return done.exit_code, f"{done.exception}"


@pytest.mark.timeout(240)
def test_the_demo_keeps_every_promise(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from shared.cli import main; main()", "demo", "--seconds", "45", "--port", "0"]
    done = subprocess.run(
        [*command, "--dir", str(tmp_path / "demo"), "--json"], capture_output=True, text=True, timeout=230, check=False
    )  # fmt: skip
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == 0, found
    assert found["sealed"] == found["acked"] > 8
    assert (found["lost"], found["duplicated"], found["missing"]) == (0, 0, 0)
    assert found["verified"] is True
    assert found["estimated"] >= 1
    assert found["releases"] >= 2
    assert found["identity_residual_mWh"] == 0
    assert found["true_energy_difference_mWh"] == 0
    assert found["intervals"] == 9 * 8  # nine points, eight intervals of five seconds
    handed = tmp_path / "demo" / "handed-over"
    (last,) = (handed / "market").iterdir()
    assert found["parcels"] >= 3  # a preliminary one to one party, the final to two
    for place in (last, handed / "settlement" / last.name):
        assert (place / "manifest.jws").read_text().count(".") == 2
    told = {form: exported(tmp_path / "demo", last.name.removesuffix(".released"), form) for form in FORMATS}
    assert {form for form, (code, _) in told.items() if code} == {"nem12", "cim"}
    for form in ("nem12", "cim"):
        lines = told[form][1].splitlines()[1:]
        complaints = [one for one in lines if "site-net at " not in one]  # a net below zero is another matter
        assert [one for one in complaints if "whole days" not in one and "intervals of 5 s" not in one] == []
        assert len(complaints) == 10  # the period, and each of nine points: nothing lacks but length


def test_the_demo_needs_45_seconds() -> None:
    command = [sys.executable, "-c", "from shared.cli import main; main()", "demo", "--seconds", "44", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=dict(os.environ))
    assert done.returncode == 78
    assert "at least 45" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_demo_names_no_folder_that_it_has_removed() -> None:
    found: dict[str, object] = {"lost": 0, "folder": "/tmp/wattseal-demo-x"}
    assert shown(found, gone=True) == {"lost": 0}
    assert shown(found, gone=False) == found
