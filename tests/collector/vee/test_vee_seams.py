"""A meter exchanged in the middle of intervals: what was read stays, and only what nobody saw is estimated."""

import dataclasses

import pytest

from shared.batch import ClockState, Event
from shared.intervals import Intervals
from tests.collector.conftest import Centre
from tests.collector.vee.test_vee_run import T0, Line
from tests.fakes import reads

US = 1_000_000
NOON = T0 + 300  # one interval after the first that is known
UTC_BOOT = ClockState("S", "chrony", ((NOON * US, NOON * US, 850),))  # these tests count boot time from 1970
QUANTITY = "energy_active_export"


def exchange(last: tuple[int, int], first: tuple[int, int]) -> Event:
    """Return the event of an exchange; times are seconds after the first boundary, registers raw counts of 1000 mWh."""
    seam = {"last": [(NOON + last[0]) * US, last[1]], "first": [(NOON + first[0]) * US, first[1]],
            "enc": "int", "mult": [[1000, 1]]}  # fmt: skip
    at = (NOON + first[0]) * US
    return Event("gt1-rev", "meter_exchanged", at, at, 1, {"from": "001", "to": "002", QUANTITY: seam})


def with_two_meters(old: list[int | None], new: list[int | None]) -> Intervals:
    one, other = reads(T0, old), reads(T0, new, serial="002")
    return dataclasses.replace(one, blocks=(*one.blocks, *other.blocks))


@pytest.fixture
def line(centre: Centre) -> Line:
    return Line(centre)


def test_only_the_seven_minutes_that_nobody_saw_are_estimated(line: Line) -> None:
    """The old meter is read last at 12:04, the new one first at 12:11; both count 2 a second."""
    body = with_two_meters([400, 1000, None, None, None, None], [None, None, None, None, 15 + 2 * 240, 15 + 2 * 540])
    line.centre.take(line.agent.seal("intervals", body))
    line.centre.take(line.agent.seal("event", (exchange((240, 1000 + 480), (660, 15)),), clock=UTC_BOOT))
    line.run()
    values, names = line.read(5)
    assert names == ["VALID"] + ["ESTIMATED"] * 3 + ["VALID"]
    # a constant 2 counts a second: 480 known + 60 s, 300 s, 60 s + 480 known
    assert values == [600_000] * 5


def test_what_was_read_is_kept_to_the_last_count_whatever_the_estimate_says(line: Line) -> None:
    body = with_two_meters([400, 1000, None, None, None, None], [None, None, None, None, 15 + 700, 15 + 1000])
    line.centre.take(line.agent.seal("intervals", body))
    line.centre.take(line.agent.seal("event", (exchange((240, 1000 + 123), (660, 15)),), clock=UTC_BOOT))
    line.run()
    values, _ = line.read(5)
    first, middle, last = (value or 0 for value in values[1:4])
    per_second = (123 / 240 + 700 / 240) / 2 * 1000
    assert first == pytest.approx(123_000 + 60 * per_second, abs=2)
    assert middle == pytest.approx(300 * per_second, abs=2)
    assert last == pytest.approx(700_000 + 60 * per_second, abs=2)


def test_what_a_register_saw_before_its_last_known_boundary_is_kept_beside_a_seam(line: Line) -> None:
    """It stood at 1090 at 12:10 and was read a second later for the last time: the gap before is 90 counts, exactly."""
    body = with_two_meters([400, 1000, None, 1090, None, None], [None, None, None, None, 15, 15 + 300])
    line.centre.take(line.agent.seal("intervals", body))
    line.centre.take(line.agent.seal("event", (exchange((601, 1092), (901, 15)),), clock=UTC_BOOT))
    line.run()
    values, names = line.read(5)
    assert names == ["VALID"] + ["ESTIMATED"] * 3 + ["VALID"]
    assert sum(value or 0 for value in values[1:3]) == 90_000


def test_a_seam_that_makes_no_sense_is_not_used(line: Line) -> None:
    """It says that the old register fell before it was taken out."""
    body = with_two_meters([400, 1000, None, None, None, None], [None, None, None, None, 15 + 480, 15 + 780])
    line.centre.take(line.agent.seal("intervals", body))
    line.centre.take(line.agent.seal("event", (exchange((240, 900), (660, 15)),), clock=UTC_BOOT))
    line.run()
    values, names = line.read(5)
    assert names[4] == "VALID"
    assert values[1:4] != [600_000] * 3
