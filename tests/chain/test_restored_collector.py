"""A collector that was restored from a backup says so by a new generation, and its agents fill it again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from collector.intake import generation, refill
from collector.intake.audit import audit
from collector.intake.log import Log
from collector.series import channels, raw
from collector.series.project import catch_up
from collector.store.engine import Store, open_store
from collector.store.schema import ledger, ledger_bytes
from shared import lineage, receipt, record
from shared.errors import BadProof, Fenced
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre


@pytest.fixture
def centre(tmp_path: Path, migrated_sqlite: Path) -> Centre:
    folder = tmp_path / "collector"
    folder.mkdir()
    shutil.copy(migrated_sqlite, folder / "collector.db")
    return Centre(open_store("sqlite", folder))


def copied(centre: Centre, folder: Path) -> Callable[[], Centre]:
    """Copy the database as it stands now; return how to open the copy as the same collector."""
    folder.mkdir()
    with centre.store.engine.connect() as connection:
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("VACUUM INTO ?", (str(folder / "collector.db"),))

    def opened() -> Centre:
        return Centre(open_store("sqlite", folder), centre.signer, centre.clock)

    return opened


def restored(centre: Centre, number: int | None = None) -> generation.Opened:
    return generation.restore(
        centre.store, centre.log, number=number, reason="disk lost", by="anna", now=centre.clock.wall()
    )


def envelopes(centre: Centre) -> set[str]:
    """Return every batch that the ledger admits."""
    with centre.store.read() as connection:
        rows = connection.execute(
            select(ledger_bytes.c.jws)
            .join(ledger, ledger.c.position == ledger_bytes.c.position)
            .where(ledger.c.typ == "batch", ledger.c.state == "admitted")
        )
        return set(rows.scalars())


def energies(centre: Centre, meter: str = "gt1-rev", intervals: int = 60) -> list[int]:
    """Return the registers of the series."""
    while (done := catch_up(centre.store)).stop > done.first:
        pass
    with centre.store.read() as connection:
        number = channels.named(connection, f"dc1/{meter}.energy_active_export").id
        found = raw.read(connection, number, START, START + intervals * 300, 300)
    return [int(one) for one in found.registers]


def test_agents_fill_a_collector_that_was_restored_from_an_old_backup(centre: Centre, tmp_path: Path) -> None:
    one, two = Pair(tmp_path, centre), Pair(tmp_path, centre, "dc1-gw2", "hall-a")
    for pair in (one, two):
        pair.meters(20)
        pair.ship()
    again = copied(centre, tmp_path / "backup")
    for pair in (one, two):
        pair.meters(30)
        pair.ship()
        assert not pair.waiting
    late = again()
    opened = restored(late)
    assert (opened.log, opened.before.origin) == ("wattseal/central/2", "wattseal/central/1")
    with late.store.read() as connection:
        assert refill.lacking(connection, late.log) == ["dc1-gw1", "dc1-gw2"]
    for pair in (one, two):
        pair.connect(late)
        assert len(pair.waiting) == 30  # what the backup has not, and nothing else
        pair.meters(1)
        pair.ship(late)
        assert (pair.refused, pair.waiting) == ([], [])
        assert not set(pair.texts()) - envelopes(late)
    with late.store.read() as connection:
        assert refill.lacking(connection, late.log) == []
    for pair in (one, two):
        pair.ship(centre)  # the collector that was lost had everything but the newest
        assert energies(late, pair.meter, 50) == energies(centre, pair.meter, 50)
    assert envelopes(late) > envelopes(centre)


def test_agents_follow_when_the_same_backup_is_restored_twice(centre: Centre, tmp_path: Path) -> None:
    """Found by the simulation: the disk is lost again before the next backup was made."""
    pair = Pair(tmp_path, centre)
    pair.meters(20)
    pair.ship()
    first, second = copied(centre, tmp_path / "backup"), copied(centre, tmp_path / "the-same-backup")
    pair.meters(5)
    pair.ship()
    late = first()
    restored(late, 2)
    pair.connect(late)
    pair.meters(5)
    pair.ship(late)
    assert not pair.waiting
    later = second()
    restored(later, 3)
    pair.connect(later)
    assert len(pair.waiting) == 10
    pair.meters(1)
    pair.ship(later)
    assert (pair.refused, pair.waiting) == ([], [])
    assert not set(pair.texts()) - envelopes(later)
    with later.store.read() as connection:
        assert refill.lacking(connection, later.log) == []


def test_an_epoch_that_the_backup_does_not_know_brings_the_one_before_it_again(centre: Centre, tmp_path: Path) -> None:
    """Found by the state machine: the epoch before stayed marked, and the new one waited for it for ever."""
    pair = Pair(tmp_path, centre)
    early = copied(centre, tmp_path / "backup")
    pair.meters(5)
    pair.ship()
    pair.outbox.begin("1" * 32, pair.outbox.enrolment() or "")
    pair.sealer.seal_config({"schema": 1})
    pair.ship()
    assert not pair.waiting
    late = early()
    restored(late)
    pair.connect(late)  # it has nothing of this gateway, so there is no receipt yet
    pair.meters(1)
    pair.ship(late)
    assert (pair.refused, pair.waiting) == ([], [])
    assert not set(pair.texts()) - envelopes(late)


@pytest.mark.parametrize("twice", [False, True])
def test_what_was_seen_of_a_generation_before_its_record_came_stays_seen(
    centre: Centre, tmp_path: Path, *, twice: bool
) -> None:
    """Found by the state machine: a receipt overtook the records, and batches reported what was then forgotten."""
    pair = Pair(tmp_path, centre)
    late = copied(centre, tmp_path / "backup")()
    restored(late)
    if twice:
        restored(late)
    pair.meters(2)
    pair.ship(late)  # it has seen nothing of the former generation, and so believes receipts of this one
    pair.meters(40)
    late.agent("dc1-gw9")  # the log grows meanwhile
    pair.connect(late)
    pair.ship(late)
    assert (pair.refused, pair.waiting) == ([], [])


def test_agents_follow_when_a_newer_backup_turns_up_after_the_restore(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(20)
    pair.ship()
    older = copied(centre, tmp_path / "older")
    pair.meters(5)
    pair.ship()
    newer = copied(centre, tmp_path / "newer")
    for number, backup in (2, older), (3, newer):
        late = backup()
        restored(late, number)
        pair.connect(late)
        pair.meters(2)
        pair.ship(late)
        assert (pair.refused, pair.waiting) == ([], [])
        assert not set(pair.texts()) - envelopes(late)


def test_what_a_backup_holds_keeps_its_position_and_its_root(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    late = copied(centre, tmp_path / "backup")()
    opened = restored(late)
    with late.store.read() as connection, centre.store.read() as other:
        assert late.log.checkpoint(connection, opened.position).root == centre.log.checkpoint(other).root
        entry = late.log.entry(connection, opened.position)
        assert entry is not None
        found = lineage.generation(record.believe(entry.text or "", {centre.signer.kid: centre.signer.verifier}))
    assert found.before == opened.before
    assert (found.before.size, found.reason) == (opened.position, "disk lost")


def test_a_restore_that_is_not_told_is_refused_by_every_agent(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    late = copied(centre, tmp_path / "backup")()
    pair.meters(5)
    pair.ship()
    pair.meters(1)  # it says what it has seen
    centre.clock.advance(1)
    pair.ship(late)
    acked = pair.outbox.count()["acked"]
    pair.connect(late)
    assert all("the collector's database was set back" in said for said in pair.refused)
    assert pair.refused
    assert pair.outbox.count()["acked"] == acked
    assert late.ledger.beyond > 0  # the collector is told, too: an agent has proof of more than it holds


def test_the_first_receipt_of_a_new_generation_waits_for_its_record(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    pair.meters(1)
    pair.ship()
    late = copied(centre, tmp_path / "backup")()
    restored(late)
    before = pair.outbox.count(), pair.outbox.last_seen()
    for _, text in late.ledger.receipts():
        pair.hear(text)
    assert "follows 'wattseal/central/1'" in pair.refused[0]
    assert (pair.outbox.count(), pair.outbox.last_seen()) == before
    pair.refused.clear()
    pair.connect(late)
    assert pair.refused == []


def test_a_lost_collector_that_comes_back_is_believed_no_more(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    late = copied(centre, tmp_path / "backup")()
    restored(late)
    pair.connect(late)
    pair.meters(3)
    pair.ship(centre)  # the old one, which does not know that it was replaced
    assert len(pair.waiting) == 3
    assert all("follows 'wattseal/central/2'" in said for said in pair.refused)
    pair.ship(late)
    assert not pair.waiting


def test_a_new_generation_over_a_rewritten_past_is_refused(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    again = copied(centre, tmp_path / "backup")
    pair.meters(4)
    pair.ship()
    pair.meters(1)
    pair.ship()
    seen = pair.outbox.last_seen()
    assert seen is not None
    late = again()
    with late.store.write() as connection:  # another history of the same length
        for number in range(seen.size - late.log.size(connection)):
            late.log.record(connection, "approval", {"n": number}, by="eve", now=late.clock.wall())
    restored(late)
    with pytest.raises(BadProof, match="another tree"):
        pair.connect(late)
    assert pair.outbox.last_seen() == seen


def test_agents_follow_a_second_restore_after_the_first_even_when_both_come_at_once(
    centre: Centre, tmp_path: Path
) -> None:  # fmt: skip
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    late = copied(centre, tmp_path / "backup")()
    restored(late)
    assert restored(late).log == "wattseal/central/3"
    pair.connect(late)
    pair.resume()
    pair.meters(2)
    pair.ship(late)
    assert (pair.waiting, pair.refused) == ([], [])
    with late.store.read() as connection:
        assert refill.lacking(connection, late.log) == []


def test_a_person_may_go_on_without_an_agent_and_that_is_signed(centre: Centre, tmp_path: Path) -> None:
    Pair(tmp_path, centre)
    restored(centre)
    with centre.store.write() as connection:
        named = refill.go_on_without(connection, centre.log, reason="gateway burnt", by="anna", now=1)
        assert named == ["dc1-gw1"]
        assert refill.lacking(connection, centre.log) == []
        entry = centre.log.entry(connection, centre.log.size(connection) - 1)
    assert entry is not None
    assert entry.kind == "approval"
    restored(centre)  # the word was for that generation alone
    with centre.store.read() as connection:
        assert refill.lacking(connection, centre.log) == ["dc1-gw1"]


def test_of_two_collectors_that_believe_they_lead_exactly_one_signs(store: Store, tmp_path: Path) -> None:
    first = Centre(store)
    pair = Pair(tmp_path, first)
    second = Centre(store, first.signer)
    pair.meters(2)
    pair.ship()
    generation.take_over(store, second.log)
    pair.meters(1)
    with pytest.raises(Fenced):
        pair.ship(first)
    with pytest.raises(Fenced):
        first.ledger.receipts()
    assert len(pair.waiting) == 1
    pair.ship(second)
    assert not pair.waiting
    assert Log(store, "central", first.signer).fence == second.log.fence


def test_the_log_is_checked_over_its_generations(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(3)
    pair.ship()
    opened = restored(centre)
    pair.connect(centre)
    pair.meters(2)
    pair.ship(centre)
    with centre.store.read() as connection:
        assert audit(connection, centre.log, centre.signer.verifier).failures == []
    with centre.store.write() as connection:  # the same leaf again, in a place that it does not speak of
        text = centre.log.entry(connection, opened.position)
        assert text is not None
        body = lineage.body(opened.before, "once more")
        position = centre.log.record(connection, "restore", body, by="eve", now=centre.clock.wall())
    with centre.store.read() as connection:
        (failure,) = audit(connection, centre.log, centre.signer.verifier).failures
    assert failure.startswith(f"position {position}:")


def test_a_batch_key_signs_no_record(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.ship()
    with centre.store.write() as connection:
        tail = centre.log.tail(connection, centre.clock.wall())
        centre.log.add_record(tail, "rules", {}, by="eve", signer=pair.signer)
        tail.flush()
    with centre.store.read() as connection:
        (failure,) = audit(connection, centre.log, centre.signer.verifier).failures
    assert "no key is known with id" in failure


def test_a_receipt_of_a_copys_epoch_makes_nothing_wait_again(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    opened = restored(centre)
    pair.connect_records(centre)
    with centre.store.read() as connection:
        point = centre.log.checkpoint(connection)
        told = receipt.Receipt(
            "central", opened.log, pair.name, "e" * 32, 0, None, None, centre.clock.wall(), (), (), point, (), None
        )
    pair.hear(receipt.seal(told, centre.signer))
    assert pair.waiting == []
    assert pair.refused == []


def test_what_was_seen_of_a_generation_that_is_gone_still_counts(centre: Centre, tmp_path: Path) -> None:
    pair = Pair(tmp_path, centre)
    pair.meters(3)
    pair.ship()
    first, second = copied(centre, tmp_path / "one")(), copied(centre, tmp_path / "two")()
    restored(first)
    pair.connect_records(first)
    pair.meters(2)  # they name what was seen under the second generation's name
    generation.restore(second.store, second.log, number=3, reason="that disk, too", by="anna", now=1)
    pair.connect(second)
    pair.ship(second)
    assert (pair.waiting, pair.refused) == ([], [])
