"""What happens in the demo, in order: a site is commissioned, metered, hurt twice, released and verified."""

import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.demo import files
from collector.demo.files import INTERVAL
from collector.demo.programs import Program, call, ended, until
from collector.demo.score import Score, read_edges, rows, score, truth
from shared.errors import ConfigError
from shared.release import instant

LEAST = 45  # [s]
#: What is done to the site, in seconds after the first boundary: hall-b is silent, broker and collector lose power.
DEAD_AT, DEAD_FOR = 13, 10
CUT_AT, CUT_FOR = 26, 4


@dataclass(slots=True)
class Story:
    """One run of the demo; `tell` shows a sentence to a person."""

    folder: Path
    port: int
    seconds: int
    tell: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    programs: list[Program] = field(default_factory=list)
    first_release_s: float | None = None
    releases: int = 0

    def run(self) -> dict[str, Any]:
        """Return what the demo found, as DESIGN.md 7.6 publishes it."""
        if self.seconds < LEAST:
            raise ConfigError(f"--seconds {self.seconds}: the demo needs at least {LEAST} seconds of metering")
        at = files.ports(self.port)
        site, collector, points = (str(path) for path in files.write(self.folder, at))
        fault = f"hall-b:dead:{DEAD_AT}:{DEAD_FOR}"
        simulator = Program(
            "simulator", self.folder, "agent", "simulate", site, "--truth", str(self.folder / "truth.csv"),
            "--fault", fault,
        )  # fmt: skip
        centre = Program("collector", self.folder, "collector", "serve", collector)
        agent = Program("agent", self.folder, "agent", "run", site)
        self.programs = [simulator, centre, agent]
        with ended(self.programs):
            self._commission(simulator, centre, site, collector, points, at)
            first = self._first_boundary(simulator)
            agent.start()
            self._meter(centre, collector, first)
            return self._settle(agent, site, collector, first)

    def _commission(
        self, simulator: Program, centre: Program, site: str, collector: str, points: str, at: files.Ports
    ) -> None:
        self.tell("a simulated site: grid, check meter, gas turbine (OPC UA), solar, battery, two halls (Modbus TCP)")
        call("collector", "init", collector)
        centre.start()
        until("the collector", lambda: self._says(centre, "collector_started"), [centre])
        self.tell(f"collector and page at http://127.0.0.1:{at.api}/")
        token = call("collector", "agents", "token", collector, "demo-gw1", "--site", "demo")["token"]
        asked = call("agent", "enroll", site, "--token", token, "--collector-url", f"http://127.0.0.1:{at.api}")
        call("collector", "agents", "approve", collector, "demo-gw1")
        self.tell(f"gateway enrolled, key {asked['fingerprint']}")
        call("collector", "points", "load", collector, points)
        simulator.start()

    def _says(self, program: Program, word: str) -> bool:
        return program.output.exists() and word in program.output.read_text(encoding="utf-8", errors="replace")

    def _first_boundary(self, simulator: Program) -> int:
        """Return the first boundary of the simulated site. [UTC s]"""
        until("the simulated site", lambda: self._says(simulator, "ready "), [simulator])
        now = int(time.time())
        return -(-(now + 2) // INTERVAL) * INTERVAL

    def _meter(self, centre: Program, collector: str, first: int) -> None:
        """Let time pass; release as soon as there is something, and hurt the site."""
        stop = first + self.seconds // INTERVAL * INTERVAL
        cut = False
        while (now := time.time()) < stop:
            for program in self.programs:
                program.check()
            if self.first_release_s is None and now > first + 2 * INTERVAL + 1:
                self._release_first(collector, first + INTERVAL, first + 2 * INTERVAL)
            if not cut and now > first + CUT_AT:
                cut = True
                self._cut(centre)
            time.sleep(0.2)

    def _release_first(self, collector: str, start: int, stop: int) -> None:
        made = self._release(collector, start, stop, "preliminary", "first")
        if made is None:
            return
        self.first_release_s = time.monotonic() - self.began
        self.tell(f"first signed release after {self.first_release_s:.0f} s: {made.name}")

    def _release(self, collector: str, start: int, stop: int, kind: str, name: str) -> Path | None:
        """Return a release's folder, None while a row of it is still missing."""
        span = ("--from", instant(start), "--to", instant(stop))
        out = self.folder / "releases" / name
        made = call("collector", "release", "make", collector, *span, "--kind", kind, "--out", str(out), "--evidence")
        folder = Path(made["path"])
        self.releases += 1
        return folder if kind == "final" or all(row.value is not None for row in rows(folder)) else None

    def _cut(self, centre: Program) -> None:
        self.tell("power cut at the centre: broker and collector are killed; the gateway seals on")
        centre.kill()
        time.sleep(CUT_FOR)
        centre.start()
        self.tell("the centre is back; the gateway sends what is not acknowledged")

    def _settle(self, agent: Program, site: str, collector: str, first: int) -> dict[str, Any]:
        start, stop = first + INTERVAL, first + self.seconds // INTERVAL * INTERVAL
        until("the last boundary", lambda: time.time() > stop + 3, self.programs)
        self._wait_for_receipts(site)
        agent.stop()
        agent_state = call("agent", "status", site)
        folder = self._release(collector, *self._read_edges(collector, start, stop), "final", "final")
        if folder is None:
            raise ConfigError("the final release could not be made")
        keys = self._keys()
        proved = call("verify", str(folder), "--keys", str(keys))
        found = score(rows(folder), truth(self.folder / "truth.csv"))
        self._close(folder, found, verified=bool(proved["good"]))
        parcels = self._handed_over(folder.name, collector)
        return self._result(agent_state, found, verified=bool(proved["good"])) | {"parcels": parcels}

    def _read_edges(self, collector: str, start: int, stop: int) -> tuple[int, int]:
        """Return the period between the first and the last boundary at which all meters were read, as settlement does.

        On a machine that has no time for the agent a read can be too late at the very edge; what a gap's energy is on
        each side of it is then an estimate, and no sum over the period is exact.
        """
        self._release(collector, start - INTERVAL, stop, "preliminary", "whole")
        (folder,) = (self.folder / "releases" / "whole").iterdir()
        return read_edges(rows(folder), start)

    def _wait_for_receipts(self, site: str) -> None:
        """Wait until the collector holds everything that was sealed."""
        until("the receipts of all batches", lambda: not call("agent", "status", site)["waiting"], self.programs)

    def _keys(self) -> Path:
        """Return a folder with the public keys, as an auditor would have been given them."""
        keys = self.folder / "keys"
        for role, owner in (("agents", "agent"), ("collector", "collector")):
            (keys / role).mkdir(parents=True, exist_ok=True)
            shutil.copy(self.folder / owner / "keys" / "signing.pub.pem", keys / role / f"{owner}.pem")
        return keys

    def _close(self, folder: Path, found: Score, *, verified: bool) -> None:
        self.tell(f"final release {folder.name}: {found.intervals} rows, {found.estimated} of them estimated")
        self.tell(f"`wattseal verify` with public keys alone: {'good' if verified else 'BAD'}")
        self.tell(
            f"all sources less all uses: {found.identity_residual} mWh;"
            f" largest difference from the truth: {found.true_difference} mWh"
        )

    def _handed_over(self, release: str, collector: str) -> int:
        """Return how many parcels lie with the parties, those of the last release among them."""
        targets = self.folder / files.HANDED_OVER
        places = [targets / name / f"{release}.released" for name, *_ in files.TARGETS]
        until("the hand-off", lambda: all(place.is_dir() for place in places), self.programs[:2])
        for place in places:
            self.tell(f"handed over: {place} ({', '.join(sorted(file.name for file in place.iterdir()))})")
        self.tell("rows of 5 s are too short for NEM12 and CIM; `release export` says so, and writes all other formats")
        self.tell(f"what went to whom, and what they answered: wattseal collector deliver list {collector}")
        return sum(1 for _ in targets.glob("*/*.released"))

    def _result(self, state: dict[str, Any], found: Score, *, verified: bool) -> dict[str, Any]:
        stored, distinct = self._ledger()
        return {
            "sealed": state["sealed"],
            "acked": state["acked"],
            "lost": state["sealed"] - distinct,
            "duplicated": stored - distinct,
            "intervals": found.intervals,
            "estimated": found.estimated,
            "missing": found.missing,
            "releases": self.releases,
            "verified": verified,
            "identity_residual_mWh": found.identity_residual,
            "true_energy_difference_mWh": found.true_difference,
            "seconds_to_first_release": None if self.first_release_s is None else round(self.first_release_s, 1),
            "folder": str(self.folder),
        }

    def _ledger(self) -> tuple[int, int]:
        """Return how many batches the ledger holds, and how many of them are distinct."""
        query = "SELECT COUNT(*), COUNT(DISTINCT epoch || '/' || seq) FROM ledger WHERE typ = 'batch'"
        with closing(sqlite3.connect(self.folder / "collector" / "collector.db")) as database:
            stored, distinct = database.execute(query).fetchone()
        return int(stored), int(distinct)
