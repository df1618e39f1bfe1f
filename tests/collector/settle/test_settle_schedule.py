"""Releases by the calendar: local periods, business days, holidays, summer time."""

from datetime import UTC, date, datetime

import pytest

from collector.config import Schedule
from collector.settle.schedule import business_days, due
from shared.release import instant

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


def test_a_schedule_without_a_day_is_refused() -> None:
    with pytest.raises(ValueError, match="set preliminary_after, final_after, or both"):
        schedule(final_after=None)
