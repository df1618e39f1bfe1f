"""What the release of a whole store costs, in a process of its own: its time, and the most memory that it had."""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from collector.intake.log import Log
from collector.settle import folder, release
from collector.settle.release import Request
from collector.store.engine import Store, open_store
from shared import keys
from tests.bench.filled import DAY, START, Size


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a release."""

    rows: int
    octets: int  # of rows.jsonl
    making: tuple[float, float]  # read, evaluated, hashed, signed, kept: CPU and wall [s]
    writing: tuple[float, float]  # as files: CPU and wall [s]
    before: float  # the most memory before it began [MB]
    made: float  # the most while it was made [MB]
    written: float  # the most while its files were written [MB]


def cost(path: Path, size: Size) -> Cost:
    """Return what the release of all that a store holds costs."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_cost, path, size).result()


def _cost(path: Path, size: Size) -> Cost:
    store: Store = open_store("sqlite", path)
    signer = keys.generate()
    log, before = Log(store, "central", signer), _peak()
    asked, begin = Request(START, START + DAY * size.days, "final"), _clocks()
    with store.write() as connection:
        made = release.make(connection, log, signer, asked, timezone="Europe/Berlin", now=START * 1_000_000)
    making, most, begin = _since(begin), _peak(), _clocks()
    target = folder.write(made, path / "out")
    writing, written = _since(begin), _peak()
    store.close()
    octets = (target / "rows.jsonl").stat().st_size
    return Cost(release.manifest_of(made)["expected"], octets, making, writing, before, most, written)


def _clocks() -> tuple[float, float]:
    return time.process_time(), time.perf_counter()


def _since(begin: tuple[float, float]) -> tuple[float, float]:
    now = _clocks()
    return now[0] - begin[0], now[1] - begin[1]


def _peak() -> float:
    """Return the most memory that this process ever had. [MB]"""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 2**20)
