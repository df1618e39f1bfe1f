import pytest
from sqlalchemy import text, update

from collector.intake.log import Log
from collector.store.schema import log_head
from shared import merkle, record
from shared.errors import ConfigError, Fenced, StoreError
from tests.collector.conftest import Centre

NOW = 1_772_460_000_000_000


def write(centre: Centre, count: int, start: int = 0) -> None:
    with centre.store.write() as connection:
        for number in range(start, start + count):
            centre.log.record(connection, "rules", {"number": number}, by="anna", now=NOW + number)


def leaves(centre: Centre) -> list[bytes]:
    with centre.store.read() as connection:
        return [one.leaf_hash for one in centre.log.entries(connection, 0, 10**9)]


def test_every_root_is_that_of_the_leaves_in_order(centre: Centre) -> None:
    write(centre, 13)
    known = leaves(centre)
    with centre.store.read() as connection:
        for size in range(14):
            assert centre.log.checkpoint(connection, size).root == merkle.root_of(known[:size])


def test_every_proof_leads_to_its_root(centre: Centre) -> None:
    write(centre, 11)
    known = leaves(centre)
    with centre.store.read() as connection:
        new = centre.log.checkpoint(connection)
        for position in range(11):
            path = centre.log.inclusion(connection, position, 11)
            merkle.check_inclusion(known[position], position, 11, path, new.root)
        for old in range(1, 12):
            before = centre.log.checkpoint(connection, old)
            merkle.check_consistency(old, 11, before.root, new.root, centre.log.consistency(connection, old, 11))


def test_records_are_signed_in_the_order_of_time_even_if_the_clock_steps_back(centre: Centre) -> None:
    write(centre, 3)
    with centre.store.write() as connection:
        centre.log.record(connection, "rules", {}, by="anna", now=NOW - 10**9)
        centre.log.record(connection, "rules", {}, by="anna", now=NOW - 10**9)
    with centre.store.read() as connection:
        entries = centre.log.entries(connection, 0, 5)
        ring = {centre.signer.kid: centre.signer.verifier}
        times = [record.believe(entry.text or "", ring).time for entry in entries]
        assert times == [entry.received_at for entry in entries] == sorted(set(times))
        assert record.believe(entries[0].text or "", ring).log == "wattseal/central/1"


def test_a_time_maps_to_the_size_that_the_log_had_then(centre: Centre) -> None:
    write(centre, 3)  # at NOW + 1, NOW + 2, NOW + 3: each record is later than the one before
    with centre.store.read() as connection:
        times = [entry.received_at for entry in centre.log.entries(connection, 0, 3)]
        assert centre.log.size_at(connection, times[0] - 1) == 0
        assert centre.log.size_at(connection, times[1]) == 2
        assert centre.log.size_at(connection, times[2] + 10**9) == 3


def test_two_programs_on_one_log_append_one_after_the_other(centre: Centre) -> None:
    other = Log(centre.store, "central", centre.signer)
    write(centre, 2)
    with centre.store.write() as connection:
        assert other.record(connection, "rules", {}, by="bert", now=NOW) == 2
    write(centre, 1, start=9)
    with centre.store.read() as connection:
        assert centre.log.checkpoint(connection).root == merkle.root_of(leaves(centre))


def test_what_was_rolled_back_was_never_there(centre: Centre) -> None:
    write(centre, 2)

    def fail() -> None:
        with centre.store.write() as connection:
            centre.log.record(connection, "rules", {"lost": 1}, by="anna", now=NOW)
            connection.execute(text("SELECT no_such_column"))

    with pytest.raises(StoreError):
        fail()
    write(centre, 2, start=5)
    with centre.store.read() as connection:
        assert centre.log.size(connection) == 4
        assert centre.log.checkpoint(connection).root == merkle.root_of(leaves(centre))


def test_a_writer_that_was_overtaken_may_not_append(centre: Centre) -> None:
    with centre.store.write() as connection:
        connection.execute(update(log_head).values(fence=2))
    with pytest.raises(Fenced, match="another collector has taken it over"):
        write(centre, 1)
    assert leaves(centre) == []


def test_the_database_of_another_collector_is_refused(centre: Centre) -> None:
    with pytest.raises(ConfigError, match="'wattseal/central/1' of another collector"):
        Log(centre.store, "elsewhere", centre.signer)
