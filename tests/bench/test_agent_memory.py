"""Memory, CPU and modules of the running agent at 105 values a second, durable (DESIGN.md section 9, line 5)."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, free_port
from tests.commands import WATTSEAL, WITHIN, enrol

METERS, POINTS = 15, 7
MEASURE_S = 20
MOST_RSS_MB, MOST_CPU = 55, 0.03
#: Read by the interpreter before anything else: a signal tells what was imported.
SPY = """
import json, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: open({out!r}, "w").write(json.dumps(sorted(sys.modules))))
"""
FORBIDDEN = {"asyncua", "click", "tomlkit", "httpx", "sqlite_utils", "numpy", "sqlalchemy", "fastapi"}


def _site(folder: Path, broker: str) -> str:
    port = free_port()
    text = f"""schema = 1
site = "dc1"
agent = "dc1-gw1"
lab = true
interval_s = 5
data_dir = "{folder}/agent"
[uplink]
broker = "{broker}"
[modbus_tcp.room]
host = "127.0.0.1"
port = {port}
"""
    for unit in range(1, METERS + 1):
        text += f"""[[meter]]
id = "m{unit}"
profile = "eastron-sdm630"
bus = "room"
unit = {unit}
role = "load"
poll_s = 1
max_power_kW = 100
"""
    target = folder / "site.toml"
    target.write_text(text, encoding="utf-8")
    return str(target)


@contextmanager
def _process(command: list[str], log: Path, sign: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as said:
        running = subprocess.Popen(command, stdout=said, stderr=said, env=os.environ | more)
    try:
        deadline = time.monotonic() + WITHIN
        while sign not in log.read_text(encoding="utf-8"):
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            assert running.poll() is None, log.read_text(encoding="utf-8")
            time.sleep(0.1)
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(WITHIN)


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise AssertionError("the agent has ended")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.bench
def test_the_running_agent_is_small(tmp_path: Path, mosquitto: Mosquitto) -> None:
    file, modules = _site(tmp_path, mosquitto.url), tmp_path / "modules.json"
    enrol(file)
    (tmp_path / "sitecustomize.py").write_text(SPY.format(out=str(modules)), encoding="utf-8")
    daemon = [*WATTSEAL, "agent", "run", file]
    simulator = _process([*WATTSEAL, "agent", "simulate", file], tmp_path / "simulate.log", "ready")
    with simulator, _process(daemon, tmp_path / "agent.log", "batches_sealed", PYTHONPATH=str(tmp_path)) as agent:
        begin, before = time.monotonic(), _cpu_s(agent.pid)
        time.sleep(MEASURE_S)  # what is measured is time itself
        share = (_cpu_s(agent.pid) - before) / (time.monotonic() - begin)
        rss = _rss_mb(agent.pid)
        agent.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + WITHIN
        while not modules.exists() or not modules.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    names = json.loads(modules.read_text(encoding="utf-8"))
    loaded = {name.partition(".")[0] for name in names}
    assert not [name for name in names if name.startswith("agent.field.simulate")]
    print(f"\n{METERS} meters x {POINTS} points each second, seals of 5 s, MQTT to Mosquitto")
    print(f"{'':24}{'measured':>12}{'reach':>12}")
    print(f"{'RSS [MB]':24}{rss:>12.1f}{MOST_RSS_MB:>12}")
    print(f"{'CPU of a core [%]':24}{share * 100:>12.2f}{MOST_CPU * 100:>12.0f}")
    print(f"{'forbidden modules':24}{', '.join(sorted(loaded & FORBIDDEN)) or 'none':>12}")
    assert not loaded & FORBIDDEN
