"""What fills a gap in the collector's run: other meters, the official method, the holidays; all of it on record."""

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import select

from collector.series import channels, versions
from collector.store.schema import blob
from collector.vee import calendar
from collector.vee.calendar import Calendar
from collector.vee.parameters import Check, Official, Parameters, Which
from collector.vee.run import TOGETHER, catch_up
from shared import veeblob
from shared.batch import Config
from shared.veeblob import Span
from tests.collector.vee.test_vee_run import T0, Line, line
from tests.collector.vee.test_vee_surroundings import beside, put
from tests.fakes import reads

__all__ = ["line"]
HALL = [100_000, 90_000, 130_000, 70_000, 110_000, 100_000, 80_000, 120_000]
LEVELS = [0, *[sum(HALL[: at + 1]) for at in range(len(HALL))]]


def configure(line: Line, *groups: tuple[str, str]) -> None:
    """Say of each meter which parties may see it."""
    meters = [{"id": name, "role": "generation", "disclosure": group} for name, group in groups]
    line.centre.take(line.agent.seal("config", Config(None, {"schema": 1, "timezone": "UTC", "meter": meters})))


def estimates(line: Line) -> list[dict[str, object]]:
    """Return every estimate that a record committed to, in order."""
    with line.centre.store.read() as connection:
        octets = connection.execute(select(blob.c.bytes).order_by(blob.c.position)).scalars().all()
    spans: list[Span] = [span for one in octets for span in veeblob.decode(one)]
    return [dict(one) for span in spans for one in span.estimates]


def gap(line: Line) -> None:
    """Tell the channel's register but for the boundaries 3 to 5."""
    levels = [None if at in (3, 4, 5) else level for at, level in enumerate(LEVELS)]
    line.send(0, levels)


def test_a_check_meter_fills_the_gap_of_its_main_meter(line: Line) -> None:
    beside(line, "gt1-check", LEVELS, quantity="energy_active_export")
    put(line, Parameters(checks=(Check("dc1", "gt1-rev", T0 - 86_400, "gt1-check"),)))
    gap(line)
    values, names = line.read(8)
    assert values == [one * 1000 for one in HALL]
    assert names[2:6] == ["SUBSTITUTED"] * 4
    assert estimates(line)[-1]["method"] == "check"


def test_only_meters_of_the_same_parties_are_named_in_an_estimate(line: Line) -> None:
    configure(line, ("gt1-rev", "owner"), ("hall-a", "owner"), ("hall-b", "tenant"))
    for name in ("hall-a", "hall-b"):
        beside(line, name, LEVELS)
    put(line, Parameters(officials=(Official(T0 - 86_400, Which("dc1"), "ridge"),)))
    gap(line)
    inputs = estimates(line)[-1]["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["neighbours"] == ["dc1/hall-a.energy_active_export"]


def test_the_official_method_fills_and_ours_stands_beside(line: Line) -> None:
    put(line, Parameters(officials=(Official(T0 - 86_400, Which("dc1"), "aemo_19"),)))
    line.send(0, [100, None, None, 100, 110])  # no energy passed
    (made,) = estimates(line)
    assert made["method"] == "aemo_19"
    inputs = made["inputs"]
    assert isinstance(inputs, dict)
    assert inputs["chosen"] == {"method": "linear", "energy": 0}


def test_an_official_method_that_cannot_fill_gives_way_and_says_so(line: Line) -> None:
    put(line, Parameters(officials=(Official(T0 - 86_400, Which("dc1"), "aemo_23"),)))
    gap(line)
    (made,) = estimates(line)
    inputs = made["inputs"]
    assert isinstance(inputs, dict)
    assert made["method"] != "aemo_23"
    assert "year before" in inputs["official"]["lacking"]


def test_an_official_method_acts_from_its_date(line: Line) -> None:
    put(line, Parameters(officials=(Official(T0 + 86_400, Which("dc1"), "aemo_19"),)))
    gap(line)
    assert estimates(line)[-1]["method"] != "aemo_19"


def test_the_narrower_official_method_holds() -> None:
    wide, narrow = Official(0, Which("dc1"), "eei"), Official(0, Which("dc1", meter="m1"), "ieso")
    found = Parameters(officials=(narrow, wide))
    assert found.method("dc1", "load", "m1", "energy_active_import", 10) == "ieso"
    assert found.method("dc1", "load", "m2", "energy_active_import", 10) == "eei"
    assert found.method("dc2", "load", "m1", "energy_active_import", 10) is None
    ended = replace(found, officials=(*found.officials, Official(5, Which("dc1", meter="m1"), None)))
    assert ended.method("dc1", "load", "m1", "energy_active_import", 10) is None


def load(line: Line, wanted: Calendar) -> int:
    with line.centre.store.write() as connection:
        return line.centre.log.record(
            connection, "calendar", calendar.body(wanted), by="anna", now=line.centre.clock.wall()
        )


def test_a_calendar_is_known_as_of_its_position(line: Line) -> None:
    first = load(line, Calendar({"dc1": frozenset({date(2026, 1, 1)})}))
    second = load(line, Calendar({"dc1": frozenset({date(2026, 1, 1), date(2026, 12, 24)})}))
    with line.centre.store.read() as connection:
        then, now = calendar.read(connection, second), calendar.read(connection, second + 1)
        none = calendar.read(connection, first)
    assert (then.of("dc1"), then.position) == (frozenset({date(2026, 1, 1)}), first)
    assert date(2026, 12, 24) in now.of("dc1")
    assert (none.of("dc1"), none.position, now.of("elsewhere")) == (frozenset(), -1, frozenset())
    assert calendar.changes(then, now) == ["+ dc1 2026-12-24"]


@pytest.mark.parametrize("holiday", [False, True])
def test_a_holiday_takes_sundays_for_its_gap(line: Line, *, holiday: bool) -> None:
    """Three weeks of hourly reads as five-minute intervals of a day would be many: one interval a day is looked at."""
    days = 22
    if holiday:
        load(line, Calendar({"dc1": frozenset({date(2026, 3, 24)})}))  # the Tuesday of the gap
    put(line, Parameters(officials=(Official(T0 - 86_400, Which("dc1"), "elexon"),)))
    start, level = T0 - T0 % 86_400, 0
    levels: list[int | None] = [0]
    for at in range(days * 24 + 24):
        level += 1000 if (start // 86_400 + at // 24 + 3) % 7 < 5 else 200
        levels.append(level)
    lost = days * 24
    levels[lost + 1 : lost + 24] = [None] * 23
    body = reads(start, levels, length=3600)
    line.centre.take(line.agent.seal("intervals", body))
    line.run()
    (made,) = estimates(line)
    inputs = made["inputs"]
    assert isinstance(inputs, dict)
    days_used = inputs["days"]["2026-03-24"]
    assert all(date.fromisoformat(one).weekday() == (6 if holiday else 1) for one in days_used)
    assert days_used


def test_estimates_are_made_again_with_what_is_known_now(line: Line) -> None:
    """At first nothing lies behind the gap but its end; later a whole pattern does."""
    gap(line)
    before, size = line.read(8), line.size()
    put(line, Parameters(officials=(Official(T0 + 86_400 * 365, Which("dc1"), "eei"),)))
    assert line.read(8) == before
    beside(line, "gt1-check", LEVELS, quantity="energy_active_export")
    put(line, Parameters(checks=(Check("dc1", "gt1-rev", T0 + 86_400 * 365, "gt1-check"),)))
    assert line.read(8) == before
    told: list[tuple[int, int]] = []
    done = catch_up(
        line.centre.store, line.centre.log, line.centre.clock, again=T0, told=lambda *counts: told.append(counts)
    )
    assert done.channels == 2
    assert told == [(2, 2)]
    assert sum(one or 0 for one in line.read(8)[0]) == sum(HALL) * 1000
    assert line.read(8, size) == before


def test_channels_are_judged_a_few_at_a_time_and_none_is_left(line: Line) -> None:
    for at in range(TOGETHER + 2):
        line.centre.take(line.agent.seal("intervals", reads(T0, LEVELS, meter=f"m{at}")))
    told: list[tuple[int, int]] = []
    catch_up(line.centre.store, line.centre.log, line.centre.clock, told=lambda *counts: told.append(counts))
    assert told == [(TOGETHER, TOGETHER + 2), (TOGETHER + 2, TOGETHER + 2)]
    with line.centre.store.read() as connection:
        assert len(channels.every(connection)) == TOGETHER + 2
        for one in channels.every(connection):
            assert versions.read(connection, one.id, T0, T0 + 2400, 300).values.tolist() == [v * 1000 for v in HALL]
