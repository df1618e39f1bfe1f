"""Clocks that are wrong, step, or know no time at all: what was sealed stands, and every number finds its place."""

from pathlib import Path

import pytest

from collector.series import findings, meters, project
from collector.store.engine import Store
from shared.clock import US
from shared.status import Status
from tests.chain.simulated import WH, WRONG, Gateway, Office, load, near, office

on_sqlite = pytest.mark.parametrize("store", ["sqlite"], indirect=True)
EDGE = 1_772_460_300


@pytest.fixture
def line(store: Store, tmp_path: Path) -> Office:
    return office(store, tmp_path)


def law_of_the_land(line: Office, gateway: Gateway, *, phase: bool = False) -> None:
    """Hold everything that must be true at the end of any bad day against the meter itself."""
    line.take()
    start, stop = line.extent()
    told, law = line.told(start, stop), gateway.laws["a"]
    wrong = [row for row in told.rows() if row[2] == "VALID" and not phase and row[1] not in near(law, row[0], 300)]
    assert wrong == []
    seen = told.registers
    for at in seen.known.nonzero()[0].tolist():
        assert seen.low[at] <= law((start + at * 300) * US + 400_000) * WH, at
        assert law((start + at * 300) * US) * WH <= seen.high[at], at
    assert told.total == int(seen.registers[-1] - seen.registers[0])
    rows, report = line.release(start, stop)
    assert report.failures == []
    assert sum(row.value or 0 for row in rows) == told.total
    project.rebuild(line.centre.store)
    while (done := project.catch_up(line.centre.store, 1)).stop > done.first:  # one leaf at a time gives the same
        pass
    again = line.told(start, stop).registers
    for name in ("registers", "known", "flags", "low", "high", "values", "values_known", "evidence"):
        assert getattr(again, name).tolist() == getattr(seen, name).tolist(), name


AHEAD = (-3600, 3600, -86_400, 86_400, -4000, 47.3)


@on_sqlite
@pytest.mark.parametrize("ahead", AHEAD)
def test_a_clock_that_goes_wrong_and_is_put_right(line: Office, ahead: float) -> None:
    gateway = line.gateway().measures("a", load(1))
    gateway.run(50 + 610, gateway.off(ahead))
    before = gateway.texts()
    gateway.run(1800, gateway.right(), 1200)
    assert gateway.texts()[: len(before)] == before
    law_of_the_land(line, gateway, phase=bool(ahead % 300))
    start, stop = line.extent()
    assert stop - start >= 3600


@on_sqlite
@pytest.mark.parametrize("ahead", AHEAD)
def test_a_clock_that_was_wrong_from_the_start_and_is_put_right(line: Office, ahead: float) -> None:
    gateway = line.gateway().measures("a", load(2))
    gateway.off(ahead)(None)
    gateway.run(50 + 1810, gateway.right(), 1500)
    law_of_the_land(line, gateway, phase=bool(ahead % 300))


@on_sqlite
def test_what_a_right_clock_labelled_is_not_touched_by_a_wrong_one_that_repeats_its_labels(line: Office) -> None:
    gateway = line.gateway().measures("a", load(3))
    gateway.run(50 + 3610)
    line.take()
    right = line.told(EDGE, EDGE + 3600).rows()
    assert {name for _, _, name in right} == {"VALID"}
    gateway.run(gateway.off(-1800), 1500)
    line.take()
    assert line.told(EDGE, EDGE + 3600).rows() == right
    gateway.run(gateway.right(), 900)
    line.take()
    assert line.told(EDGE, EDGE + 3600).rows() == right
    law_of_the_land(line, gateway)


@on_sqlite
@pytest.mark.parametrize("ahead", [-3600, 3600, 86_400])
def test_a_clock_that_is_set_while_the_agent_is_down(line: Office, ahead: float) -> None:
    gateway = line.gateway().measures("a", load(4))
    gateway.run(50 + 910)
    gateway.sleep(100)
    gateway.off(ahead)(None)
    gateway.run(1500)
    gateway.sleep(120)
    gateway.right()(None)
    gateway.run(1500)
    law_of_the_land(line, gateway)


@on_sqlite
@pytest.mark.parametrize("ahead", [-3600, 3600, 47.3])
def test_a_clock_that_was_put_right_before_a_person_assigned_the_meter(line: Office, ahead: float) -> None:
    assign(line, "dc1-gw9")
    gateway = line.gateway().measures("a", load(6))
    gateway.off(ahead)(None)
    gateway.run(50 + 1810, gateway.right(), 1500)
    line.take()
    with line.centre.store.read() as connection:
        assert {one.rule for one in findings.read(connection)} == {"A3"}
    assign(line, "dc1-gw1")
    line.take()
    start, _ = line.extent()
    _, report = line.release(start, start + 900)  # the anchor is of a batch beyond it
    assert report.failures == []
    law_of_the_land(line, gateway, phase=bool(ahead % 300))


def assign(line: Office, agent: str) -> None:
    """Let a person say whose the meter is."""
    body = meters.body([("dc1", "a", (agent,), 0)])
    with line.centre.store.write() as connection:
        line.centre.log.record(connection, "meters", body, by="anna", now=line.centre.clock.wall())


@on_sqlite
def test_six_hours_of_1970_with_a_power_cut_in_the_middle(line: Office) -> None:
    """Neither boot knew the time at first; the second one learns it, and nobody ever learns that of the first."""
    gateway = line.gateway().measures("a", load(5))
    gateway.run(50 + 910)
    gateway.clock.word = WRONG
    gateway.power_cut(40, wall=60 * US)
    gateway.run(3 * 3600)
    gateway.power_cut(75, wall=45 * US)
    gateway.run(3 * 3600)
    before = gateway.texts()
    line.take()
    gateway.run(gateway.right(), 1500)
    assert gateway.texts()[: len(before)] == before
    law_of_the_land(line, gateway, phase=True)
    known = line.told(EDGE, EDGE + 600).rows()
    assert {name for _, _, name in known} == {"VALID"}
    second = (gateway.boots[gateway.clock.id] + 20 * US) // US
    measured = line.told(second // 300 * 300 + 900, second // 300 * 300 + 3 * 3600)
    assert set(measured.status) == {Status.VALID}
