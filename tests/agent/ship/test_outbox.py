"""The outbox under a hostile disk: state and batches together or not at all, and one clear error each time."""

import os
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.lifetime import alone
from agent.ship.disk import exists
from agent.ship.outbox import Head, Outbox
from shared.batch import Seen
from shared.envelope import digest
from shared.errors import ConfigError, StoreError
from tests.fakes import ManualClock
from tests.fakes_agent import Gateway, gateway

SEEN = Seen("wattseal/central/1", 7, b"r" * 32)


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gateway]:
    made = gateway(tmp_path, ManualClock())
    yield made
    made.outbox.close()


def _texts(path: Path) -> list[str]:
    outbox = Outbox(path, look=True)
    try:
        return list(outbox.texts())
    finally:
        outbox.close()


def test_batches_and_state_are_on_disk_together(gate: Gateway) -> None:
    gate.sealer.seal(("heartbeat", None), ("heartbeat", None), kept={"state": {"wall": 5}})
    again = Outbox(gate.outbox.path, look=True)
    assert (again.head().seq, again.get("state")) == (3, {"wall": 5})
    again.close()


def test_a_seal_that_fails_half_way_leaves_nothing(gate: Gateway) -> None:
    def breaks(head: Head) -> tuple[str, str]:
        raise ZeroDivisionError(head.seq)

    before = list(gate.outbox.texts())
    with pytest.raises(ZeroDivisionError):
        gate.outbox.seal([lambda head: ("heartbeat", f"text {head.seq}"), breaks], 1, {"state": {"wall": 9}})
    assert list(gate.outbox.texts()) == before
    assert gate.outbox.get("state") is None
    gate.heartbeats(1)
    assert gate.outbox.head().seq == 2


def test_the_configuration_is_sealed_again_only_when_it_changes(gate: Gateway) -> None:
    assert gate.sealer.seal_config({"schema": 1}) == []
    assert gate.sealer.seal_config({"schema": 1, "x": [1, None]})[0].seq == 2
    assert gate.sealer.seal_config({"schema": 1, "x": [1, None]}) == []
    assert gate.outbox.head().config == 2


def test_a_new_epoch_names_the_head_of_the_former(gate: Gateway) -> None:
    gate.heartbeats(2)
    head = gate.outbox.head()
    gate.outbox.begin("e" * 32, "another enrolment")
    place = gate.outbox.head().previous_epoch
    assert place is not None
    assert (place.epoch, place.seq, place.hash) == (head.epoch, 3, head.hash)
    assert (gate.outbox.head().seq, gate.outbox.head().hash) == (0, digest("another enrolment"))


def test_nothing_without_a_receipt_is_ever_pruned(gate: Gateway) -> None:
    gate.heartbeats(5)
    assert gate.outbox.prune(2**62) == 0
    gate.outbox.acknowledge(gate.epoch, 3, SEEN, 1)
    assert gate.outbox.prune(2**62) == 2  # the third is what receipts name
    assert [one.seq for one in gate.outbox.waiting(10)] == [4, 5, 6]


def test_the_last_batch_stays_for_the_next_one_to_name(gate: Gateway) -> None:
    text = gate.heartbeats(2)[-1]
    gate.outbox.acknowledge(gate.epoch, 3, SEEN, 1)
    gate.outbox.prune(2**62)
    assert list(gate.outbox.texts()) == [text]
    assert gate.outbox.head().hash == digest(text)


def test_acknowledged_is_what_lies_before_the_first_that_waits(gate: Gateway) -> None:
    gate.heartbeats(3)
    assert gate.outbox.acked(gate.epoch) == 0
    assert gate.outbox.acknowledge(gate.epoch, 2, SEEN, 1) == 2
    assert gate.outbox.acknowledge(gate.epoch, 2, SEEN, 1) == 0
    assert gate.outbox.acked(gate.epoch) == 2
    gate.outbox.acknowledge(gate.epoch, 4, SEEN, 1)
    assert gate.outbox.acked(gate.epoch) == 4
    assert gate.outbox.count() == {"sealed": 4, "acked": 4, "waiting": 0}


def test_marking_reads_no_batch_that_is_marked_already(gate: Gateway) -> None:
    """Ninety days of batches lie there; each receipt must cost the same."""
    plan = gate.outbox._db.execute(
        "EXPLAIN QUERY PLAN UPDATE batch INDEXED BY batch_waiting SET acked = 1 WHERE epoch = '' AND seq <= 1"
        " AND acked IS NULL"
    ).fetchall()
    assert "batch_waiting" in plan[0][3]


def test_a_look_works_while_a_writer_is_in_the_middle_of_a_commit(gate: Gateway) -> None:
    with gate.outbox._transaction():
        gate.outbox._put("state", {"wall": 1})
        look = Outbox(gate.outbox.path, look=True)
        assert look.get("state") is None
        assert look.count()["sealed"] == 1
        look.close()


def test_a_look_cannot_write(gate: Gateway) -> None:
    look = Outbox(gate.outbox.path, look=True)
    with pytest.raises(StoreError, match="read-only"):
        look.put("state", 1)
    look.close()
    assert gate.outbox.get("state") is None


def test_two_agents_do_not_share_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(ConfigError, match="another agent runs here"), alone(tmp_path):
        pass
    with alone(tmp_path):  # the lock is given back
        pass


def test_a_second_writer_gets_a_clear_error_and_changes_nothing(gate: Gateway) -> None:
    other = Outbox(gate.outbox.path)
    other._db.execute("PRAGMA busy_timeout=10")
    with gate.outbox._transaction(), pytest.raises(StoreError, match="another program holds it"):
        other.put("state", 1)
    assert gate.outbox.get("state") is None
    other.close()


@pytest.mark.parametrize("at", [0, 4096 + 100])
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, at: int) -> None:
    made = gateway(tmp_path, ManualClock())
    for _ in range(40):
        made.event(4000)
    made.outbox.close()
    path = made.outbox.path
    octets = bytearray(path.read_bytes())
    octets[at : at + 20_000] = b"\xa5" * 20_000
    path.write_bytes(octets)
    with pytest.raises(StoreError, match=r"outbox\.sqlite.*moves the file aside, keeps what proves itself"):
        Outbox(path)
    assert path.read_bytes() == octets


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    made = gateway(tmp_path, ManualClock())
    for _ in range(40):
        made.event(4000)
    made.outbox.close()
    octets = made.outbox.path.read_bytes()
    made.outbox.path.write_bytes(octets[: len(octets) // 2])
    with pytest.raises(StoreError, match="moves the file aside"):
        Outbox(made.outbox.path)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    path.write_text("not a database " * 100, encoding="ascii")
    for look in (False, True):
        with pytest.raises(StoreError, match="moves the file aside"):
            Outbox(path, look=look)


@pytest.mark.parametrize("look", [False, True])
def test_a_newer_version_is_refused_and_left_as_it_is(gate: Gateway, *, look: bool) -> None:
    gate.outbox._db.execute("ALTER TABLE batch ADD COLUMN colour TEXT")
    gate.outbox._db.execute("PRAGMA user_version = 3")
    with pytest.raises(StoreError, match="made by a newer Wattseal"):
        Outbox(gate.outbox.path, look=look)


def test_an_empty_file_is_a_new_outbox(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").touch()
    outbox = Outbox(tmp_path / "outbox.sqlite")
    assert outbox.count()["sealed"] == 0
    with pytest.raises(StoreError, match="not enrolled"):
        outbox.head()
    outbox.close()


def test_a_full_database_refuses_and_goes_on_when_there_is_room(gate: Gateway) -> None:
    before = list(gate.outbox.texts())
    pages = gate.outbox._db.execute("PRAGMA page_count").fetchone()[0]
    gate.outbox._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="free some space; what was sealed is safe"):
        [gate.event(50_000) for _ in range(100)]
    kept = list(gate.outbox.texts())
    assert kept[: len(before)] == before
    gate.outbox._db.execute("PRAGMA max_page_count = 100000")
    gate.heartbeats(1)
    assert gate.outbox.head().seq == len(kept) + 1


@contextmanager
def _largest_file(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what the kernel says then is a real write error."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_refuses_to_write_loses_nothing_and_the_same_outbox_goes_on(gate: Gateway) -> None:
    text = gate.heartbeats(1)[0]
    size = gate.outbox.path.with_name("outbox.sqlite-wal").stat().st_size
    with _largest_file(size + 8192), pytest.raises(StoreError, match="free some space and look at the disk"):
        gate.event(100_000)
    assert list(gate.outbox.texts())[-1] == text
    gate.heartbeats(1)
    assert _texts(gate.outbox.path) == list(gate.outbox.texts())
    assert gate.outbox.head().seq == 3


@contextmanager
def _nobody() -> Iterator[None]:
    """Be somebody whom a file's mode stops: root becomes another user for a moment."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_of_another_user_is_named_and_left_as_it_is(open_path: Path) -> None:
    made = gateway(open_path, ManualClock())
    made.outbox.close()
    made.outbox.path.chmod(0o000)
    with _nobody(), pytest.raises(StoreError, match="give the file and its folder to the agent's user"):
        Outbox(made.outbox.path)
    made.outbox.path.chmod(0o600)
    assert len(_texts(made.outbox.path)) == 1


def test_a_read_only_file_is_named(open_path: Path) -> None:
    made = gateway(open_path, ManualClock())
    made.outbox.close()
    made.outbox.path.chmod(0o444)
    with _nobody(), pytest.raises(StoreError, match="give it to the agent's user"):
        Outbox(made.outbox.path)


def test_a_folder_that_cannot_be_looked_into_is_named(open_path: Path) -> None:
    closed = open_path / "closed"
    closed.mkdir(mode=0o000)
    with _nobody(), pytest.raises(StoreError, match="check data_dir and its owner"):
        exists(closed / "outbox.sqlite")


def test_the_journal_survives_a_crash_of_the_program(tmp_path: Path) -> None:
    """What a killed writer left in the write-ahead log is there for the next one."""
    made = gateway(tmp_path, ManualClock())
    texts = made.heartbeats(3)
    for name in ("outbox.sqlite", "outbox.sqlite-wal"):
        (tmp_path / f"copy-{name}").write_bytes((tmp_path / name).read_bytes())
    made.outbox.close()
    copy = tmp_path / "copy-outbox.sqlite"
    after = Outbox(copy)
    assert list(after.texts())[1:] == texts
    after.close()
    assert sqlite3.connect(copy).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_an_outbox_cut_to_nothing_is_not_taken_for_a_new_one(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").touch()
    (tmp_path / "enrolment.jws").write_text("of an agent that has sealed\n")
    with pytest.raises(StoreError, match="empty, so it was cut"):
        Outbox(tmp_path / "outbox.sqlite")
    assert not (tmp_path / "outbox.sqlite").stat().st_size


def test_an_outbox_of_version_1_is_brought_to_this_one_with_everything_in_it(tmp_path: Path) -> None:
    made = gateway(tmp_path, ManualClock())
    made.outbox.put("until", 7)
    texts = [*made.outbox.texts(), *made.heartbeats(2)]
    made.outbox._db.execute("ALTER TABLE kept DROP COLUMN sum")
    made.outbox._db.execute("DELETE FROM _sqlite_migrations WHERE name = 'checksums'")
    made.outbox._db.execute("PRAGMA user_version = 1")
    made.outbox.close()
    after = Outbox(made.outbox.path)
    assert list(after.texts()) == texts
    assert after.get("until") == 7
    after.put("until", 8)
    assert after.rows("SELECT sum IS NOT NULL FROM kept WHERE name = 'until'") == [(1,)]
    after.close()
