"""`simulate` as a person starts it: its own process, a site file, ready, an end by signal."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from pathlib import Path

import pytest

from agent.field.simulate_cli import settings
from agent.sitefile import load

SITE = """
schema = 1
site = "dc1"
agent = "dc1-gw1"
interval_s = {interval}
lab = true
data_dir = "{folder}"
[uplink]
broker = "mqtt://127.0.0.1:1883"
[modbus_tcp.room]
host = "{host}"
port = {port}
[[meter]]
id = "hall"
profile = "schneider-pm5000"
bus = "room"
unit = 1
serial = "0012345678"
role = "load"
[[meter]]
id = "pcc"
profile = "eastron-sdm630"
bus = "room"
unit = 2
role = "grid"
"""
COMMAND = [sys.executable, "-c", "from agent.field.simulate_cli import simulate; simulate()"]
ROOT = Path(__file__).resolve().parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    file = tmp_path / "site.toml"
    file.write_text(SITE.format(interval=1, folder=tmp_path, host="127.0.0.1", port=free_port()))
    return file


@contextmanager
def started(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=dict(os.environ),
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def refused(*arguments: str) -> tuple[int, str]:
    ran = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, cwd=ROOT, check=False, timeout=30)
    assert ran.stdout == ""
    return ran.returncode, ran.stderr


def rows(truth: Path) -> list[dict[str, str]]:
    with truth.open() as file:
        return list(csv.DictReader(file))


def until_rows(truth: Path, count: int) -> list[dict[str, str]]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if truth.exists() and len(found := rows(truth)) >= count:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{truth} has not {count} rows")


def test_recorded_load_is_replayed_row_by_row_and_the_truth_says_so(site: Path, tmp_path: Path) -> None:
    load, truth = tmp_path / "load.csv", tmp_path / "truth.csv"
    load.write_text("ts,hall\na,0.5\nb,0.75\nc,-0.25\n")  # kWh: 4, 6 and -2 quanta of 0.125 kWh
    options = f"--load {load} --column hall --meter hall --row-seconds 1 --truth {truth} --json".split()
    with started(str(site), *options) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        assert ready["meters"] == ["hall", "pcc"]
        found = until_rows(truth, 3 * 8)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (0, "", "")
    first = ready["first_boundary"]
    hall = {(int(row["start"]) - first, row["quantity"]): int(row["value"]) for row in found if row["meter"] == "hall"}
    assert [hall[second, "energy_active_import"] for second in range(3)] == [500_000, 750_000, 0]
    assert [hall[second, "energy_active_export"] for second in range(3)] == [0, 0, 250_000]
    assert {row["length_s"] for row in found} == {"1"}
    assert all(row["value"] == "0" for row in found if row["meter"] == "pcc")


def test_a_multiplier_is_applied_once_and_quantities_are_as_chosen(site: Path) -> None:
    site.write_text(
        site.read_text().replace(
            'role = "grid"', 'role = "grid"\nmultiplier = "160"\nquantities = ["energy_active_import"]'
        )
    )
    read, profiles = load(site)
    pcc = settings(read, profiles, {("pcc", "energy_active_import"): 7}).meters[1]
    assert [(point.quantity, point.mult) for point in pcc.profile.points] == [
        ("energy_active_import", Fraction(160_000_000))
    ]
    assert (pcc.unit, pcc.role, pcc.start) == (2, "grid", {"energy_active_import": 7})


def test_a_person_reads_when_the_first_boundary_is(site: Path) -> None:
    with started(str(site)) as process:
        assert process.stdout is not None
        word, when, *rest = process.stdout.readline().split()
        assert word == "ready"
        assert abs(datetime.fromisoformat(when).timestamp() - time.time()) <= 2
        assert " ".join(rest) == "2 meters: hall, pcc"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
        assert process.returncode == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "hall:asleep:1:1"], "write METER:KIND:AT_S:FOR_S"),
        (["--fault", "nobody:dead:1:1"], "no meter nobody in the site; it has hall, pcc"),
        (["--load", "x.csv"], "needs all of --load, --column, --meter and --row-seconds"),
        (["--start", "hall:energy:1"], "no quantity 'energy'"),
    ],
)
def test_a_wrong_argument_is_one_line_and_exit_78(site: Path, options: list[str], said: str) -> None:
    code, text = refused(str(site), *options)
    assert code == 78
    assert said in text
    assert "Traceback" not in text
    assert len(text.strip().splitlines()) == 1


def test_a_port_in_use_or_not_on_loopback_is_exit_78(site: Path, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        site.write_text(SITE.format(interval=1, folder=tmp_path, host="127.0.0.1", port=taken.getsockname()[1]))
        code, text = refused(str(site))
        assert (code, "cannot listen" in text) == (78, True)
    site.write_text(SITE.format(interval=1, folder=tmp_path, host="192.0.2.1", port=1502))
    code, text = refused(str(site))
    assert (code, "not on loopback" in text) == (78, True)
