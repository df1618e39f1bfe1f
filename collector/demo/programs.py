"""Programs of the demo: each a process of its own, as on a real site."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from shared.errors import LinkDown, StoreError

_WATTSEAL = [sys.executable, "-c", "from shared.cli import main; main()"]
_WITHIN = 30.0  # [s]


def call(*words: str, timeout: float = 120.0) -> dict[str, Any]:
    """Return what a command says with `--json`.

    Raises:
        StoreError: it failed; the text is what it said.
    """
    done = subprocess.run(
        [*_WATTSEAL, *words, "--json"], capture_output=True, text=True, timeout=timeout, check=False
    )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    if done.returncode not in (0, 1) or not lines:
        raise StoreError(f"wattseal {' '.join(words)}: {done.stderr.strip() or done.stdout.strip()}")
    found: dict[str, Any] = json.loads(lines[-1])
    return found


class Program:
    """A daemon with its output in a file."""

    def __init__(self, name: str, folder: Path, *words: str) -> None:
        self.name, self.words, self.output = name, words, folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; its output is appended."""
        environment = {key: value for key, value in os.environ.items() if key != "NOTIFY_SOCKET"}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                [*_WATTSEAL, *self.words], stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment,
                start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to end, and wait until it has."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            StoreError: it ended by itself; the text is the end of its output.
        """
        if self._process is not None and self._process.poll() is not None:
            said = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise StoreError(f"{self.name} ended by itself: {said[-1] if said else 'without a word'}")


@contextlib.contextmanager
def ended(programs: list[Program]) -> Iterator[None]:
    """Make sure that no program outlives the demo."""
    try:
        yield
    finally:
        for program in reversed(programs):
            program.stop()


def until(what: str, holds: Callable[[], bool], programs: list[Program], within: float = _WITHIN) -> None:
    """Wait until something holds.

    Raises:
        LinkDown: it does not hold in time.
        StoreError: a program ended meanwhile.
    """
    deadline = time.monotonic() + within
    while not holds():
        for program in programs:
            program.check()
        if time.monotonic() > deadline:
            raise LinkDown(f"waited {within:.0f} s for {what}; look into the *.log files of the demo's folder")
        time.sleep(0.1)
