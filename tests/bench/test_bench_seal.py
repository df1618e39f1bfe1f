"""DESIGN.md section 9, number 6: durable seals a second beside bare fsync, and bytes written a day."""

import os
import time
from pathlib import Path

import pytest

from shared.batch import Seen
from shared.intervals import Intervals
from tests.bench.pairs import interleaved, reached, show
from tests.bench.site import body
from tests.fakes import ManualClock
from tests.fakes_agent import Gateway, gateway

pytestmark = pytest.mark.bench
QUARTER = 900
START = 1_772_460_000
EACH = 10  # seals in a block
DAY = 96  # seals
MOST_A_DAY = 50.0  # [MB]
#: What the daemon keeps in the same commit: the state of each meter's boundary. [bytes]
STATE = 25 * 400


def _seal(gate: Gateway, quarter: int, made: Intervals | None = None) -> None:
    made = made or _body(quarter)
    gate.sealer.seal(("intervals", made), kept={"state": "x" * STATE, "until": quarter})


def _body(quarter: int) -> Intervals:
    return body(START + quarter * QUARTER, 1, 25, length=QUARTER)


def test_a_durable_seal_costs_little_more_than_its_fsync(tmp_path: Path) -> None:
    """Measure seals of 50 channels against 4 KiB written and synced, on the same disk."""
    gate, at = gateway(tmp_path, ManualClock()), iter(range(10**6))
    made = [_body(quarter) for quarter in range(28 * EACH)]  # what the meters did is no part of a seal
    with (tmp_path / "bare").open("wb", buffering=0) as bare:

        def ours() -> None:
            for _ in range(EACH):
                quarter = next(at)
                _seal(gate, quarter, made[quarter])

        def reference() -> None:
            for _ in range(EACH):
                bare.write(b"x" * 4096)
                os.fsync(bare.fileno())

        pair = interleaved(ours, reference, operations=EACH, blocks=25, clock=time.perf_counter)
    rate = 1 / pair.ratio
    span = f"{1 / max(pair.ratios):.3g} to {1 / min(pair.ratios):.3g}"
    size = len(next(reversed(list(gate.outbox.texts()))))
    show("6 durable seals: 15 min x 50 channels", [
        ("seals a second / bare fsync a second", f"{rate:.3g} ({span}); {reached(rate, 0.2, at_most=False)}"),
        ("a seal, median of blocks", f"{1000 * sorted(pair.ours)[len(pair.ours) // 2]:.2f} ms"),
        ("a bare fsync, median of blocks", f"{1000 * sorted(pair.reference)[len(pair.reference) // 2]:.2f} ms"),
        ("a batch", f"{size} bytes"),
    ])  # fmt: skip


def test_a_day_of_seals_writes_little(tmp_path: Path) -> None:
    """Count what the kernel was given for the disk: a seal and a receipt each quarter, a restart's clean-up after."""
    gate = gateway(tmp_path, ManualClock())
    before = _written()
    for quarter in range(DAY):
        _seal(gate, quarter)
        gate.outbox.acknowledge(gate.epoch, quarter + 2, Seen("wattseal/central/1", quarter + 2, b"r" * 32), 1)
    gate.outbox.close()
    megabytes = (_written() - before) / 1e6
    show("6 bytes written in a day of 15 min x 50 channels", [
        ("written, with receipts, log and checkpoint", f"{megabytes:.1f} MB; {reached(megabytes, MOST_A_DAY)}"),
    ])  # fmt: skip


def _written() -> int:
    """Return what this process wrote to files so far. [bytes]"""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    counts = dict(line.split(": ") for line in lines)
    return int(counts["wchar"])
