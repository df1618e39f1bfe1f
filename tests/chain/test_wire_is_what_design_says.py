"""An outsider at the broker sees what WIRE.md says is on the wire, and nothing else."""

import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared import batch, envelope, keys, receipt
from tests.chain.line import Line, until
from tests.conftest import lacking

pytestmark = pytest.mark.clock

UP, STATE, RECEIPT = (f"wattseal/v1/lab-gw1/{name}" for name in ("up/batch", "up/state", "down/receipt"))


@contextmanager
def listening(line: Line, topic: str) -> Iterator[Path]:
    """Give the file that Mosquitto's own client writes each message to: retained, topic and payload."""
    program = shutil.which("mosquitto_sub")
    if program is None:
        lacking("no mosquitto_sub: install it (Debian, Ubuntu: apt install mosquitto-clients)")
    target = line.folder / "heard.txt"
    command = [program, "-h", "127.0.0.1", "-p", str(line.broker.port), "-t", topic, "-q", "1", "-F", "%r %t %p"]
    with target.open("wb") as file:
        listener = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
    try:
        yield target
    finally:
        listener.kill()
        listener.wait(10)


def heard(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Return the messages by topic: whether it was retained, and the payload."""
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for text in path.read_text(encoding="utf-8").splitlines():
        retained, topic, payload = text.split(" ", 2)
        found[topic].append((retained, payload))
    return found


def test_an_outsider_hears_only_what_is_published(make_line: Callable[..., Line]) -> None:
    line = make_line(interval=2).commission()
    first = line.simulate()
    with listening(line, "#") as path:
        line.sealed(line.metering(first) + 4)
        line.acknowledged()
        until("three receipts", lambda: len(heard(path)[RECEIPT]) >= 3)
        assert line.agent.stop() == 0
        until("the good-bye", lambda: '"alive": false' in path.read_text(encoding="utf-8"))
        found = heard(path)
    assert set(found) == {UP, STATE, RECEIPT}
    _batches_are_jws(line, [payload for _, payload in found[UP]])
    _receipts_are_jws(line, [payload for _, payload in found[RECEIPT]])
    birth, *_, will = (json.loads(payload) for _, payload in found[STATE])
    assert (birth["agent"], birth["alive"], will["alive"]) == ("lab-gw1", True, False)
    _state_and_receipt_stay(line)


def _batches_are_jws(line: Line, texts: list[str]) -> None:
    ring = keys.load_ring(line.keys() / "agents")
    heads = [batch.head(envelope.believe(text, envelope.BATCH, ring)) for text in texts]
    assert sorted({head.seq for head in heads}) == list(range(1, max(head.seq for head in heads) + 1))
    assert heads[0].kind == "config"
    stored = {text for (text,) in line.counted("SELECT jws FROM ledger_bytes")}
    assert set(texts) <= stored, "the ledger holds other bytes than the wire"


def _receipts_are_jws(line: Line, texts: list[str]) -> None:
    ring = keys.load_ring(line.keys() / "collector")
    acked = [receipt.believe(text, ring).acked_seq for text in texts]
    assert acked == sorted(acked)


def _state_and_receipt_stay(line: Line) -> None:
    """Who comes later is told the last state and the last receipt, no batch."""
    with listening(line, "wattseal/v1/#") as path:
        until("what the broker kept", lambda: len(heard(path)) >= 2)
        found = heard(path)
    assert {topic: [kept for kept, _ in said] for topic, said in found.items()} == {STATE: ["1"], RECEIPT: ["1"]}
