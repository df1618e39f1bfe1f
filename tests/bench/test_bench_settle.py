"""DESIGN.md section 9, numbers 13 and 15: a day's release of 10,000 channels, and the audit of a million intervals."""

import os
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collector.settle import folder, release, rows
from collector.settle.release import Request
from collector.settle.written import Written
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from collector.vee.run import catch_up
from shared import envelope, keys, master
from shared.keys import Signer
from shared.master import PointVersion
from tests.bench.filled import Size, fill
from tests.bench.pairs import reached, show
from tests.bench.releasing import cost
from tests.bench.site import NAMES, body
from tests.collector.conftest import Centre
from tests.results import results

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0 if "WATTSEAL_AUDIT_DAYS" in os.environ else 180)]
DAY, QUARTER, SLOTS = 86_400, 900, 96
START = 1_772_409_600  # 2026-03-02T00:00:00Z
POINTS, EACH = 500, 20  # channels of a point
METERS, BATCH = 260, 26  # of the site in the store; of a batch
DAYS = int(os.environ.get("WATTSEAL_AUDIT_DAYS", "1"))  # of the audit; 20 are a million intervals
EVIDENCE = ((3, 3), (17, 21))


def _channel(number: int) -> str:
    return f"dc1/m{number // 2}.{NAMES[number % 2]}"


def _points(count: int, each: int) -> list[PointVersion]:
    formulas = (" + ".join(_channel(p * each + k) for k in range(each)) for p in range(count))
    return [
        PointVersion(f"p{p:04}", 0, "load", formula, QUARTER, NAMES[0], ()) for p, formula in enumerate(formulas)
    ]  # fmt: skip


def test_a_day_of_many_channels_is_released_quickly() -> None:
    """Measure from interval versions in memory to sorted, hashed, signed rows: 10,000 channels x 96, 500 points."""
    chance = np.random.default_rng(7)
    blank = rows.Channel(
        length=QUARTER, values=np.zeros(SLOTS, np.int64), status=np.ones(SLOTS, np.uint8),
        flags=np.zeros(SLOTS, np.int64), methods=np.zeros(SLOTS, np.int64), positions=np.full(SLOTS, 9),
    )  # fmt: skip
    made = {
        _channel(n): {QUARTER: replace(blank, values=chance.integers(0, 10**9, SLOTS))} for n in range(POINTS * EACH)
    }
    points, signer = _points(POINTS, EACH), keys.generate()
    begin = time.process_time()
    lines = _released(points, made, signer)
    seconds = time.process_time() - begin
    assert lines == POINTS * SLOTS
    show("13 release of a day: 10,000 channels x 96, 500 points", [
        ("evaluated, sorted, written, hashed, signed", f"{seconds:.2f} s CPU; {reached(seconds, 3)}"),
    ])  # fmt: skip


def _released(points: list[PointVersion], made: dict[str, dict[int, rows.Channel]], signer: Signer) -> int:
    written, behind = Written(), [EVIDENCE] * SLOTS
    for result in results(points, [one.id for one in points], made, range(START, START + DAY)):
        written.add(result.told(behind, {}, {}))
    written.packed()
    envelope.seal(f"{written.root}{written.sha256}", envelope.RELEASE, signer)
    return written.short.rows


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = open_store("sqlite", tmp_path / "collector")
    migrate(opened)
    return opened


def test_a_release_is_made_from_the_store_and_audited(store: Store, tmp_path: Path) -> None:
    """Measure per channel what the store adds, and per interval what `wattseal verify` takes."""
    centre = Centre(store)
    agent = centre.agent()
    texts = [agent.texts[0]]
    for first in range(0, SLOTS * DAYS, 4):
        whole = body(START + first * QUARTER, 4, METERS, length=QUARTER, statistics=False)
        texts += [
            agent.seal("intervals", replace(whole, blocks=whole.blocks[at : at + BATCH]))
            for at in range(0, METERS, BATCH)
        ]  # fmt: skip
    channels, count = 2 * METERS, 2 * METERS // EACH
    with store.write() as connection:
        wanted = master.body(_points(count, EACH))
        centre.log.record(connection, "points", wanted, by="anna", now=centre.clock.wall())
    for at in range(0, len(texts), 50):
        centre.take(*texts[at : at + 50])
    catch_up(store, centre.log, centre.clock)
    begin = time.process_time()
    asked = Request(START, START + DAY * DAYS, "final")
    with store.write() as connection:
        made = release.make(connection, centre.log, centre.signer, asked, timezone="UTC", now=centre.clock.wall())
    seconds = time.process_time() - begin
    target = folder.write(made, tmp_path / "out")
    with store.read() as connection:
        folder.evidence(connection, centre.log, made, centre.signer.verifier, target)
    store.close()
    _audit(target, agent.signer, centre.signer, tmp_path / "trusted", channels * SLOTS * DAYS)
    show(f"the same through the store, of {channels} channels that agents have sealed", [
        ("a channel and day", f"{1000 * seconds / channels / DAYS:.2f} ms CPU"),
    ])  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 24])
def test_a_day_of_many_channels_is_released_from_the_store(tmp_path: Path, pieces: int) -> None:
    """Measure the whole way through SQLite, with 10,000 channels; `pieces`: how often VEE has run on the day."""
    size = Size(channels=POINTS * EACH, points=POINTS, days=1, pieces=pieces)
    fill(tmp_path / "collector", size)
    found = cost(tmp_path / "collector", size)
    assert found.rows == size.rows
    show(f"13 the same through the store (SQLite): 10,000 channels, versions in {pieces} pieces", [
        ("read, evaluated, hashed, signed, kept", f"{found.making[0]:.2f} s CPU; {reached(found.making[0], 3)}"),
        ("wall", f"{found.making[1]:.2f} s"),
        ("written as files", f"{found.writing[0]:.2f} s CPU, {found.writing[1]:.2f} s"),
    ])  # fmt: skip


def _audit(target: Path, agent: Signer, collector: Signer, trusted: Path, intervals: int) -> None:
    keys.save_public(trusted / "agents" / "agent.pem", agent.verifier)
    keys.save_public(trusted / "collector" / "collector.pem", collector.verifier)
    program = [str(Path(sys.executable).with_name("wattseal")), "verify", str(target), "--keys", str(trusted)]
    begin, before = time.perf_counter(), _children()
    done = subprocess.run(program, capture_output=True, text=True, check=False, timeout=None if DAYS > 1 else 120)
    seconds, work = time.perf_counter() - begin, _children() - before
    assert done.returncode == 0, done.stdout
    million = seconds * 1_000_000 / intervals
    show("15 audit: wattseal verify, from signed reads to release", [
        (f"{intervals} intervals", f"{seconds:.2f} s, {work:.2f} s CPU"),
        (
            f"1 M intervals{'' if intervals > 990_000 else ', extrapolated'}",
            f"{million:.0f} s; {reached(million, 300)}",
        ),
    ])  # fmt: skip


def _children() -> float:
    """Return the CPU time of programs that have ended. [s]"""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
