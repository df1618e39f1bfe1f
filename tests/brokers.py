"""Real brokers that tests start, kill and start again."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_WITHIN = 10.0  # [s]
PROGRAM = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """Return a loopback port that nothing listens on."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


class Mosquitto:
    """A Mosquitto on a free loopback port, without persistence: what it forgets when killed is gone."""

    def __init__(self, folder: Path, lines: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.config = folder / "mosquitto.conf"
        self.said = folder / "mosquitto.log"
        access = [] if any("allow_anonymous" in line for line in lines) else ["allow_anonymous true"]
        root = ["user root"] if os.geteuid() == 0 else []  # else it becomes a user who may not read the test's files
        given = [*root, f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "persistence false", *access, *lines]
        self.config.write_text("\n".join(given) + "\n", encoding="ascii")
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Mosquitto":
        """Start it and wait until it listens."""
        if PROGRAM is None:
            raise AssertionError("ask the fixture, which skips where there is no mosquitto")
        with self.said.open("ab") as said:
            self._running = subprocess.Popen([PROGRAM, "-c", str(self.config)], stdout=said, stderr=said)
        deadline = time.monotonic() + _WITHIN
        while time.monotonic() < deadline and self._running.poll() is None:
            with socket.socket() as door:
                if door.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            time.sleep(0.02)
        raise AssertionError(f"mosquitto does not listen: {self.said.read_text(encoding='utf-8')}")

    def kill(self) -> None:
        """Kill it (kill -9)."""
        if self._running is not None:
            self._running.kill()
            self._running.wait(_WITHIN)
            self._running = None
