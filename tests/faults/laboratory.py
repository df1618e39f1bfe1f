"""A collector and gateways as real programs over a real broker, to be killed at will, and the law they are held to."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.ship.outbox import Outbox
from collector.intake import enrol
from collector.intake.log import Log
from collector.store.engine import open_store
from shared import batch, envelope, keys
from shared.batch import Batch
from shared.clock import SystemClock
from shared.intervals import Intervals
from tests.faults.agent_program import START, STEP

REPOSITORY = Path(__file__).resolve().parents[2]
WITHIN = 90.0  # [s]


def until(what: str, holds: Callable[[], object], within: float = WITHIN) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + within
    while not holds():
        assert time.monotonic() < deadline, f"waited {within:.0f} s for {what}"
        time.sleep(0.02)


class Program:
    """One program of the laboratory; its words over all starts are in one file."""

    def __init__(self, module: str, words: tuple[object, ...], output: Path) -> None:
        self.line = [sys.executable, "-m", f"tests.faults.{module}", *map(str, words)]
        self.output = output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, **environment: str) -> "Program":
        """Start it, with these variables beside our own."""
        known = {name: value for name, value in os.environ.items() if name != "WATTSEAL_FAILPOINT"}
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                self.line, cwd=REPOSITORY, stdout=output, stderr=output, env=known | environment
            )
        return self

    def ends(self, within: float = WITHIN) -> int:
        """Wait until it ends by itself; return its exit code."""
        assert self._process is not None
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.line[2:]} goes on: {self.said()[-2000:]}") from None

    @property
    def ended(self) -> bool:
        """Return whether it does not run."""
        return self._process is None or self._process.poll() is not None

    def until(self, what: str, holds: Callable[[], object], within: float = WITHIN) -> None:
        """Wait for a condition while it runs."""

        def checked() -> object:
            assert self._process is not None
            assert self._process.poll() is None, self.said()[-3000:]
            return holds()

        until(what, checked, within)

    def kill(self) -> None:
        """End it as a power cut would (kill -9)."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait(WITHIN)
            self._process = None

    def said(self) -> str:
        """Return what it has said over all starts."""
        return self.output.read_text(encoding="utf-8", errors="replace") if self.output.exists() else ""


@dataclass
class Gateway:
    """An enrolled gateway with its folder."""

    name: str
    folder: Path
    program: Program

    def enough(self) -> None:
        """Let it seal no more, and end once everything is acknowledged."""
        self.folder.with_suffix(".enough").touch()

    def sealed(self) -> list[str]:
        """Return what was promised, in order of sealing."""
        journal = self.folder.with_suffix(".sealed")
        return journal.read_text(encoding="ascii").splitlines() if journal.exists() else []

    def held(self) -> list[str]:
        """Return what is in the outbox."""
        outbox = Outbox(self.folder / "outbox.sqlite")
        texts = list(outbox.texts())
        outbox.close()
        return texts

    def finish(self) -> None:
        """Start it without faults and wait until all is acknowledged."""
        self.enough()
        assert self.program.start().ends() == 0, self.program.said()[-2000:]


@dataclass
class Laboratory:
    """A collector `central` with its gateways."""

    folder: Path
    broker: str
    migrated: Path  # an empty database of the present schema
    gateways: dict[str, Gateway] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.centre = self.folder / "collector"
        self.centre.mkdir(parents=True)
        shutil.copy(self.migrated, self.database)
        self.key = keys.create(self.centre / "keys")
        self.collector = Program("collector_program", (self.centre, self.broker), self.folder / "collector.log")

    @property
    def database(self) -> Path:
        """Return the collector's database."""
        return self.centre / "collector.db"

    def gateway(self, name: str, *, pause: float = 0.02, prune: bool = False, broker: str | None = None) -> Gateway:
        """Return a gateway, enrolled by token, proof and approval."""
        folder, now = self.folder / name, SystemClock().wall()
        folder.mkdir()
        signer, store = keys.create(folder / "keys"), open_store("sqlite", self.centre)
        log = Log(store, "central", self.key)
        token = enrol.issue(store, agent=name, site="dc1", now=now)
        proof = enrol.proof(token, name, "dc1", signer)
        enrol.request(store, token=token, key=keys.jwk(signer.verifier), proof=proof, now=now)
        record = enrol.approve(store, log, agent=name, collector_key=self.key.verifier, by="anna", now=now)
        store.close()
        (folder / "enrolment.jws").write_text(record + "\n", encoding="ascii")
        outbox = Outbox(folder / "outbox.sqlite")
        outbox.begin(uuid.uuid4().hex, record)
        outbox.close()
        words = (folder, broker or self.broker, name, pause, "prune" if prune else "keep")
        program = Program("agent_program", words, self.folder / f"{name}.log")
        self.gateways[name] = Gateway(name, folder, program)
        return self.gateways[name]

    def ledger(self, name: str) -> list[tuple[str, str, int, str]]:
        """Return (state, epoch, seq, text) of an agent's batches in the order of the log."""
        query = (
            "SELECT state, epoch, seq, jws FROM ledger JOIN ledger_bytes USING (position)"
            " WHERE agent = ? AND typ = 'batch' ORDER BY position"
        )
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(query, (name,)).fetchall()

    def end(self) -> None:
        """Kill all programs."""
        for one in (self.collector, *(gateway.program for gateway in self.gateways.values())):
            one.kill()


def batches(texts: list[str]) -> list[Batch]:
    """Return what some strings say."""
    return [batch.decode(envelope.payload(envelope.apart(text))) for text in texts]


def assert_promise(laboratory: Laboratory, gateway: Gateway, *, pruned: bool = False) -> int:
    """Hold the promise: nothing sealed is lost, nothing applied twice, no hole; return how many batches there are."""
    rows = laboratory.ledger(gateway.name)
    texts = [text for _, _, _, text in rows]
    assert {state for state, *_ in rows} == {"admitted"}
    assert [seq for _, _, seq, _ in rows] == list(range(1, len(rows) + 1))
    assert len({epoch for _, epoch, *_ in rows}) == 1
    missing = set(gateway.sealed()) - set(texts)
    assert not missing, f"{len(missing)} sealed batches are not in the ledger"
    held = gateway.held()
    assert (set(held) <= set(texts)) if pruned else (held == texts)
    assert_energy(texts)
    return len(rows)


def assert_energy(texts: list[str]) -> int:
    """Hold the energy: each interval once, the register without a jump; return how many there are."""
    bodies = [one.body for one in batches(texts) if isinstance(one.body, Intervals)]
    starts = [body.start for body in bodies]
    assert starts == [START + 300 * k for k in range(len(starts))]
    registers = [body.blocks[0].registers["energy_active_export"] for body in bodies]
    assert [one.raw for one in registers] == [((STEP * k,), (STEP * (k + 1),)) for k in range(len(bodies))]
    return len(bodies)
