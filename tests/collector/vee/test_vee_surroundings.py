"""What the ledger knows reaches the rules, and how they are set is part of what was known as of a position."""

import json
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from collector.store.schema import finding
from collector.vee import parameters
from collector.vee.parameters import Check, Entry, Formula, Node, Parameters, Which
from shared.batch import Config, Event
from shared.envelope import apart, payload
from shared.registers import Mark
from tests.collector.vee.test_vee_run import T0, Line, line
from tests.fakes import reads

__all__ = ["line"]
EXPORT = "dc1/gt1-rev.energy_active_export"


def configure(line: Line, **more: object) -> None:
    """Seal what the site file says of the meter."""
    meter = {"id": "gt1-rev", "role": "generation", "max_power_kW": 100, "poll_s": 10, "serial": "001"} | more
    line.centre.take(line.agent.seal("config", Config(None, {"schema": 1, "timezone": "UTC", "meter": [meter]})))


def put(line: Line, wanted: Parameters) -> int:
    """Load parameters as `rules load` does, and judge; return the record's position."""
    with line.centre.store.write() as connection:
        body, now = parameters.body(wanted), line.centre.clock.wall()
        position = line.centre.log.record(connection, "rules", body, by="anna", now=now)
    line.run()
    return position


def found(line: Line, rule: str, *, is_open: bool = True) -> list[tuple[str, int, int, int | None, int | None]]:
    """Return severity, first and last interval, observed and limit of a rule's findings."""
    query = select(finding).where(finding.c.rule == rule).order_by(finding.c.id)
    with line.centre.store.read() as connection:
        rows = connection.execute(query if not is_open else query.where(finding.c.resolved_position.is_(None))).all()
    return [(row.severity, (row.start - T0) // 300, (row.stop - T0) // 300, row.observed, row.limit_) for row in rows]


def beside(line: Line, meter: str, levels: Sequence[int | None], **more: object) -> None:
    line.centre.take(line.agent.seal("intervals", reads(T0, levels, meter=meter, **more)))  # type: ignore[arg-type] # keywords of `reads`
    line.run()


def test_parameters_hold_from_their_position_on(line: Line) -> None:
    """120 W x 1.2 are 12 Wh in five minutes: 13 Wh are too many, until the site says 150 %."""
    configure(line, max_power_kW="0.12")
    line.send(0, [100, 110, 123])
    before = line.size()
    old = line.read(2)
    assert old == ([10_000, 13_000], ["VALID", "SUSPECT"])
    assert found(line, "E2") == [("E", 1, 2, 13_000, 12_000)]
    position = put(line, Parameters((Entry("E2", T0 - 300, Which("dc1"), limits=(("hard_percent", 150),)),)))
    assert position == before
    assert line.read(2) == ([10_000, 13_000], ["VALID", "VALID"])
    assert line.read(2, before) == old
    assert found(line, "E2") == [("W", 1, 2, 13_000, 11_000)]
    with line.centre.store.read() as connection:
        rows = connection.execute(select(finding.c.rule_version, finding.c.rules_position).order_by(finding.c.id)).all()
    assert [tuple(row) for row in rows if row.rule_version] == [(1, -1), (1, position)]
    assert line.run().versions == 0


def test_a_judgement_that_comes_back_to_the_same_is_recorded_again(line: Line) -> None:
    """The site sets a limit, takes it back, sets it again: the third blob has the octets of the first."""
    configure(line, max_power_kW="0.12")
    line.send(0, [100, 110, 123])
    wider = Parameters((Entry("E2", T0 - 300, Which("dc1"), limits=(("hard_percent", 150),)),))
    for wanted, status in 2 * [(wider, "VALID"), (Parameters(()), "SUSPECT")]:
        put(line, wanted)
        assert line.read(2)[1] == ["VALID", status]


def test_parameters_change_nothing_before_their_date(line: Line) -> None:
    configure(line, max_power_kW="0.12")
    line.send(0, [100, 113, 126])
    put(line, Parameters((Entry("E2", T0 + 300, on=False),)))
    assert line.read(2)[1] == ["SUSPECT", "VALID"]
    assert found(line, "E2") == [("E", 0, 1, 13_000, 12_000)]


def test_a_record_says_by_which_rules_intervals_were_judged(line: Line) -> None:
    position = put(line, Parameters((Entry("F1", T0, on=False),)))
    line.send(0, [100, 110])
    with line.centre.store.read() as connection:
        entry = line.centre.log.entry(connection, line.size() - 1)
    assert entry is not None
    body = json.loads(payload(apart(entry.text or "")))["body"]
    assert (body["rules"], body["versions"]["E1"], body["versions"]["G2"]) == (position, 1, 2)


def test_an_estimate_that_breaks_a_hard_limit_is_found(line: Line) -> None:
    """40 Wh passed in a gap of two intervals that the rating allows 24."""
    configure(line, max_power_kW="0.12")
    line.send(0, [100, 110, None, 150, 160])
    assert line.read(4)[1] == ["VALID", "ESTIMATED", "ESTIMATED", "VALID"]
    (one,) = found(line, "E2")
    assert one[:3] == ("E", 1, 3)
    assert one[3] is not None
    assert one[3] >= 20_000


def test_statistics_reach_the_rules(line: Line) -> None:
    volts = {f"voltage_l{phase}n_mean": (230_000, 230_000 if phase < 3 else 2_000) for phase in (1, 2, 3)}
    line.send(0, [100, 110, 120], stats=volts)
    assert found(line, "D6") == [("E", 1, 2, 2_000, 230_000)]
    assert line.read(2)[1] == ["VALID", "SUSPECT"]


def test_a_formula_of_the_site_is_looked_at(line: Line) -> None:
    put(line, Parameters(formulas=(Formula("cool", T0, Which(meter="gt1-rev"), "frequency_mean >= 49800"),)))
    line.send(0, [100, 110, 120], stats={"frequency_mean": (50_000, 49_700)})
    assert found(line, "F7") == [("W", 1, 2, 49_700, 49_800)]


def test_a_check_meter_is_compared_whichever_comes_last(line: Line) -> None:
    """Allowed are 0.424 % of 9.9 kWh, two steps, and twice what passed in the 80 ms that both reads were late."""
    put(line, Parameters(checks=(Check("dc1", "gt1-rev", T0, "gt1-check"),)))
    line.send(0, [0, 10_000, 20_000])
    assert found(line, "H1") == []
    beside(line, "gt1-check", [0, 10_000, 19_900])
    assert found(line, "H1") == [("E", 1, 2, 100_000, 49_282)]
    with line.centre.store.read() as connection:
        (row,) = connection.execute(select(finding).where(finding.c.rule == "H1")).all()
    assert row.meter == "gt1-rev"


def test_a_check_meter_counts_from_its_date(line: Line) -> None:
    put(
        line,
        Parameters(checks=(Check("dc1", "gt1-rev", T0 + 300, "gt1-check"), Check("dc1", "gt1-rev", T0 + 600, None))),
    )
    beside(line, "gt1-check", [0, 9_000, 18_000, 27_000])
    line.send(0, [0, 10_000, 20_000, 30_000])
    assert [(one[1], one[2]) for one in found(line, "H1")] == [(1, 2)]


def test_a_node_is_balanced_when_its_last_channel_has_come(line: Line) -> None:
    node = Node("main", T0, (EXPORT,), ("dc1/hall-a.energy_active_export", "dc1/hall-b.energy_active_export"))
    put(line, Parameters(nodes=(node,)))
    line.send(0, [0, 10_000, 20_000])
    beside(line, "hall-a", [0, 6_000, 12_000])
    assert found(line, "H2") == []
    beside(line, "hall-b", [0, 4_000, 7_600])
    assert found(line, "H2") == [("W", 1, 2, 400_000, 304_000)]


def told(line: Line, name: str, at: int, **detail: object) -> None:
    line.centre.take(line.agent.seal("event", (Event("gt1-rev", name, at, at, 1, detail),)))


def test_a_meter_clock_that_was_off_marks_its_intervals(line: Line) -> None:
    told(line, "meter_clock_off", (T0 + 350) * 1_000_000, ahead_us=200_000_000, within_us=1000)
    told(line, "meter_clock_right", (T0 + 950) * 1_000_000, ahead_us=0, within_us=1000)
    line.send(0, [100, 110, 120, 130, 140])
    assert found(line, "B2")[0] == ("E", 1, 3, 200_000_000, 180_000_000)


def test_a_meter_of_another_site_with_the_same_name_is_another_meter(line: Line) -> None:
    other = line.centre.agent("ny2-gw1", "ny2")
    off = Event("gt1-rev", "meter_clock_off", T0 * 1_000_000, T0 * 1_000_000, 1, {"ahead_us": 200_000_000})
    line.centre.take(other.texts[0], other.seal("event", (off,)))
    line.send(0, [100, 110, 120])
    assert found(line, "B2") == []


def test_another_meter_and_another_ratio_are_told(line: Line) -> None:
    configure(line)
    told(line, "settings_mismatch", (T0 + 350) * 1_000_000, ct_primary_A=["400", "4000"])
    line.send(0, [100, 110, 120, 130], serial="002", flags=[0, 0, Mark.SETTINGS, 0])
    assert [one[:3] for one in found(line, "A3")] == [("E", 0, 3)]
    assert [one[:3] for one in found(line, "A5")] == [("E", 1, 3)]
    configure(line, serial="002")
    line.send(3, [130, 140], serial="002")
    assert found(line, "A3") == []  # it was the configuration that was late
    assert [one[:3] for one in found(line, "A5")] == [("E", 1, 3)]
    assert line.read(4)[1] == ["VALID"] * 4


def test_polls_that_did_not_come_are_a_warning(line: Line) -> None:
    configure(line, poll_s=2)
    line.send(0, [100, 110])
    assert found(line, "D7") == [("W", 0, 1, 30, 150)]


def test_rules_for_loads_stay_off_a_generator_unless_they_are_set(line: Line) -> None:
    configure(line, max_power_kW="1")
    line.send(0, [100, 110, 200, 201])
    assert found(line, "F2") == []
    put(line, Parameters((Entry("F2", T0, Which(role="generation")),)))
    assert found(line, "F2") == []  # the channel is no load, whatever is set
    configure(line, role="grid", max_power_kW="1")
    line.send(3, [201, 211, 301])
    assert [one[:3] for one in found(line, "F2")] == []
    put(line, Parameters((Entry("F2", T0, Which(role="grid")),)))
    assert [one[1] for one in found(line, "F2")] == [1, 3, 4]


@pytest.mark.parametrize("rule", ["C3", "E7", "E8"])
def test_what_is_not_there_is_not_missed(line: Line, rule: str) -> None:
    line.send(0, [100, 110, 120])
    assert found(line, rule, is_open=False) == []
