"""Runs `wattseal agent ...`, or a command of another group, as a person or a program does, and keeps what it said."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from agent import enrolment, sitefile
from agent.ship.outbox import Outbox
from shared import keys
from shared.cli import main
from tests.fakes_agent import LittleCollector

WATTSEAL = [sys.executable, "-c", "from shared.cli import main; main()"]
WITHIN = 30.0


class Ran:
    """What a command printed, and how it ended.

    It runs in this process, which is quicker, as the user ``uid``; with ``apart`` in a process of its own, as does
    what becomes the daemon.
    """

    def __init__(self, *arguments: str, apart: bool = False, uid: int = 0, group: str = "agent") -> None:
        inside = not (apart or (group == "agent" and _is_daemon(arguments)))
        self.code, self.out, self.err = (here if inside else _apart)((group, *arguments), uid)
        assert "Traceback" not in self.err + self.out

    @property
    def json(self) -> dict[str, object]:
        """Return the one object of standard output."""
        (line,) = self.out.splitlines()
        found: dict[str, object] = json.loads(line)
        return found


SITE = """schema = 1
site = "dc1"
agent = "dc1-gw1"
lab = true
interval_s = 1
data_dir = "{folder}/agent"
metrics_listen = "{metrics}"
[uplink]
broker = "mqtt://127.0.0.1:{port}"
[modbus_tcp.room]
host = "127.0.0.1"
port = {port}
timeout_ms = 50
[[meter]]
id = "a"
profile = "schneider-iem3000"
bus = "room"
role = "load"
poll_s = 1
"""


def write(folder: Path, *, port: int = 1, metrics: str = "", tables: str = "") -> str:
    """Write a site file, with further tables in it, and return its path."""
    target = folder / "site.toml"
    text = SITE.format(folder=folder, port=port, metrics=metrics).replace("[modbus_tcp", f"{tables}[modbus_tcp")
    target.write_text(text, encoding="utf-8")
    return str(target)


def enrol(file: str) -> LittleCollector:
    """Enrol the gateway of a site file with a collector of the test."""
    site, _ = sitefile.load(Path(file))
    collector, key = LittleCollector(), keys.create(site.keys)
    outbox = Outbox(site.outbox)
    enrolment.accept(site, outbox, key.verifier, collector.enrol(site.agent, site.site, key))
    outbox.close()
    return collector


def _is_daemon(arguments: Sequence[str]) -> bool:
    return arguments[0] == "run" and not {"--once", "--help"} & set(arguments)


def _apart(arguments: Sequence[str], _uid: int) -> tuple[int, str, str]:
    done = subprocess.run([*WATTSEAL, *arguments], capture_output=True, text=True, timeout=WITHIN, check=False)
    return done.returncode, done.stdout, done.stderr


def here(arguments: Sequence[str], uid: int = 0) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code and what it printed to both streams."""
    out, err, before = io.StringIO(), io.StringIO(), list(sys.argv)
    sys.argv[:] = ["wattseal", *arguments]
    code: object = 0
    if uid:
        os.seteuid(uid)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = stop.code
    finally:
        sys.argv[:] = before
        if uid:
            os.seteuid(0)
    assert isinstance(code, int)
    return code, out.getvalue(), err.getvalue()


class Running(subprocess.Popen[str]):
    """An agent as a process of its own."""

    def __init__(self, file: str, **more: str) -> None:
        self.log = Path(file).with_name("agent.log")
        with self.log.open("a", encoding="utf-8") as log:
            super().__init__(
                [*WATTSEAL, "agent", "run", file], stdout=log, stderr=log, text=True, env=os.environ | more
            )

    def said(self) -> str:
        """Return its log so far."""
        return self.log.read_text(encoding="utf-8")


@contextmanager
def running(file: str, **more: str) -> Iterator[Running]:
    """Give a running agent, with these variables in its environment beside our own."""
    agent = Running(file, **more)
    try:
        yield agent
        agent.send_signal(signal.SIGTERM)
        agent.wait(WITHIN)
    finally:
        agent.kill()
        agent.wait(WITHIN)


def until(condition: Callable[[], object], agent: Running) -> None:
    deadline = time.monotonic() + WITHIN
    while not condition():
        assert time.monotonic() < deadline, agent.said()
        assert agent.poll() is None, agent.said()
        time.sleep(0.05)
