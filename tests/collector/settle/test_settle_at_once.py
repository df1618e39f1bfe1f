"""Two programs over one database make the same release at the same moment: it is one."""

import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import text

from collector.settle import release
from collector.settle.release import Made, Request
from collector.store.engine import Store
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office, office
from tests.collector.vee.test_vee_run import T0

__all__ = ["office"]
_DEADLINE = 20.0  # [s]


def _waiting(store: Store, wanted: int) -> None:
    """Wait until so many programs wait for a lock; SQLite lets none begin to look before."""
    until, query = time.monotonic() + _DEADLINE, text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
    while not store.sqlite and time.monotonic() < until:
        with store.read() as connection:
            if connection.execute(query).scalar_one() >= wanted:
                return


def test_a_release_made_by_two_programs_at_once_is_one(office: Office) -> None:
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    office.run()
    ours = office.centre

    def makes(other: Centre) -> Made:
        asked = Request(T0, T0 + 900, "final")
        with other.store.write() as connection:
            return release.make(connection, other.log, ours.signer, asked, timezone="UTC", now=ours.clock.wall())

    stores = [Store(ours.store.engine, ours.store.name, ours.store.data_dir) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        with ours.store.write() as connection:
            ours.log.tail(connection, 0)
            running = [pool.submit(makes, Centre(one, ours.signer, ours.clock)) for one in stores]
            _waiting(ours.store, 2)
        first, second = (one.result(_DEADLINE) for one in running)
    assert first == second
    with ours.store.read() as connection:
        assert [one["release_id"] for one in release.listed(connection)] == [first.id]
