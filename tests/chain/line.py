"""The whole line as real programs: Mosquitto, simulated meters, collector, agent; each can be killed and started."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared import release
from shared.release import Row, instant
from tests.brokers import Mosquitto, free_port
from tests.commands import here

WATTSEAL = str(Path(sys.executable).with_name("wattseal"))
WITHIN = 30.0  # [s]


def said(*words: object, within: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Return what a command said and its exit code; it runs in this process, a daemon in one of its own. [s]"""
    command = [str(one) for one in words]
    if command[1:2] not in (["run"], ["serve"]):
        return subprocess.CompletedProcess(command, *here(command))
    return subprocess.run(
        [WATTSEAL, *command], capture_output=True, text=True, timeout=within, check=False, stdin=subprocess.DEVNULL
    )  # fmt: skip


def call(*words: object, codes: Sequence[int] = (0,)) -> dict[str, Any]:
    """Return the object that a command prints with `--json`."""
    done = said(*words, "--json")
    assert done.returncode in codes, f"{words}: {done.returncode}: {done.stderr or done.stdout}"
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def until(what: str, holds: Callable[[], bool], within: float = WITHIN, *, every: float = 0.05) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"waited {within:.0f} s for {what}"
        time.sleep(every)


class Daemon:
    """A program of the line with its output in a file; what it says is appended over restarts."""

    def __init__(self, name: str, folder: Path, *words: object) -> None:
        self.name, self.words, self.output = name, [WATTSEAL, *map(str, words)], folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._from = 0  # where the output of this start begins [bytes]

    def start(self) -> "Daemon":
        """Start it."""
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        self._from = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment
            )
        return self

    def text(self) -> str:
        """Return what it has said since this start."""
        with self.output.open("rb") as output:
            output.seek(self._from)
            return output.read().decode("utf-8", errors="replace")

    def says(self, word: str, within: float = WITHIN) -> "Daemon":
        """Wait until it has said a word since this start."""
        until(f"{self.name} to say {word!r}", lambda: word in self.text() or self.ended, within)
        assert word in self.text(), f"{self.name} ended without saying {word!r}: {self.text()}"
        return self

    def events(self) -> list[dict[str, Any]]:
        """Return the structured lines of this start."""
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    @property
    def ended(self) -> bool:
        """Return whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def code(self, within: float = WITHIN) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process.wait(within)

    def kill(self) -> None:
        """End it as a power cut would (kill -9)."""
        self._end(signal.SIGKILL)

    def stop(self) -> int | None:
        """Ask it to end; return its exit code, None if it did not run."""
        return self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(15)
            return None


@dataclass
class Meter:
    """One meter of the site, and the settlement point that shows its import."""

    id: str = "m1"
    profile: str = "schneider-pm5000"
    unit: int = 1
    role: str = "load"
    more: str = ""  # further lines of its table


@dataclass
class Line:
    """A site `lab` with its gateway `lab-gw1`, and a collector `central`."""

    folder: Path
    broker: Mosquitto
    interval: int = 5  # [s]
    meters: tuple[Meter, ...] = (Meter(),)
    site_more: str = ""  # further lines of site.toml's head
    modbus: int = field(default_factory=free_port)
    api: int = field(default_factory=free_port)
    daemons: list[Daemon] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.site, self.central, self.points = (
            self.folder / name for name in ("site.toml", "collector.toml", "points.toml")
        )
        self.site.write_text(self._site(), encoding="utf-8")
        self.central.write_text(self._central(), encoding="utf-8")
        self.points.write_text(self._points(), encoding="utf-8")
        self.collector = self.daemon("collector", "collector", "serve", self.central)
        self.agent = self.daemon("agent", "agent", "run", self.site)

    def daemon(self, name: str, *words: object) -> Daemon:
        """Return a program that ends with the line."""
        made = Daemon(name, self.folder, *words)
        self.daemons.append(made)
        return made

    def _site(self) -> str:
        meters = "".join(
            f'\n[[meter]]\nid = "{one.id}"\nprofile = "{one.profile}"\nbus = "room"\nunit = {one.unit}\n'
            f'role = "{one.role}"\npoll_s = 1\n{one.more}\n'
            for one in self.meters
        )
        return (
            f'schema = 1\nsite = "lab"\nagent = "lab-gw1"\ninterval_s = {self.interval}\nlab = true\n'
            f'data_dir = "{self.folder / "agent"}"\n{self.site_more}\n[uplink]\nbroker = "{self.broker.url}"\n\n'
            f'[modbus_tcp.room]\nhost = "127.0.0.1"\nport = {self.modbus}\ntimeout_ms = 600\n{meters}'
        )

    def _central(self) -> str:
        return (
            f'schema = 1\nid = "central"\ndata_dir = "{self.folder / "collector"}"\n'
            f'api_listen = "127.0.0.1:{self.api}"\nvee_every_s = 1\n\n[mqtt]\nurl = "{self.broker.url}"\n'
        )

    def _points(self) -> str:
        return "schema = 1\n" + "".join(
            f'\n[[point]]\nid = "{one.id}"\nfrom = 2026-01-01T00:00:00Z\nrole = "load"\n'
            f'formula = "lab/{one.id}.energy_active_import"\nlength_s = {self.interval}\n'
            for one in self.meters
        )

    # -- what people do ----------------------------------------------------------------------------------------------

    def commission(self) -> "Line":
        """Start the collector, enrol the gateway, load the points."""
        call("collector", "init", self.central)
        self.collector.start().says("collector_started")
        token = call("collector", "agents", "token", self.central, "lab-gw1", "--site", "lab")["token"]
        call("agent", "enroll", self.site, "--token", token, "--collector-url", f"http://127.0.0.1:{self.api}")
        call("collector", "agents", "approve", self.central, "lab-gw1")
        call("collector", "points", "load", self.central, self.points)
        return self

    def simulate(self, *options: object) -> int:
        """Start the meters, with their truth beside; return the first boundary. [UTC s]"""
        truth = ("--truth", self.folder / "truth.csv", "--json")
        meters = self.daemon("simulator", "agent", "simulate", self.site, *truth, *options).start().says('"ready"')
        return int(json.loads(meters.text().splitlines()[0])["first_boundary"])

    def metering(self, first: int) -> int:
        """Start the agent; return the first boundary that it sees, not before the meters' first. [UTC s]"""
        self.agent.start().says("agent_started")
        return max(first, (int(time.time()) // self.interval + 1) * self.interval)

    def sealed(self, boundary: int, within: float = WITHIN) -> None:
        """Wait until the agent has sealed up to a boundary. [UTC s]"""
        text = instant(boundary)

        def holds() -> bool:
            sealed: str | None = call("agent", "status", self.site, codes=(0, 1))["sealed_until"]
            return sealed is not None and sealed >= text

        until(f"the seal of {text}", holds, within)

    def acknowledged(self, within: float = WITHIN) -> dict[str, Any]:
        """Wait until the collector has acknowledged everything; return the agent's status."""
        found: dict[str, Any] = {}

        def holds() -> bool:
            found.update(call("agent", "status", self.site, codes=(0, 1)))
            return not found["waiting"]

        until("the receipts of all batches", holds, within)
        return found

    def release(self, start: int, stop: int, kind: str = "final", name: str = "out") -> Path:
        """Make a release with evidence; return its folder. [UTC s]"""
        span = ("--from", instant(start), "--to", instant(stop), "--kind", kind)
        out = ("--out", self.folder / name, "--evidence")
        return Path(call("collector", "release", "make", self.central, *span, *out)["path"])

    def keys(self) -> Path:
        """Return a folder with the public keys, as an auditor would have been given them."""
        folder = self.folder / "auditor"
        for role, owner in (("agents", "agent"), ("collector", "collector")):
            (folder / role).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / owner / "keys" / "signing.pub.pem", folder / role / f"{owner}.pem")
        return folder

    def verify(self, path: Path) -> tuple[bool, list[str]]:
        """Return whether `wattseal verify` finds a path good, and what failed."""
        done = said("verify", path, "--keys", self.keys(), "--json")
        found = json.loads(done.stdout)
        assert done.returncode == (0 if found["good"] else 1), done
        return found["good"], [failure for report in found["reports"] for failure in report["failures"]]

    def counted(self, query: str) -> list[Any]:
        """Return what the collector's database says."""
        path = self.folder / "collector" / "collector.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute(query).fetchall()

    def end(self) -> None:
        """End every program; none of them may have shown a traceback."""
        for daemon in reversed(self.daemons):
            daemon.stop()
        for daemon in self.daemons:
            text = daemon.output.read_text(encoding="utf-8", errors="replace") if daemon.output.exists() else ""
            assert "traceback" not in text.lower(), f"{daemon.name}: {text[text.lower().index('traceback') :][:4000]}"


@contextlib.contextmanager
def running(line: Line) -> Iterator[Line]:
    """Give a line whose programs end with the block."""
    try:
        yield line
    finally:
        line.end()


def rows(folder: Path, point: str = "m1") -> list[Row]:
    """Return the rows of one point of a release."""
    lines = (folder / "rows.jsonl").read_text(encoding="ascii").splitlines()
    return [row for row in map(release.parse, lines) if row.point == point]


def wait_for(boundary: float) -> None:
    """Wait for a moment of the wall clock. [UTC s]"""
    until(f"{boundary}", lambda: time.time() >= boundary, max(WITHIN, boundary - time.time() + 5), every=0.02)
