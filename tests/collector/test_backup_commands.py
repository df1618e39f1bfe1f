"""`backup`, `restore`, `ledger waiting | adopt | take-over` as people meet them."""

import json
import shutil
from pathlib import Path

import pytest

from collector.parts import opened
from shared.clock import SystemClock
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre
from tests.collector.test_commands import found, run
from tests.fakes import reads


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "collector.toml"
    text = f'schema = 1\nid = "central"\ndata_dir = "{tmp_path / "data"}"\n[mqtt]\nembedded = true\n'
    path.write_text(text, encoding="utf-8")
    run("collector", "init", path)
    return path


def metered(config: Path, folder: Path, batches: int = 3) -> Pair:
    """Let a gateway fill the collector of a file, and leave it."""
    from collector.config import load

    with opened(load(config), SystemClock()) as parts:
        pair = Pair(folder, Centre(parts.store, parts.signer))
        pair.meters(batches)
        pair.ship()
    return pair


def test_a_backup_comes_back_as_a_new_generation_that_waits_for_its_agents(config: Path, tmp_path: Path) -> None:
    metered(config, tmp_path)
    kept = found("collector", "backup", config, "--out", tmp_path / "kept")
    assert (kept["log"], kept["size"]) == ("wattseal/central/1", 5)
    (tmp_path / "data" / "collector.db").write_bytes(b"no database at all, but what a disk left of one")
    assert run("collector", "ledger", "check", config).returncode == 1
    done = found("collector", "restore", config, "--from", kept["path"], "--reason", "disk died")
    assert (done["log"], done["position"], done["waits_for"]) == ("wattseal/central/2", 5, ["dc1-gw1"])
    assert (Path(done["aside"]) / "collector.db").read_bytes().startswith(b"no database at all")
    assert found("collector", "ledger", "check", config)["size"] == 6
    span = ("--from", "2026-03-02T14:00:00Z", "--to", "2026-03-02T15:00:00Z", "--kind", "preliminary")
    refused = run("collector", "release", "make", config, *span, "--out", tmp_path / "out")
    assert refused.returncode == 78
    assert "dc1-gw1" in refused.stderr
    assert "--before-refill" in refused.stderr
    gone_on = run("collector", "release", "make", config, *span, "--out", tmp_path / "out", "--before-refill", "burnt")
    assert "no points are loaded" in gone_on.stderr  # the word was taken; what lacks now is something else


def test_a_generation_is_never_used_twice(config: Path, tmp_path: Path) -> None:
    metered(config, tmp_path)
    kept = found("collector", "backup", config, "--out", tmp_path / "kept")
    for number in (2, 3):
        done = found("collector", "restore", config, "--from", kept["path"], "--reason", "again")
        assert done["log"] == f"wattseal/central/{number}"
    shutil.rmtree(tmp_path / "data" / "replaced-1")
    done = found("collector", "restore", config, "--from", kept["path"], "--reason", "again", "--generation", "9")
    assert done["log"] == "wattseal/central/9"


@pytest.mark.parametrize("spoilt", ["missing", "text", "cut", "another"])
def test_what_is_no_sound_backup_is_refused_and_changes_nothing(config: Path, tmp_path: Path, spoilt: str) -> None:
    metered(config, tmp_path)
    kept = Path(found("collector", "backup", config, "--out", tmp_path / "kept")["path"])
    if spoilt == "missing":
        kept.unlink()
    elif spoilt == "text":
        kept.write_text("not a database")
    elif spoilt == "cut":
        kept.write_bytes(kept.read_bytes()[:-4096])
    else:
        config.write_text(config.read_text().replace('"central"', '"east"'))
    before = (tmp_path / "data" / "collector.db").read_bytes()
    done = run("collector", "restore", config, "--from", kept, "--reason", "x")
    assert done.returncode == 78
    assert str(kept) in done.stderr
    assert (tmp_path / "data" / "collector.db").read_bytes() == before


def test_taking_over_raises_the_fence(config: Path, tmp_path: Path) -> None:
    metered(config, tmp_path)
    assert found("collector", "ledger", "take-over", config)["fence"] == 2
    assert found("collector", "ledger", "take-over", config)["fence"] == 3


def test_an_epoch_that_waits_is_shown_with_its_reason_and_adopted(config: Path, tmp_path: Path) -> None:
    pair = metered(config, tmp_path)
    from collector.config import load

    with opened(load(config), SystemClock()) as parts:
        pair.outbox.put("previous_epoch", None)
        pair.outbox.put("epoch", "f" * 32)  # an outbox made anew that does not say what it continues
        pair.outbox.put("config", 0)
        pair.sealer.seal_config({"schema": 1, "again": True})
        pair.centre = Centre(parts.store, parts.signer)
        pair.ship()
    done = run("collector", "ledger", "waiting", config, "--json")
    assert done.returncode == 1
    (one,) = json.loads(done.stdout)["epochs"]
    assert (one["agent"], one["epoch"], one["state"]) == ("dc1-gw1", "f" * 32, "held")
    assert "does not say what it continues" in one["reason"]
    assert found("collector", "ledger", "adopt", config, "dc1-gw1", "f" * 32)["position"] == 6
    assert run("collector", "ledger", "waiting", config).returncode == 0
    again = run("collector", "ledger", "adopt", config, "dc1-gw1", "f" * 32)
    assert again.returncode == 78
    assert "nothing to adopt" in again.stderr


def test_labels_of_the_future_are_shown_and_come_in_by_a_persons_word(config: Path, tmp_path: Path) -> None:
    pair = metered(config, tmp_path)
    pair.sealer.seal(("intervals", reads(START + 86_400, [1000, 1001])))  # of tomorrow
    from collector.config import load

    with opened(load(config), SystemClock()) as parts:
        pair.ship(Centre(parts.store, parts.signer))
    run("collector", "vee", "run", config)
    done = run("collector", "ledger", "waiting", config, "--json")
    assert done.returncode == 1
    (one,) = json.loads(done.stdout)["labels"]
    assert (one["agent"], one["batches"]) == ("dc1-gw1", 1)
    assert "look at the clocks, then `ledger labels dc1-gw1`" in run("collector", "ledger", "waiting", config).stdout
    undecided = run("collector", "ledger", "labels", config, "dc1-gw1")
    assert (undecided.returncode, "say --right or --wrong" in undecided.stderr) == (2, True)
    assert found("collector", "ledger", "labels", config, "dc1-gw1", "--right")["right"] is True
    run("collector", "vee", "run", config)
    assert run("collector", "ledger", "waiting", config).stdout == "nothing waits for a person\n"
    again = run("collector", "ledger", "labels", config, "dc1-gw1", "--wrong")
    assert again.returncode == 78
    assert "nothing of agent 'dc1-gw1' waits for its labels" in again.stderr


def test_an_enrolment_that_was_lost_comes_back_with_the_gateways_export(config: Path, tmp_path: Path) -> None:
    run("collector", "agents", "list", config)
    kept = found("collector", "backup", config, "--out", tmp_path / "kept")
    pair = metered(config, tmp_path)
    found("collector", "restore", config, "--from", kept["path"], "--reason", "disk died")
    export = tmp_path / "gateway.jws"
    export.write_text("\n".join([str(pair.outbox.enrolment()), *pair.texts()]) + "\n", encoding="ascii")
    for outcomes in ({"enrolment taken back": 1, "stored": 4}, {"repeated": 4}):
        assert found("collector", "import", config, export)["outcomes"] == outcomes
    assert found("collector", "ledger", "check", config)["good"] is True
    (agent,) = found("collector", "agents", "list", config)["agents"]
    assert (agent["agent"], agent["state"], agent["kid"]) == ("dc1-gw1", "approved", pair.signer.kid)


def test_an_enrolment_that_another_collector_signed_is_not_taken(config: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    theirs = other / "collector.toml"
    theirs.write_text(config.read_text().replace(str(tmp_path / "data"), str(other / "data")), encoding="utf-8")
    run("collector", "init", theirs)
    pair = metered(theirs, other)
    export = tmp_path / "gateway.jws"
    export.write_text("\n".join([str(pair.outbox.enrolment()), *pair.texts()]) + "\n", encoding="ascii")
    done = run("collector", "import", config, export)
    assert done.returncode == 78
    assert "is not this collector's word" in done.stderr
    assert found("collector", "ledger", "check", config)["size"] == 0
