"""A real filesystem that somebody else fills (facts/trust.md section 13, test 38): alarm, recovery alone, loss named.

A tmpfs of a few megabytes in a mount namespace of its own; the daemon runs in simulated time on it.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import lacking
from tests.faults.laboratory import REPOSITORY

INTERVAL = 3_000_000  # 36 kW in 300 s [mWh]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a daemon went through on a full disk."""
    folder = tmp_path_factory.mktemp("small")
    line = f'mount -t tmpfs -o size=4m none "{folder}" && exec "$@"'
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    try:
        subprocess.run([*apart, f'mount -t tmpfs -o size=4m none "{folder}"'], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        lacking("no mount namespace for a user: a small filesystem cannot be made here")
    program = [sys.executable, "-m", "tests.faults.full_disk_program", str(folder)]
    done = subprocess.run(
        [*apart, line, "sh", *program], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=150
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_a_full_disk_is_told_within_a_minute_and_once(found: dict[str, Any]) -> None:
    assert 0 <= found["alarm_s"] <= 60
    assert found["said"].count("outbox_full") == 1
    assert found["said"].count("outbox_refuses") <= 3


def test_the_daemon_recovers_alone_when_there_is_room_again(found: dict[str, Any]) -> None:
    assert found["said"].index("outbox_full") < found["said"].index("outbox_easy")
    assert found["ballast"] == 1_048_576
    assert max(map(int, found["values"])) > max(stop for _, stop, _ in found["gaps"])


def test_what_a_full_disk_could_not_keep_is_named_and_the_energy_is_known(found: dict[str, Any]) -> None:
    """Each interval is sealed or in a signed gap; the registers on both sides tell the whole."""
    assert {reason for *_, reason in found["gaps"]} == {"disk_full"}
    missing = {start for first, stop, _ in found["gaps"] for start in range(first, stop, 300)}
    sealed = set(map(int, found["values"]))
    assert not missing & sealed
    every = sorted(missing | sealed)
    assert every == list(range(every[0], every[-1] + 300, 300))
    assert set(found["values"].values()) == {INTERVAL}
    assert found["advance"] == INTERVAL * len(every)


def test_the_folder_of_the_test_is_left_empty(found: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    """The small filesystem was in a namespace of its own, and is gone with it."""
    assert found["said"]
    folders = [path for path in tmp_path_factory.getbasetemp().glob("small*") if path.is_dir()]
    assert [list(Path(folder).iterdir()) for folder in folders] == [[]] * len(folders)
