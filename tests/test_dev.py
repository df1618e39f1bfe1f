"""The launcher `./dev`: what it reports must be what happened."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

PLAIN = "def test_holds() -> None:\n    assert True\n"
CLOCK = "import pytest\n\n\n@pytest.mark.clock\ndef test_keeps_time() -> None:\n    assert True\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """Return a folder with the launcher, set up, and two tests: one that must keep real time and one that need not."""
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\nmarkers = ["bench", "soak", "clock"]\n')
    (tmp_path / "constraints.txt").write_text("")
    shutil.copy(REPOSITORY / "dev", tmp_path / "dev")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, line in (("python", f'exec "{sys.executable}" "$@"'), ("mosquitto", "exit 0")):
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    both = (tmp_path / "pyproject.toml").read_text() + (tmp_path / "constraints.txt").read_text()
    told = subprocess.run(["cksum"], input=both, capture_output=True, text=True, check=True)
    (tmp_path / ".venv" / f".wattseal-{told.stdout.strip().replace(' ', '-')}").touch()
    (tmp_path / "test_plain.py").write_text(PLAIN)
    (tmp_path / "test_clock.py").write_text(CLOCK)
    return tmp_path


def run(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = f"{house / '.venv' / 'bin'}:{os.environ['PATH']}"
    own = {"PATH": path, "HOME": str(house), "WATTSEAL_TEST_PROCESSES": "0", "WATTSEAL_CLOCK_PROCESSES": "0"}
    return subprocess.run([house / "dev", "test", *arguments], env=own, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["test_plain.py", "test_clock.py"])
def test_tests_of_one_part_alone_are_enough(house: Path, name: str) -> None:
    done = run(house, name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_a_failed_test_fails_the_run(house: Path) -> None:
    (house / "test_plain.py").write_text(PLAIN.replace("True", "False"))
    assert run(house).returncode == 1


@pytest.mark.parametrize("arguments", [("-k", "nobody"), ("test_dev_nowhere.py",)])
def test_what_fits_no_test_is_no_success(house: Path, arguments: tuple[str, ...]) -> None:
    done = run(house, *arguments)
    assert done.returncode != 0
    assert "1 passed" not in done.stdout


def test_nothing_run_says_what_was_asked_for(house: Path) -> None:
    done = run(house, "-k", "nobody")
    assert done.returncode == 5
    assert "no test was run; no test or path fits: -k nobody" in done.stderr
