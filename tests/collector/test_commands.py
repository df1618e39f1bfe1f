"""The collector's commands as people and programs meet them: one sentence, one exit code, one object, no traceback."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands import here

WATTSEAL = [sys.executable, "-c", "from shared.cli import main; main()"]
POINTS = (
    'schema = 1\n[[point]]\nid = "gt1"\nfrom = 2026-01-01T00:00:00Z\nrole = "generation"\n'
    'formula = "dc1/gt1.energy_active_export"\n'
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    """Run a command in this process, which is quicker; what serves runs in one of its own."""
    arguments = [str(one) for one in words]
    done = subprocess.CompletedProcess(arguments, *here(arguments))
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return done


def found(*words: object) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    members: dict[str, Any] = json.loads(done.stdout)
    return members


def free() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "collector.toml"
    path.write_text(
        f'schema = 1\nid = "central"\ndata_dir = "{tmp_path / "data"}"\napi_listen = "127.0.0.1:{free()}"\n'
        f'[mqtt]\nembedded = true\nembedded_listen = "127.0.0.1:{free()}"\n'
    )
    return path


def test_help_of_every_command_is_there_and_quick_to_find() -> None:
    shown = run("collector", "--help").stdout
    for name in ("init", "check", "serve", "agents", "import", "vee", "points", "release", "ledger"):
        assert name in shown


def test_init_writes_a_file_that_checks_and_a_key_that_it_never_replaces(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    made = found("collector", "init", path, "--data-dir", tmp_path / "data")
    text = path.read_text()
    again = found("collector", "init", path)
    assert (made["made"], again["made"]) == (True, False)
    assert made["kid"] == again["kid"]
    assert path.read_text() == text
    assert (tmp_path / "data" / "keys" / "signing.key").exists()
    assert found("collector", "check", path)["good"] is True


WRONG = {
    "an unknown key of a target": (
        "embedded = true\n",
        'embedded = true\n[[target]]\nid = "a"\nkind = "pull"\nformatts = ["csv"]\n',
        "unknown key 'formatts'; did you mean 'formats'?",
    ),
    "an unknown key": (
        'id = "central"',
        'id = "central"\nstorre = "x"',
        ":3:1: unknown key 'storre'; did you mean 'store'?",
    ),
    "no broker at all": ("embedded = true\n", "", "set either embedded = true or url"),
    "an address without a port": ('api_listen = "127.0.0.1:', 'api_listen = "127.0.0.1', "write an address and a port"),
    "an open API": ('api_listen = "127.0.0.1:', 'api_listen = "0.0.0.0:', "reverse proxy"),
    "no time zone": (
        'id = "central"',
        'id = "central"\ntimezone = "Europe"',
        "no time zone 'Europe'; write one of the",
    ),
    "no TOML": ("schema = 1", "schema == 1", "not TOML"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_by_line_and_what_to_do(config: Path, name: str) -> None:
    old, new, said = WRONG[name]
    config.write_text(config.read_text().replace(old, new))
    done = run("collector", "check", config)
    assert done.returncode == 78
    assert said in done.stderr
    assert done.stdout == ""


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    done = run("collector", "check", tmp_path / "none.toml")
    assert done.returncode == 78
    assert "wattseal collector init" in done.stderr


def test_without_a_key_the_message_says_init(config: Path) -> None:
    done = run("collector", "agents", "list", config)
    assert done.returncode == 78
    assert "run `init`" in done.stderr


def test_arguments_that_do_not_fit_are_usage_errors(config: Path) -> None:
    assert run("collector", "agents", "approve").returncode == 2
    assert run("collector", "agents", "approve", config, "a", "b").returncode == 2
    assert run("collector", "release", "make", config, "--from", "yesterday").returncode == 2


def test_a_port_in_use_is_one_sentence(config: Path) -> None:
    run("collector", "init", config)
    port = int(config.read_text().partition("api_listen = ")[2].partition(":")[2].partition('"')[0])
    with socket.create_server(("127.0.0.1", port)):
        done = run("collector", "serve", config)
    assert done.returncode == 78
    assert f"127.0.0.1:{port}: Address already in use" in done.stderr


def test_a_damaged_database_is_one_sentence_and_is_left_alone(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    run("collector", "agents", "list", config)
    database = tmp_path / "data" / "collector.db"
    database.write_bytes(database.read_bytes()[:5000])
    before = database.read_bytes()
    done = run("collector", "agents", "list", config)
    assert done.returncode == 1
    assert "damaged" in done.stderr or "malformed" in done.stderr
    assert database.read_bytes() == before


METERS = """
schema = 1
[[meter]]
site = "dc1"
meter = "gt1"
agents = ["gw2", "gw1"]
from = 2026-01-01T00:00:00Z
"""


def test_meters_are_loaded_once_and_a_mistake_is_named_where_it_stands(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    target = tmp_path / "meters.toml"
    target.write_text(METERS, encoding="utf-8")
    first = found("collector", "meters", "load", config, target)
    assert first["changes"] == ["+ dc1/gt1 from 2026-01-01T00:00:00Z: gw2, gw1"]
    assert found("collector", "meters", "load", config, target) == {"changes": [], "position": None}
    target.write_text(METERS.replace('"gw1"]', '"gw2"]'), encoding="utf-8")
    done = run("collector", "meters", "load", config, target)
    assert (done.returncode, "meters.toml:6:10: " in done.stderr) == (78, True)
    assert "each has one rank" in done.stderr
    assert found("collector", "meters", "list", config) == {"meters": []}  # the series have not read it yet


def test_points_are_loaded_with_their_changes_and_only_once(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    points = tmp_path / "points.toml"
    points.write_text(POINTS)
    assert found("collector", "points", "diff", config, points)["changes"]
    first = found("collector", "points", "load", config, points)
    assert first["changes"] == ["+ gt1 from 2026-01-01T00:00:00Z: dc1/gt1.energy_active_export"]
    assert found("collector", "points", "load", config, points) == first | {"changes": []}
    assert found("collector", "points", "show", config)["points"][0]["quantity"] == "energy_active_export"
    points.write_text(points.read_text().replace("gt1.energy_active_export", "gt1.energy_activ_export"))
    done = run("collector", "points", "load", config, points)
    assert done.returncode == 78
    assert done.stderr.startswith("points.toml:6:11:")
    assert found("collector", "ledger", "check", config)["good"] is True


def test_points_in_force_come_back_as_a_file_and_are_not_loaded_over_what_was_not_seen(
    config: Path, tmp_path: Path
) -> None:
    run("collector", "init", config)
    path = tmp_path / "points.toml"
    path.write_text(POINTS)
    assert run("collector", "points", "load", config, path, "--if-position", "7").returncode == 78
    loaded = found("collector", "points", "load", config, path, "--if-position", "-1")
    again = tmp_path / "again.toml"
    again.write_text(run("collector", "points", "show", config, "--toml").stdout)
    assert run("collector", "points", "diff", config, again).stdout == "no change\n"
    path.write_text(POINTS.replace('"generation"', '"load"'))
    refused = run("collector", "points", "load", config, path, "--if-position", "-1")
    assert (refused.returncode, f"position {loaded['position']} are in force, not of -1" in refused.stderr) == (
        78,
        True,
    )
    assert run("collector", "points", "diff", config, again).stdout == "no change\n"


def test_a_key_is_made_listed_and_taken_back(config: Path) -> None:
    run("collector", "init", config)
    assert run("collector", "keys", "list", config).stdout == "no keys; the API only reads\n"
    refused = run("collector", "keys", "make", config, "anna", "--scope", "everything")
    assert (refused.returncode, "known: points:write, edits:write" in refused.stderr) == (78, True)
    made = found("collector", "keys", "make", config, "anna", "--scope", "edits:write", "--site", "dc1")
    number = str(made["key"]).split("_")[1]
    (listed,) = found("collector", "keys", "list", config)["keys"]
    assert (listed["key"], listed["state"], listed["sites"]) == (number, "good", ["dc1"])
    assert str(made["key"]).split("_", 2)[2] not in json.dumps(listed)
    assert run("collector", "keys", "revoke", config, number).returncode == 0
    assert [one["state"] for one in found("collector", "keys", "list", config)["keys"]] == ["revoked"]
    again = run("collector", "keys", "revoke", config, number)
    assert (again.returncode, "taken back already" in again.stderr) == (78, True)


def test_a_calendar_is_loaded_with_its_changes_and_only_once(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    calendar = tmp_path / "calendar.toml"
    calendar.write_text(
        'schema = 1\n[[calendar]]\nsite = "dc1"\nfirst_year = 2026\nlast_year = 2026\nalso = [2026-12-24]\n'
    )
    assert found("collector", "calendar", "diff", config, calendar)["changes"] == ["+ dc1 2026-12-24"]
    first = found("collector", "calendar", "load", config, calendar)
    assert first["changes"] == ["+ dc1 2026-12-24"]
    assert found("collector", "calendar", "load", config, calendar) == first | {"changes": []}
    assert found("collector", "calendar", "show", config)["sites"] == {"dc1": ["2026-12-24"]}


def test_rules_are_loaded_with_their_changes_and_only_once(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    rules = tmp_path / "rules.toml"
    rules.write_text('schema = 1\n[[rule]]\nid = "E2"\nfrom = 2026-01-01T00:00:00Z\nlimits = { hard_percent = 125 }\n')
    line = "+ E2 from 2026-01-01T00:00:00Z for all channels: on, hard_percent 125"
    assert found("collector", "rules", "diff", config, rules)["changes"] == [line]
    first = found("collector", "rules", "load", config, rules)
    assert first["changes"] == [line]
    assert found("collector", "rules", "load", config, rules) == first | {"changes": []}
    assert found("collector", "rules", "show", config)["rules"][0]["limits"] == {"hard_percent": 125}
    rules.write_text(rules.read_text().replace("hard_percent", "hard_per_cent"))
    done = run("collector", "rules", "load", config, rules)
    assert done.returncode == 78
    assert done.stderr.startswith("rules.toml:5:28: rule \"E2\": no limit 'hard_per_cent'")
    assert found("collector", "ledger", "check", config)["good"] is True


def test_the_rules_can_be_listed() -> None:
    listed = found("collector", "rules", "list")["rules"]
    assert [one["id"] for one in listed][:3] == ["A1", "A2", "A3"]
    assert all(one["summary"] and one["version"] >= 1 for one in listed)


def test_a_release_without_points_says_what_to_do(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    span = ("--from", "2026-03-01T00:00:00Z", "--to", "2026-03-02T00:00:00Z")
    done = run("collector", "release", "make", config, *span, "--kind", "final", "--out", tmp_path / "out")
    assert done.returncode == 78
    assert "points load" in done.stderr
    assert not (tmp_path / "out").exists()


def test_the_counters_are_served_on_loopback(config: Path, tmp_path: Path) -> None:
    run("collector", "init", config)
    port = free()
    config.write_text(config.read_text().replace("[mqtt]", f'metrics_listen = "127.0.0.1:{port}"\n[mqtt]'))
    api = config.read_text().partition("api_listen = ")[2].partition(":")[2].partition('"')[0]
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*WATTSEAL, "collector", "serve", str(config)], stdout=output, stderr=output)
        try:
            text = _fetched(f"http://127.0.0.1:{port}/metrics")
            _fetched(f"http://127.0.0.1:{api}/healthz")
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0, log.read_text()
    for name in ("received", "stored", "refused"):
        assert f"wattseal_collector_{name}_total 0.0" in text
    assert "wattseal_log_size 0.0" in text
    assert "Traceback" not in log.read_text()
    assert json.loads(log.read_text().splitlines()[-1])["event"] == "collector_stopped"


def _fetched(url: str) -> str:
    for _ in range(200):
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return str(answer.read(), "utf-8")
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


def test_a_correction_needs_a_meter_that_has_spoken(config: Path) -> None:
    run("collector", "init", config)
    words = ("--factor", "7/10", "--from", "2026-01-01T00:00:00Z", "--reason", "CT was 400/5")
    done = run("collector", "meters", "correct", config, "dc1/gt1-rev", *words)
    assert done.returncode == 78
    assert "no channel of 'dc1/gt1-rev' has any values; `wattseal collector meters list`" in done.stderr
    assert run("collector", "meters", "correct", config, "dc1/gt1-rev", "--factor", "x", *words[2:]).returncode == 2
    assert found("collector", "meters", "corrections", config) == {"corrections": []}
