"""Each batch names its predecessor, is believed by its key, and is as long as an envelope may be at most."""

from pathlib import Path

import pytest

from shared import batch, envelope
from shared.batch import Config, Event, Seen
from shared.envelope import LIMIT, digest
from shared.errors import BadSignature, StoreError
from tests.fakes import ManualClock, reads
from tests.fakes_agent import Gateway, gateway


@pytest.fixture
def gate(tmp_path: Path) -> Gateway:
    return gateway(tmp_path, ManualClock())


def _read(gate: Gateway, text: str) -> batch.Batch:
    ring = {gate.signer.kid: gate.signer.verifier}
    return batch.decode(envelope.believe(text, envelope.BATCH, ring))


def test_the_first_batch_is_the_configuration_and_names_the_enrolment(gate: Gateway) -> None:
    first = _read(gate, next(gate.outbox.texts()))
    assert (first.seq, first.kind, first.config) == (1, "config", 1)
    assert first.body == Config(None, {"schema": 1})
    assert first.prev == digest(gate.enrolment)


def test_each_batch_names_the_one_before_also_within_a_commit(gate: Gateway) -> None:
    gate.sealer.seal(("heartbeat", None), ("intervals", reads(0, [1, 2])), ("heartbeat", None))
    texts = list(gate.outbox.texts())
    read = [_read(gate, text) for text in texts]
    assert [one.seq for one in read] == [1, 2, 3, 4]
    assert [one.prev for one in read[1:]] == [digest(text) for text in texts[:-1]]


def test_a_batch_reports_the_last_checkpoint_that_was_proved(gate: Gateway) -> None:
    seen = Seen("wattseal/central/1", 3, b"s" * 32)
    gate.outbox.acknowledge(gate.epoch, 1, seen, 1)
    assert _read(gate, gate.heartbeats(1)[0]).seen == seen


def test_a_new_configuration_is_in_force_from_its_own_batch_on(gate: Gateway) -> None:
    before = _read(gate, gate.heartbeats(1)[0])
    gate.sealer.seal_config({"schema": 1, "interval_s": 60})
    after = _read(gate, gate.heartbeats(1)[0])
    assert (before.config, after.config) == (1, 3)


def test_what_is_too_long_becomes_several_batches_of_one_commit(gate: Gateway) -> None:
    events = tuple(Event("m", f"event_{at}", 1, 2, 1, {"text": "x" * 1000}) for at in range(600))
    sealed = gate.sealer.seal(("event", events), kept={"state": 1})
    assert len(sealed) == 4
    assert all(len(one.text) <= LIMIT for one in sealed)
    assert max(len(one.text) for one in sealed) > LIMIT // 2
    bodies = [_read(gate, one.text).body for one in sealed]
    assert tuple(event for body in bodies if isinstance(body, tuple) for event in body) == events


def test_a_failed_commit_leaves_the_chain_as_it_was(gate: Gateway) -> None:
    pages = gate.outbox._db.execute("PRAGMA page_count").fetchone()[0]
    gate.outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    head = gate.outbox.head()
    with pytest.raises(StoreError):
        gate.event(150_000)
    assert gate.outbox.head() == head
    gate.outbox._db.execute("PRAGMA max_page_count = 10000")
    assert _read(gate, gate.event(150_000)).prev == head.hash


def test_a_changed_letter_is_not_believed(gate: Gateway) -> None:
    text = gate.heartbeats(1)[0]
    at = text.index(".") + 20
    other = "A" if text[at] != "A" else "B"
    with pytest.raises(BadSignature):
        _read(gate, text[:at] + other + text[at + 1 :])
