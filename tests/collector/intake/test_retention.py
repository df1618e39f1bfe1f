"""Old bytes go by a signed record, and nothing else does: leaves, proofs, values and records stay."""

from pathlib import Path

import pytest
from sqlalchemy import delete, func, select

from collector.intake.audit import audit
from collector.intake.retention import forget
from collector.series import channels, raw
from collector.series.project import catch_up, rebuild
from collector.store.engine import Store
from collector.store.schema import ledger_bytes
from shared import merkle
from shared.errors import ConfigError
from tests.chain.pair import START, Pair
from tests.collector.conftest import Centre

NAME = "dc1/gt1-rev.energy_active_export"


def filled(store: Store, folder: Path) -> tuple[Centre, Pair, int]:
    """Return a collector with two halves of a day, and the time between them. [UTC us]"""
    centre = Centre(store)
    pair = Pair(folder, centre)
    pair.meters(5)
    pair.ship()
    centre.clock.advance(3600)
    between = centre.clock.wall()
    centre.clock.advance(3600)
    pair.meters(5)
    pair.ship()
    catch_up(store)
    return centre, pair, between


def levels(centre: Centre) -> list[int]:
    with centre.store.read() as connection:
        number = channels.named(connection, NAME).id
        return [int(one) for one in raw.read(connection, number, START, START + 3000, 300).registers]


def kept(centre: Centre) -> int:
    with centre.store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(ledger_bytes)).scalar_one())


def removed(centre: Centre, before: int, agent: str | None = None) -> int:
    now = centre.clock.wall()
    return forget(
        centre.store, centre.log, before=before, agent=agent, reason="ten years are over", by="anna", now=now
    ).leaves


def test_old_bytes_go_and_every_proof_stays(store: Store, tmp_path: Path) -> None:
    centre, pair, between = filled(store, tmp_path)
    with store.read() as connection:
        before = centre.log.checkpoint(connection)
    was = levels(centre)
    assert removed(centre, between) == 6  # configuration and five intervals; the enrolment is a record
    with store.read() as connection:
        point = centre.log.checkpoint(connection)
        assert audit(connection, centre.log, centre.signer.verifier).failures == []
        proof = centre.log.consistency(connection, before.size, point.size)
        merkle.check_consistency(before.size, point.size, before.root, point.root, proof)
        leaf = merkle.leaf_hash(pair.texts()[0].encode("ascii"))
        merkle.check_inclusion(leaf, 1, point.size, centre.log.inclusion(connection, 1, point.size), point.root)
    assert levels(centre) == was
    pair.meters(1)
    pair.ship()
    assert pair.refused == []


def test_a_batch_that_is_forgotten_is_still_known_when_it_comes_again(store: Store, tmp_path: Path) -> None:
    centre, pair, between = filled(store, tmp_path)
    removed(centre, between)
    assert [one.verdict for one in centre.take(*pair.texts()).outcomes] == ["repeated"] * 11


def test_bytes_that_go_without_a_record_are_found(store: Store, tmp_path: Path) -> None:
    centre, _, between = filled(store, tmp_path)
    removed(centre, between)
    with store.write() as connection:
        connection.execute(delete(ledger_bytes).where(ledger_bytes.c.position == 9))
    with store.read() as connection:
        (failure,) = audit(connection, centre.log, centre.signer.verifier).failures
    assert failure == "position 9: its bytes are gone, and no retention record says so"


def test_nothing_goes_that_is_not_read_yet_or_waits(store: Store, tmp_path: Path) -> None:
    centre = Centre(store)
    pair = Pair(tmp_path, centre)
    pair.meters(5)
    pair.ship()
    before = kept(centre)
    with pytest.raises(ConfigError, match="nothing was removed"):
        removed(centre, centre.clock.wall() + 10**9)
    assert kept(centre) == before


def test_the_bytes_of_one_agent_go_alone(store: Store, tmp_path: Path) -> None:
    centre, _, _ = filled(store, tmp_path)
    other = Pair(tmp_path, centre, "dc1-gw2", "hall-a")
    other.meters(3)
    other.ship()
    catch_up(store)
    before = kept(centre)
    assert removed(centre, centre.clock.wall() + 10**9, "dc1-gw2") == 4
    assert kept(centre) == before - 4 + 1


def test_series_that_rest_on_removed_bytes_are_not_thrown_away(store: Store, tmp_path: Path) -> None:
    centre, _, between = filled(store, tmp_path)
    removed(centre, between)
    was = levels(centre)
    with pytest.raises(ConfigError, match="cannot be built again"):
        rebuild(store)
    assert levels(centre) == was
