"""The daemon as a process: others look at it, it is killed, and its counters agree with its outbox."""

import json
import urllib.request
from pathlib import Path

from agent.ship.outbox import Outbox
from tests.brokers import free_port
from tests.commands import WITHIN, Ran, Running, enrol, running, until, write


def test_status_and_export_work_while_the_daemon_runs_and_a_second_daemon_does_not(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    with running(file) as agent:
        until(lambda: "batches_sealed" in agent.said(), agent)
        ran = Ran("status", file, "--json")
        assert (ran.code, list(ran.json["silent"])) == (1, ["a"])  # type: ignore[call-overload] # a JSON object
        out = str(tmp_path / "out.jws")
        assert Ran("export", file, "--out", out, "--json").json["file"] == out
        ran = Ran("run", file)
        assert (ran.code, "another agent runs here" in ran.err) == (78, True)
    assert agent.returncode == 0
    assert "Traceback" not in agent.said()
    assert all(json.loads(line)["event"] for line in agent.said().splitlines())


def test_the_daemon_is_the_same_process_without_what_only_commands_need(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    spy = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=open({out!r}, 'w')))"
    (tmp_path / "sitecustomize.py").write_text(spy.format(out=str(tmp_path / "modules")), encoding="utf-8")
    with running(file, PYTHONPATH=str(tmp_path)) as agent:
        until(lambda: "batches_sealed" in agent.said(), agent)
        words = Path(f"/proc/{agent.pid}/cmdline").read_bytes().split(b"\0")  # the service manager knows this process
        assert words[-4:-1] == [b"-m", b"agent", file.encode()]
    loaded = (tmp_path / "modules").read_text(encoding="utf-8").split()
    assert {"agent.daemon", "pydantic", "paho.mqtt.client"} <= set(loaded)
    assert not {"click", "tomlkit", "sqlite_utils", "asyncua", "httpx", "serial"} & set(loaded)


def test_a_killed_agent_starts_again_and_the_chain_goes_on(tmp_path: Path) -> None:
    file = write(tmp_path)
    collector = enrol(file)
    for turn in range(2):
        agent = Running(file)
        until(lambda: agent.said().count("batches_sealed") > 2 * turn, agent)  # noqa: B023 - called in this turn
        agent.kill()
        agent.wait(WITHIN)
    outbox = Outbox(tmp_path / "agent" / "outbox.sqlite", look=True)
    for text in outbox.texts():
        collector.take(text)
    assert collector.acked[outbox.head().epoch][0] == outbox.count()["sealed"]
    outbox.close()


def test_counters_reconcile_with_the_outbox(tmp_path: Path) -> None:
    port = free_port()
    file = write(tmp_path, metrics=f"127.0.0.1:{port}")
    enrol(file)

    def counted() -> dict[str, float]:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    with running(file) as agent:
        until(lambda: "batches_sealed" in agent.said(), agent)
        before, found = Ran("status", file, "--json").json["sealed"], counted()
        assert isinstance(before, int)
        assert found["wattseal_batches_sealed_total"] >= before
        assert found['wattseal_polls_total{meter="a",outcome="good"}'] == 0
        assert found['wattseal_polls_total{meter="a",outcome="failed"}'] > 0
        assert found["wattseal_uplink_connected"] == 0


def test_once_shows_values_and_sends_nothing(tmp_path: Path) -> None:
    file = write(tmp_path)
    enrol(file)
    ran = Ran("run", file, "--once", "--json")
    assert ran.code == 0
    values = ran.json["values"]
    assert isinstance(values, list)
    assert {row["channel"] for row in values} >= {"dc1/a.energy_active_import"}
    assert all(row["value"] is None for row in values)  # nobody answers on that port
