"""Issue 6: the release of a month for 1,000 channels behind 200 points, its time and its memory."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Connection, insert

from collector.intake.log import Log
from collector.series import raw, versions
from collector.series.codec import RAW
from collector.series.registers import Segment
from collector.series.versions import Version
from collector.settle import folder, release, sources
from collector.settle.release import Request
from collector.store.engine import Store, open_store
from collector.store.migrate import migrate
from collector.store.schema import channel, raw_segment, source
from shared import keys
from shared.master import PointVersion
from shared.status import Status
from tests.bench.pairs import show

pytestmark = [pytest.mark.bench, pytest.mark.timeout(900)]
DAY, QUARTER, SLOTS, DAYS = 86_400, 900, 96, 31
START = 1_772_323_200  # 2026-03-01T00:00:00Z
CHANNELS, POINTS = 1_000, int(os.environ.get("WATTSEAL_MONTH_POINTS", "200"))
QUANTITY = "energy_active_import"
HOURS, GROUPS = 24 * DAYS, 4  # a batch an hour from each of some gateways


def _name(number: int) -> str:
    return f"m{number:04}"


def _points() -> Iterator[PointVersion]:
    each = CHANNELS // POINTS
    for point in range(POINTS):
        formula = " + ".join(f"0.985 * dc1/{_name(point * each + at)}.{QUANTITY}" for at in range(each))
        yield PointVersion(f"p{point:04}", 0, "load", formula, QUARTER, QUANTITY, ())


def _boundaries(registers: "np.ndarray[tuple[int], np.dtype[np.int64]]", first: int, group: int) -> Segment:
    """Return a day of registers, each from the hourly batch of its gateway."""
    found = np.zeros(SLOTS + 1, RAW)
    found["register"] = found["low"] = found["high"] = registers
    found["known"], found["samples"] = 1, 90
    hour = np.maximum(0, (first + np.arange(SLOTS + 1) - 1) // 4)
    found["position"] = found["since"] = 1 + np.minimum(hour, HOURS - 1) * GROUPS + group
    return Segment(START + first * QUARTER, QUARTER, "s", "int", 1, None, found)


def _fill(connection: Connection, number: int, chance: np.random.Generator) -> None:
    """Write a channel's month: registers as its batches gave them, and a version a day."""
    energy = chance.integers(0, 10**9, SLOTS * DAYS)
    registers = np.concatenate([[0], np.cumsum(energy)])
    tails, made = raw.Tails(connection, raw_segment), list[Version]()
    for day in range(DAYS):
        first = day * SLOTS
        tails.add(number, 1, _boundaries(registers[first : first + SLOTS + 1], first, number % GROUPS), 1)
        status = np.where(chance.random(SLOTS) < 0.01, Status.ESTIMATED, Status.VALID).astype(np.uint8)
        made.append(Version(
            channel_id=number, start=START + first * QUARTER, length=QUARTER, values=energy[first : first + SLOTS],
            status=status, flags=np.zeros(SLOTS, np.uint32), made_by="vee/1",
            methods=["linear" if one == Status.ESTIMATED else None for one in status.tolist()],
        ))  # fmt: skip
    tails.write()
    versions.append(connection, made, HOURS * GROUPS + 1)


def _filled(path: Path) -> None:
    store = open_store("sqlite", path)
    migrate(store)
    signer, chance = keys.generate(), np.random.default_rng(6)
    log = Log(store, "central", signer)
    with store.write() as connection:
        for _ in range(HOURS * GROUPS + 1):  # the leaves of the batches
            log.record(connection, "release", {"release_id": "none"}, by="anna", now=START * 1_000_000)
        sources.record(connection, log, list(_points()), by="anna", now=START * 1_000_000)
        connection.execute(insert(source).values(id=1, agent="gw", epoch="e", path="poll", rank=100))
        for number in range(CHANNELS):
            row = {"id": number + 1, "site": "dc1", "meter": _name(number), "quantity": QUANTITY}
            connection.execute(insert(channel).values(**row))
            _fill(connection, number + 1, chance)
    store.close()


def _peak() -> float:
    """Return the most memory that this process ever had. [MB]"""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)


def _released(path: Path) -> tuple[int, int, float, float, float, float]:
    """Return rows, bytes, CPU seconds of making and of writing, and the memory before and at most. [1, 1, s, s, MB]"""
    store: Store = open_store("sqlite", path)
    signer = keys.generate()
    log, before, begin = Log(store, "central", signer), _peak(), time.process_time()
    with store.write() as connection:
        asked = Request(START, START + DAY * DAYS, "final")
        made = release.make(connection, log, signer, asked, timezone="Europe/Berlin", now=START * 1_000_000)
    built = time.process_time()
    folder.write(made, path / "out")
    seconds = built - begin, time.process_time() - built
    store.close()
    return made.rows.count(b"\n"), len(made.rows), *seconds, before, _peak()


def test_a_month_of_a_thousand_channels_is_released(tmp_path: Path) -> None:
    """Measure time and memory of a release in a process of its own, from a store that holds the month."""
    _filled(tmp_path / "collector")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        rows, octets, making, writing, before, most = pool.submit(_released, tmp_path / "collector").result()
    assert rows == POINTS * SLOTS * DAYS
    show(f"a month of {CHANNELS} channels behind {POINTS} points (SQLite)", [
        ("rows, rows.jsonl", f"{rows:,}, {octets / 1e6:.0f} MB"),
        ("read, evaluated, hashed, signed, kept", f"{making:.1f} s CPU"),
        ("written as files", f"{writing:.1f} s CPU"),
        ("memory: before, at most", f"{before:.0f} MB, {most:.0f} MB"),
    ])  # fmt: skip
