"""A release is cut for a party that something names: a misspelt one gets nothing."""

import dataclasses

import pytest

from collector.config import Collector
from collector.settle.making import made
from collector.settle.release import Made, Request, listed
from collector.store.engine import Store
from shared.errors import ConfigError
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0

NAMED: dict[str, dict[str, object]] = {
    "target": {"target": [{"id": "t", "kind": "pull", "party": "tenant-b"}]},
    "disclosure": {"disclosure": {"pcc": ["tenant-b"]}},
    "the group of its own": {"disclosure": {"tenant-b": ["bank"]}},
}


@pytest.fixture
def office(store: Store) -> Office:
    office = Office(Centre(store))
    office.points(GT1, dataclasses.replace(GT1, id="gt2", parties=("tenant-a",)))
    office.send(0, [100, 110, 125, 140])
    return office


def make(office: Office, party: str | None, **tables: object) -> Made:
    centre = office.centre
    config = Collector.model_validate({"schema": 1, "id": "central", "mqtt": {"embedded": True}, **tables})
    asked = Request(T0, T0 + 900, "preliminary", (), party)
    return made(centre.store, centre.log, centre.clock, centre.signer, config, asked)


def test_a_party_that_nothing_names_is_refused_with_those_that_are_known(office: Office) -> None:
    before = office.size()
    with pytest.raises(ConfigError, match="no party 'tenant-b'; known: bank, tenant-a; name it in `parties`"):
        make(office, "tenant-b", target=[{"id": "t", "kind": "pull", "party": "bank"}])
    with office.centre.store.read() as connection:
        assert listed(connection) == []
    assert office.size() == before


@pytest.mark.parametrize("where", NAMED)
def test_a_party_of_public_points_only_is_named_in_the_file(office: Office, where: str) -> None:
    assert {row.point for row in make(office, "tenant-b", **NAMED[where]).each()} == {"gt1"}


def test_a_party_of_a_point_and_nobody_need_no_name_in_the_file(office: Office) -> None:
    assert {row.point for row in make(office, "tenant-a").each()} == {"gt1", "gt2"}
    assert make(office, None).party is None


def test_without_points_the_message_is_about_them(store: Store) -> None:
    with pytest.raises(ConfigError, match="no points are loaded"):
        make(Office(Centre(store)), "tenant-b")
