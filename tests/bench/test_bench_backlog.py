"""DESIGN.md section 9, number 8: a month's backlog of 200 channels, verified, stored and acknowledged.

A real agent program with its outbox on disk, a real Mosquitto with the shipped limits, a real collector program.
`WATTSEAL_BACKLOG_DAYS` shortens it (30).
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ship.outbox import Head, Maker, Outbox
from shared import batch, envelope, keys, record
from shared.batch import Batch, ClockState, Config
from shared.keys import FileSigner
from tests.bench.pairs import reached, show
from tests.bench.site import body
from tests.brokers import PROGRAM, Mosquitto
from tests.conftest import lacking
from tests.faults.laboratory import Gateway, Laboratory

pytestmark = [pytest.mark.bench, pytest.mark.timeout(0)]
DAYS = int(os.environ.get("WATTSEAL_BACKLOG_DAYS", "30"))
METERS, CHANNELS, LENGTH = 100, 200, 300
START = 1_772_460_000
AT_ONCE = 96  # batches in a commit while the backlog is laid down
SHIPPED = ("max_packet_size 300000", "max_queued_messages 10000", "max_inflight_messages 1000")


def _maker(payload: str, signer: FileSigner, number: int) -> Maker:
    """Return what seals the same body at another place: the collector reads only the place before it stores."""

    def make(head: Head) -> tuple[str, str]:
        place = f'"seq":{head.seq + 1},"prev":"{keys.b64url(head.hash)}","created":{START * 10**6 + number}'
        return "intervals", envelope.seal(payload.replace("@PLACE@", place), envelope.BATCH, signer)

    return make


def _payload(epoch: str) -> str:
    word = ClockState("S", "chrony", ((1, START * 10**6, 850),))
    made = Batch(
        ("central",), "dc1", "dc1-gw1", epoch, 1, bytes(32), 0, "0" * 32, word, 1, "wattseal/0.1.0", None, "intervals",
        body(START, 1, METERS, length=LENGTH, statistics=False),
    )  # fmt: skip
    return batch.encode(made).replace(f'"seq":1,"prev":"{keys.b64url(bytes(32))}","created":0', "@PLACE@", 1)


def _lay_down(gateway: Gateway, count: int) -> None:
    outbox, signer = Outbox(gateway.folder / "outbox.sqlite"), keys.load(gateway.folder / "keys")
    head = outbox.head()
    enrolled = record.introduce(outbox.enrolment() or "")
    word = ClockState("S", "chrony", ((1, START * 10**6, 850),))
    first = Batch(
        ("central",), enrolled.site, enrolled.agent, head.epoch, 1, head.hash, START * 10**6, "0" * 32, word, 1,
        "wattseal/0.1.0", None, "config", Config(None, {"schema": 1}),
    )  # fmt: skip
    outbox.seal([lambda _: ("config", envelope.seal(batch.encode(first), envelope.BATCH, signer))], START * 10**6)
    outbox.put("settings", {"schema": 1})
    payload = _payload(head.epoch)
    for begin in range(0, count, AT_ONCE):
        makers = [_maker(payload, signer, number) for number in range(begin, min(count, begin + AT_ONCE))]
        outbox.seal(makers, START * 10**6 + begin)
    outbox.close()


def _resident(process: int) -> int:
    """Return the resident memory of a process. [KiB]"""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def _spent(process: int) -> float:
    """Return the CPU time that a process has taken. [s]"""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def laboratory(tmp_path: Path, migrated_sqlite: Path) -> Iterator[Laboratory]:
    if PROGRAM is None:
        lacking("no mosquitto: install it (Debian, Ubuntu: apt install mosquitto)")
    broker = Mosquitto(tmp_path, SHIPPED).start()
    made = Laboratory(tmp_path / "laboratory", broker.url, migrated_sqlite)
    yield made
    made.end()
    broker.kill()


def test_a_months_backlog_is_drained_within_a_minute(laboratory: Laboratory) -> None:
    gateway, count = laboratory.gateway("dc1-gw1"), DAYS * 86_400 // LENGTH
    _lay_down(gateway, count)
    gateway.enough()
    laboratory.collector.start()
    gateway.program.start()
    begin, memory, spent = time.perf_counter(), list[int](), 0.0
    process, centre = gateway.program._process, laboratory.collector._process
    assert process is not None
    assert centre is not None
    while process.poll() is None:
        try:
            memory.append(_resident(process.pid))
            spent = _spent(process.pid)
        except (StopIteration, OSError):
            break  # it has just ended
        time.sleep(0.1)
    seconds, central = time.perf_counter() - begin, _spent(centre.pid)
    assert process.wait(10) == 0, gateway.program.said()[-2000:]
    kept = laboratory.ledger("dc1-gw1")
    assert [text for *_, text in kept] == gateway.held()
    settled = memory[min(15, len(memory) // 4) :]  # imports are over
    growth = (max(settled) - settled[0]) / 1024
    show(f"8 backlog of {DAYS} days x {CHANNELS} channels x 5 min: {count * CHANNELS:,} intervals", [
        ("verified, stored, acknowledged", f"{seconds:.1f} s; {reached(seconds * 30 / DAYS, 60)}"),
        ("batches a second", f"{count / seconds:.0f}"),
        ("CPU of agent, collector", f"{1000 * spent / count:.2f}, {1000 * central / count:.2f} ms a batch"),
        ("bytes", f"{sum(len(text) for *_, text in kept) / 1e6:.0f} MB"),
        ("agent's memory grows by", f"{growth:.1f} MB, from {settled[0] / 1024:.1f}; {reached(growth, 10)}"),
    ])  # fmt: skip
