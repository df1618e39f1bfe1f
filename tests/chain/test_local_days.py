"""Both days of 2026 on which clocks are changed: data are UTC, and a local day has 92, 96 or 100 quarter-hours."""

import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from collector.settle import release
from collector.settle.release import Request
from collector.store.engine import Store
from collector.vee.localtime import EPOCH, layout, midnight, offset, slots_of
from shared.master import PointVersion
from shared.status import Status
from tests.chain.simulated import Office, office
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import Office as Desk
from tests.collector.vee.test_vee_run import NAME
from tests.fakes import reads

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
DAYS = [
    ("Europe/Berlin", date(2026, 3, 29), 92), ("Europe/Berlin", date(2026, 10, 25), 100),
    ("America/Chicago", date(2026, 3, 8), 92), ("America/Chicago", date(2026, 11, 1), 100),
    ("America/New_York", date(2026, 3, 8), 92), ("America/New_York", date(2026, 11, 1), 100),
    ("Australia/Sydney", date(2026, 10, 4), 92), ("Australia/Sydney", date(2026, 4, 5), 100),
    ("America/St_Johns", date(2026, 3, 8), 92), ("America/St_Johns", date(2026, 11, 1), 100),
    ("Asia/Kolkata", date(2026, 3, 29), 96), ("Asia/Kolkata", date(2026, 10, 25), 96),
]  # fmt: skip
QUARTER = PointVersion("gt1", 0, "generation", NAME, 900, "energy_active_export", ())


def local_day(zone: str, day: date) -> tuple[int, int]:
    """Return when a local date begins and ends. [UTC s]"""
    first, last = (midnight(zone, one.toordinal() - EPOCH) for one in (day, day + timedelta(days=1)))
    return first, last


@on_sqlite
@pytest.mark.parametrize(("zone", "day", "quarters"), DAYS)
def test_a_local_day_has_its_quarter_hours_and_all_of_its_energy(
    store: Store, tmp_path: Path, zone: str, day: date, quarters: int
) -> None:
    """The meter runs from an hour before to an hour after; one boundary of the night is lost."""
    first, last = local_day(zone, day)
    assert (last - first) // 900 == quarters == slots_of(zone, day, 900)
    chance, desk = random.Random(quarters), Desk(Centre(store))
    levels = [1_000_000]
    for _ in range(quarters + 8):
        levels.append(levels[-1] + chance.randrange(1, 9000))
    shown = [None if at == 9 else level for at, level in enumerate(levels)]
    for at in range(0, quarters + 8, 12):
        body = reads(first + (at - 4) * 900, shown[at : at + 13][: quarters + 9 - at], length=900)
        desk.centre.take(desk.agent.seal("intervals", body))
    desk.points(QUARTER)
    desk.run()
    with store.write() as connection:
        asked = Request(first, last, "preliminary")
        made = release.make(connection, desk.centre.log, desk.centre.signer, asked, timezone=zone, now=0)
    rows = made.parsed
    assert [row.start for row in rows] == list(range(first, last, 900))
    assert sum(row.value or 0 for row in rows) == (levels[quarters + 4] - levels[4]) * 1000
    assert [row.status for row in rows].count("ESTIMATED") == 2
    assert desk.verified(desk.write(made, tmp_path)).failures == []
    where = layout(zone, first, 900, quarters)
    assert where.complete.tolist() == [True]


@on_sqlite
@pytest.mark.parametrize(("zone", "day"), [(zone, day) for zone, day, _ in DAYS[:2] + DAYS[6:8]])
def test_an_agent_labels_through_the_change_as_if_there_were_none(
    store: Store, tmp_path: Path, zone: str, day: date
) -> None:
    line: Office = office(store, tmp_path)
    gateway = line.gateway().measures("a", lambda true: true // 360_000)
    change = next(at for at in range(*local_day(zone, day), 900) if offset(zone, at) != offset(zone, at - 900))
    gateway.starts(change - 950, f'timezone = "{zone}"')
    gateway.run(1900)
    line.take()
    told = line.told(change - 900, change + 900)
    assert told.status == [Status.VALID] * 6
    assert told.total == 5_000_000  # 10 kW for half an hour
