"""`vee status | explain | edit | log | undo` as people meet them."""

import json
from pathlib import Path

import pytest

from collector.commands import edit
from collector.parts import opened
from collector.vee.edit.request import REASONS
from shared.clock import SystemClock
from tests.collector.conftest import Centre
from tests.collector.test_commands import found, run
from tests.collector.vee.test_vee_run import NAME, Line


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the file of a collector with one meter whose register falls over a gap."""
    from collector.config import load

    path = tmp_path / "collector.toml"
    text = f'schema = 1\nid = "central"\ndata_dir = "{tmp_path / "data"}"\n[mqtt]\nembedded = true\n'
    path.write_text(text, encoding="utf-8")
    run("collector", "init", path)
    with opened(load(path), SystemClock()) as parts:
        Line(Centre(parts.store, parts.signer)).send(0, [100, 110, None, 105, 115])
    return path


def test_status_says_what_stands_open_and_exits_with_1(config: Path) -> None:
    done = run("collector", "vee", "status", config)
    first, *lines = done.stdout.splitlines()
    assert first.endswith("; open findings: 1 E")
    assert lines[0].startswith(f"E G1 {NAME}: The register falls from 0.11 kWh at 2026-03-02T14:05:00Z")
    assert done.returncode == 1
    assert json.loads(run("collector", "vee", "status", config, "--json").stdout)["open"] == {"E": 1}


def test_a_mistyped_channel_is_told_which_are_near(config: Path) -> None:
    done = run("collector", "vee", "explain", config, NAME.replace("active", "actve"), "2026-03-02T14:00:00Z")
    assert done.returncode == 78
    assert f"is it {NAME}?" in done.stderr


def test_a_change_is_shown_then_made_then_listed_then_taken_back(config: Path) -> None:
    words = ["--action", "edit", "--from", "2026-03-02T14:00:00Z", "--to", "2026-03-02T14:05:00Z", "--values", "9999"]
    words += ["--reason", "site_visit", "--text", "Read from the display."]
    shown = run("collector", "vee", "edit", config, NAME, *words)
    assert "10000 -> 9999 mWh (0.01 -> 0.009999 kWh)  VALID -> EDITED" in shown.stdout
    assert "nothing has been changed; add --yes to do it" in shown.stdout
    assert found("collector", "vee", "log", config) == {"changes": []}
    position = found("collector", "vee", "edit", config, NAME, *words, "--yes")["position"]
    (one,) = found("collector", "vee", "log", config)["changes"]
    assert (one["position"], one["state"]) == (position, "in force")
    why = ("--reason", "mistaken_edit", "--text", "Another meter was read.")
    undone = run("collector", "vee", "undo", config, position, *why, "--yes").stdout
    assert "9999 -> 10000 mWh (0.009999 -> 0.01 kWh)  EDITED -> VALID" in undone
    assert [one["state"] for one in found("collector", "vee", "log", config)["changes"]] == ["undone", "in force"]


def test_a_proposal_is_withdrawn_with_a_reason(config: Path) -> None:
    words = ["--action", "edit", "--from", "2026-03-02T14:00:00Z", "--to", "2026-03-02T14:05:00Z", "--values", "5000"]
    words += ["--reason", "site_visit", "--text", "Read from the display."]
    position = found("collector", "vee", "edit", config, NAME, *words, "--yes")["position"]
    why = ("--reason", "mistaken_edit", "--text", "The display of another meter.")
    done = found("collector", "vee", "withdraw", config, position, *why)
    assert done["withdraws"] == position
    assert [one["state"] for one in found("collector", "vee", "log", config)["changes"]] == ["withdrawn", "in force"]
    assert run("collector", "vee", "withdraw", config, position, *why).returncode == 78


def test_help_names_every_reason() -> None:
    told = edit.REASONS.rstrip(".").replace(" or ", ", ").split(", ")
    assert tuple(told) == REASONS
