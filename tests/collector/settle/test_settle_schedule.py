"""Releases by the calendar: local periods, business days, holidays, summer time."""

import dataclasses
from datetime import UTC, date, datetime

import pytest

from collector.config import Collector, Gate, Schedule
from collector.settle.making import made
from collector.settle.release import Request, fetch, listed
from collector.settle.schedule import business_days, due
from collector.settle.scheduled import Scheduled
from collector.store.engine import Store
from collector.store.schema import finding
from shared.release import instant
from tests.collector.conftest import Centre
from tests.collector.settle.test_settle_release import GT1, Office
from tests.collector.vee.test_vee_run import T0

MAY_DAY = date(2026, 5, 1)  # a Friday


def schedule(**more: object) -> Schedule:
    since = datetime(2026, 3, 1, tzinfo=UTC)
    return Schedule.model_validate({"id": "monthly", "since": since, "final_after": 5, **more})


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.mark.parametrize(
    ("first", "count", "day"),
    [
        (date(2026, 5, 4), 0, date(2026, 5, 4)),
        (date(2026, 5, 4), 1, date(2026, 5, 5)),
        (date(2026, 5, 1), 1, date(2026, 5, 5)),  # Friday is a holiday, then a weekend: Monday is the first
        (date(2026, 5, 4), 5, date(2026, 5, 9)),
        (date(2026, 5, 4), 6, date(2026, 5, 12)),
    ],
)
def test_business_days_are_no_weekend_and_no_holiday(first: date, count: int, day: date) -> None:
    assert business_days(first, count, {MAY_DAY}) == day


def test_a_month_is_due_after_its_business_days_in_local_time() -> None:
    zone = "Europe/Berlin"
    before = due(schedule(since=datetime(2026, 4, 1, tzinfo=UTC)), zone, {MAY_DAY}, at("2026-05-08T21:59:59Z"))
    assert before == []
    since = datetime(2026, 3, 31, 22, tzinfo=UTC)
    assert due(schedule(since=since), zone, {MAY_DAY}, at("2026-05-08T21:59:59Z")) == []
    (one,) = due(schedule(since=since), zone, {MAY_DAY}, at("2026-05-08T22:00:00Z"))
    assert (one.kind, instant(one.start), instant(one.stop)) == (
        "final",
        "2026-03-31T22:00:00Z",
        "2026-04-30T22:00:00Z",
    )


def test_days_of_summer_time_are_whole_local_days() -> None:
    daily = schedule(period="day", preliminary_after=0, final_after=None, since=datetime(2026, 3, 28, 23, tzinfo=UTC))
    found = due(daily, "Europe/Berlin", (), at("2026-03-30T23:00:00Z"))
    assert [(one.stop - one.start) // 3600 for one in found] == [23, 24]


def test_what_is_due_comes_oldest_first() -> None:
    found = due(schedule(preliminary_after=1), "UTC", (), at("2026-05-20T00:00:00Z"))
    assert [(instant(one.start)[:7], one.kind) for one in found] == [
        ("2026-03", "preliminary"), ("2026-03", "final"), ("2026-04", "preliminary"), ("2026-04", "final"),
    ]  # fmt: skip


def test_a_preliminary_that_is_due_on_the_day_of_its_final_comes_before_it() -> None:
    both = schedule(preliminary_after=5, final_after=5)
    found = due(both, "UTC", (), at("2026-05-20T00:00:00Z"))
    assert [one.kind for one in found][-2:] == ["preliminary", "final"]


def test_a_schedule_without_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="set preliminary_after, final_after, or both"):
        schedule(final_after=None)


def test_what_is_due_is_made_once_and_what_stands_in_its_way_is_a_finding(store: Store) -> None:
    office = Office(Centre(store))
    office.points(GT1)
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    day = {"id": "daily", "since": datetime.fromtimestamp(T0 // 86_400 * 86_400, UTC), "period": "day"}
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "gate": {"missing_most": 0}}
    config = Collector.model_validate(text | {"schedule": [day | {"preliminary_after": 0, "final_after": 1}]})
    scheduled = Scheduled(store, centre.log, centre.clock, centre.signer, config)
    centre.clock.advance(2 * 86_400)  # Monday's data; Tuesday is over

    def told() -> list[str]:
        with store.read() as connection:
            rows = connection.execute(finding.select().where(finding.c.rule == "schedule"))
            return [row.text for row in rows if row.resolved_position is None]

    assert scheduled.look() == 2  # the preliminary ones; the final lacks rows
    assert scheduled.look() == 0
    (said,) = told()
    assert said.startswith("schedule daily: the final release of 2026-03-02T00:00:00Z cannot be made: 95 of 96 rows")
    assert [one.kind for one in scheduled.waiting(config.schedule[0])] == ["final"]
    open_gate = config.model_copy(update={"gate": Gate()})
    assert Scheduled(store, centre.log, centre.clock, centre.signer, open_gate).look() == 1
    assert told() == []
    with store.read() as connection:
        assert [row["kind"] for row in listed(connection)] == ["final", "preliminary", "preliminary"]


def test_a_schedule_of_some_points_is_not_met_by_a_release_of_others(store: Store) -> None:
    office = Office(Centre(store))
    office.points(GT1, dataclasses.replace(GT1, id="gt2"))
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    day = {"since": datetime.fromtimestamp(T0 // 86_400 * 86_400, UTC), "period": "day", "preliminary_after": 0}
    schedules = [day | {"id": one, "points": [one, one]} for one in ("gt1", "gt2")]
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "schedule": schedules}
    scheduled = Scheduled(store, centre.log, centre.clock, centre.signer, Collector.model_validate(text))
    centre.clock.advance(86_400)
    assert (scheduled.look(), scheduled.look()) == (2, 0)
    with store.read() as connection:
        found = [fetch(connection, row["release_id"]) for row in listed(connection)]
    assert [{row.point for row in one.parsed} for one in found] == [{"gt2"}, {"gt1"}]
    assert [len(one.parsed) for one in found] == [96, 96]


def test_a_schedule_of_all_points_is_not_met_by_a_release_of_some_and_stays_met_when_points_are_added(
    store: Store,
) -> None:
    office = Office(Centre(store))
    gt2 = dataclasses.replace(GT1, id="gt2")
    office.points(GT1, gt2)
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    first = T0 // 86_400 * 86_400
    day = {"id": "d", "since": datetime.fromtimestamp(first, UTC), "period": "day", "preliminary_after": 0}
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "schedule": [day]}
    config = Collector.model_validate(text)
    scheduled = Scheduled(store, centre.log, centre.clock, centre.signer, config)
    centre.clock.advance(86_400)
    some = Request(first, first + 86_400, "preliminary", ("gt2",), None)
    made(store, centre.log, centre.clock, centre.signer, config, some)
    assert len(scheduled.waiting(config.schedule[0])) == 1
    assert (scheduled.look(), scheduled.look()) == (1, 0)
    office.points(GT1, gt2, dataclasses.replace(GT1, id="gt3"))
    assert scheduled.look() == 0  # what was all of its points then is its release for good
    with store.read() as connection:
        assert len(listed(connection)) == 2


def test_a_schedule_that_fails_for_long_has_one_finding_for_each_kind(store: Store) -> None:
    office = Office(Centre(store))
    office.points(dataclasses.replace(GT1, parties=("bank",)))
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    day = {"since": datetime(2026, 2, 24, tzinfo=UTC), "period": "day", "preliminary_after": 0, "final_after": 1}
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "target": []}
    fails = Collector.model_validate(text | {"schedule": [day | {"id": "daily", "party": "nobody"}]})
    scheduled = Scheduled(store, centre.log, centre.clock, centre.signer, fails)

    def told(*, is_open: bool) -> list[str]:
        with store.read() as connection:
            rows = connection.execute(finding.select().where(finding.c.rule == "schedule").order_by(finding.c.id))
            return [row.text.partition(" cannot")[0] + row.text[row.text.find(" ("):row.text.find("):") + 2]
                    for row in rows if (row.resolved_position is None) is is_open]  # fmt: skip

    for _ in range(4):
        scheduled.look(most=5)
        centre.clock.advance(86_400)
    scheduled.look(most=5)
    again = Scheduled(store, centre.log, centre.clock, centre.signer, fails)  # the program is started again
    again.look()
    assert sorted(told(is_open=True)) == [
        "schedule daily: the final release of 2026-02-24T00:00:00Z (8 later periods are due, too):",
        "schedule daily: the preliminary release of 2026-02-24T00:00:00Z (9 later periods are due, too):",
    ]
    assert told(is_open=False) == []
    gone = Collector.model_validate(text | {"schedule": [day | {"id": "bank", "party": "bank"}]})
    Scheduled(store, centre.log, centre.clock, centre.signer, gone).look()
    assert told(is_open=True) == []
    assert len(told(is_open=False)) == 2


def test_one_finding_takes_the_place_of_many_of_before(store: Store) -> None:
    office = Office(Centre(store))
    office.points(dataclasses.replace(GT1, parties=("bank",)))
    centre = office.centre
    old = {"rule": "schedule", "severity": "W", "made_by": "daily", "position": 0, "about": "daily/final"}
    with store.write() as connection:
        connection.execute(finding.insert(), [old | {"text": f"of {day}"} for day in range(3)])
    day = {"id": "daily", "since": datetime(2026, 2, 24, tzinfo=UTC), "period": "day", "final_after": 0}
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "schedule": [day | {"party": "nobody"}]}
    Scheduled(store, centre.log, centre.clock, centre.signer, Collector.model_validate(text)).look()
    with store.read() as connection:
        rows = connection.execute(finding.select().where(finding.c.resolved_position.is_(None))).all()
    assert [row.about for row in rows] == ["daily/final"]
    assert "the final release of 2026-02-24" in rows[0].text


def test_many_that_cannot_be_made_keep_none_that_can_waiting(store: Store) -> None:
    office = Office(Centre(store))
    office.points(dataclasses.replace(GT1, parties=("bank",)))
    office.send(0, [100, 110, 125, 140])
    centre = office.centre
    day = {"since": datetime(2026, 2, 24, tzinfo=UTC), "period": "day", "final_after": 0}
    schedules = [day | {"id": "nobody", "party": "nobody"}, day | {"id": "bank", "party": "bank"}]
    text = {"schema": 1, "id": "central", "mqtt": {"embedded": True}, "schedule": schedules}
    scheduled = Scheduled(store, centre.log, centre.clock, centre.signer, Collector.model_validate(text))
    assert [scheduled.look(most=4) for _ in range(4)] == [0, 2, 4, 0]  # six days of each
    with store.read() as connection:
        (said,) = [row.text.partition(" cannot be made ")[2] for row in connection.execute(finding.select())]
    later, _, reason = said.partition(": ")
    assert later == "(5 later periods are due, too)"
    assert reason == "party 'nobody' may see none of the points; name it in `parties` of points.toml"
