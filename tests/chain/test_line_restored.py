"""A collector that dies with its disk and comes back from a backup, as real programs: the agent fills it by itself."""

import json
from collections.abc import Callable

import pytest

from shared.release import instant
from tests.chain.line import Line, call, rows, said, until

pytestmark = pytest.mark.clock


def test_a_running_agent_fills_a_collector_that_came_back_from_a_backup(make_line: Callable[..., Line]) -> None:
    line = make_line(site_more="heartbeat_s = 1\nboundary_tolerance_ms = 950")
    line.commission()
    start = line.metering(line.simulate())
    line.sealed(start + 10)
    line.acknowledged()
    kept = call("collector", "backup", line.central, "--out", line.folder / "kept")
    line.sealed(start + 25)
    line.acknowledged()
    line.collector.kill()
    (line.folder / "collector" / "collector.db").write_bytes(b"what the disk left of it")
    done = call("collector", "restore", line.central, "--from", kept["path"], "--reason", "disk died")
    assert (done["log"], done["waits_for"]) == ("wattseal/central/2", ["lab-gw1"])
    span = (
        "--from",
        instant(start + 5),
        "--to",
        instant(start + 20),
        "--kind",
        "preliminary",
        "--out",
        line.folder / "early",
    )
    early = said("collector", "release", "make", line.central, *span)
    assert early.returncode == 78
    assert "lab-gw1" in early.stderr
    line.collector.start().says("collector_started")
    line.agent.says("log_restored")
    until("the refill", lambda: said("collector", "release", "make", line.central, *span).returncode == 0)
    line.acknowledged()
    (folder,) = (line.folder / "early").iterdir()
    assert folder.name == "central-2-000001"
    assert all(row.status == "VALID" for row in rows(folder))
    exported = line.folder / "gateway.jws"
    call("agent", "export", line.site, "--out", exported)
    line.acknowledged()  # what was sealed before the export is durable now
    sealed = set(exported.read_text().splitlines()[1:])
    assert sealed <= {text for (text,) in line.counted("SELECT jws FROM ledger_bytes")}
    assert call("collector", "ledger", "check", line.central)["good"]
    together = json.loads(said("verify", folder, exported, "--keys", line.keys(), "--json").stdout)
    assert together["good"], together
    assert "one log that only grew" in " ".join(together["reports"][-1]["proved"])
