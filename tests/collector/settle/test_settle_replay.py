"""An old release comes out of the ledger again as it was, whatever has happened since."""

import zlib
from dataclasses import replace

import pytest
from sqlalchemy import update

from collector.settle import release
from collector.settle.release import Made
from collector.settle.replay import differences
from collector.store.engine import Store
from collector.store.schema import release as table
from shared import release as rows
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, NET, Office
from tests.collector.vee.test_vee_run import NAME, T0


@pytest.fixture
def office(store: Store) -> Office:
    return Office(Centre(store))


def differs(office: Office, made: Made) -> list[str]:
    with office.centre.store.read() as connection:
        return differences(connection, office.centre.log, release.fetch(connection, made.id))


def test_releases_are_replayed_after_late_data_new_formulas_and_withdrawals(office: Office) -> None:
    third = replace(GT1, id="third", formula=f"0.333 * {NAME}", length=300)
    office.points(GT1, NET, third)
    office.send(0, [100, 110, None, None])
    made = [office.make(kind="preliminary"), office.make(kind="final")]
    late = office.sealed(2, [117, 131])
    office.centre.take(late)
    made.append(office.make(kind="final"))
    assert [one.kind for one in made] == ["preliminary", "final", "correction"]
    office.points(replace(GT1, formula=f"2 * {NAME}"), NET, third)
    made.append(office.make(kind="final"))
    log, now = office.centre.log, office.centre.clock.wall()
    with office.centre.store.write() as connection:
        release.withdraw(connection, log, made[-1].id, reason="x", by="anna", now=now)
    made.append(office.make(kind="final"))
    assert [differs(office, one) for one in made] == [[]] * len(made)


def test_a_row_that_was_changed_in_the_database_is_named(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    made = office.make(kind="final")
    (row,) = made.parsed
    forged = zlib.compress(rows.jsonl([replace(row, value=41_000)]))
    with office.centre.store.write() as connection:
        connection.execute(update(table).where(table.c.release_id == made.id).values(rows=forged))
    assert differs(office, made) == [f"gt1 at {rows.instant(T0)}: 41000 -> 40000 mWh (0.041 -> 0.04 kWh)"]
