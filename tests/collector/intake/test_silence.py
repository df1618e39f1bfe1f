"""A tail that is held back shows after two heartbeats."""

from pathlib import Path

from collector.intake.enrol import revoke
from collector.intake.silence import Watch, silent
from collector.store.engine import Store
from tests.chain.pair import Pair
from tests.collector.conftest import Centre


def names(centre: Centre) -> list[str]:
    with centre.store.read() as connection:
        return sorted(silent(connection, centre.clock.wall()))


def test_two_overdue_heartbeats_name_a_gateway_until_it_is_back(store: Store, tmp_path: Path) -> None:
    centre = Centre(store)
    one, two = Pair(tmp_path, centre), Pair(tmp_path, centre, "dc1-gw2", "hall-a")
    Pair(tmp_path, centre, "dc1-gw3", "hall-b")  # approved, and never spoke
    watch = Watch(store, centre.clock)
    for pair in (one, two):
        pair.ship()
    centre.clock.advance(600)
    assert names(centre) == []
    one.meters(1)
    one.ship()
    centre.clock.advance(61)
    assert names(centre) == ["dc1-gw2"]
    watch.look()
    assert watch.known == {"dc1-gw2"}
    two.meters(1)
    two.ship()
    assert names(centre) == []
    watch.look()
    assert watch.known == set()


def test_a_revoked_gateway_is_not_missed(store: Store, tmp_path: Path) -> None:
    centre = Centre(store)
    Pair(tmp_path, centre).ship()
    revoke(store, centre.log, agent="dc1-gw1", by="anna", now=centre.clock.wall())
    centre.clock.advance(7200)
    assert names(centre) == []
