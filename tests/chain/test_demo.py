"""The acceptance test of every commit: the whole line as real processes, hurt twice, with every promise kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from collector.demo.cli import shown

pytestmark = pytest.mark.clock


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
