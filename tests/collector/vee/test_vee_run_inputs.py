"""What the ledger knows reaches rules A6 to I2 of a run: each fires, and each stays silent where nothing is wrong."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from collector.series import channels, versions
from collector.store.schema import finding
from collector.vee import parameters
from collector.vee.edit import book
from collector.vee.edit.request import Request
from collector.vee.inputs import DeviceFlags
from collector.vee.parameters import Entry, Official, Parameters, Use, Which, Witness
from shared.batch import Config
from tests.collector.vee.test_vee_run import NAME, T0, Line, line
from tests.collector.vee.test_vee_surroundings import beside, configure, found, put, told
from tests.fakes import reads

__all__ = ["line"]
US = 1_000_000
DAY = 86_400
GAS = "dc1/gas.volume"


def sealed_with(line: Line, length: int) -> None:
    """Seal a configuration that wants intervals of a length. [s]"""
    line.centre.take(line.agent.seal("config", Config(None, {"schema": 1, "interval_s": length})))


# -- A: envelope and identity ---------------------------------------------------------------------------------------


def test_intervals_of_another_length_than_configured_are_found(line: Line) -> None:
    sealed_with(line, 300)
    line.send(0, [100, 110, 120])
    assert found(line, "A6") == []
    line.centre.take(line.agent.seal("intervals", reads(T0 + 900, [130, 140], length=900)))
    line.run()
    assert found(line, "A6") == [("E", 3, 6, None, None)]


def test_a_recorder_has_a_period_of_its_own(line: Line) -> None:
    sealed_with(line, 300)
    line.send(0, [100, 110, None, None, 140])
    line.centre.take(line.agent.seal("intervals", reads(T0, [100, 130], length=900, source="recorder")))
    line.run()
    assert found(line, "A6") == []


def test_a_new_length_acts_from_the_first_boundary_that_both_share(line: Line) -> None:
    """Configured at 14:05 from five to fifteen minutes: what is sealed until 14:15 is still of five."""
    sealed_with(line, 300)
    line.send(0, [100, 110])
    sealed_with(line, 900)
    line.send(1, [110, 120, 130])
    assert found(line, "A6") == []
    line.send(3, [130, 140])
    assert found(line, "A6") == [("E", 3, 4, None, None)]


def test_intervals_beside_the_grid_stay_out_and_are_found(line: Line) -> None:
    line.centre.take(line.agent.seal("intervals", replace(reads(T0, [100, 110]), start=T0 + 7)))
    line.run()
    with line.centre.store.read() as connection:
        (row,) = connection.execute(select(finding).where(finding.c.rule == "A7")).all()
        assert channels.every(connection) == []
    assert (row.severity, row.agent) == ("E", "dc1-gw1")
    assert row.text.endswith("intervals of 300 s from 1772460007 begin 7 s after a boundary")


def test_an_interval_that_came_before_its_end_is_found_whenever_it_is_looked_at(line: Line) -> None:
    """The collector's clock is 100 s behind the gateway's: more than a minute, less than what waits outside."""
    line.centre.follows = False
    line.centre.clock.advance(200)
    line.send(0, [100, 110])
    assert found(line, "A8") == [("E", 0, 1, T0 + 300, T0 + 260)]
    line.centre.clock.advance(1000)
    line.send(1, [110, 120])
    assert found(line, "A8") == [("E", 0, 1, T0 + 300, T0 + 260)]


def test_what_comes_after_more_than_a_year_is_told(line: Line) -> None:
    text = line.sealed(0, [100, 110])
    line.centre.clock.advance(400 * DAY)
    line.centre.take(text)
    line.run()
    assert found(line, "A8") == []
    text = line.sealed(1, [110, 120])
    line.centre.clock.advance(301)
    line.centre.take(text)
    line.run()
    assert [one[:3] for one in found(line, "A8")] == [("W", 1, 2)]


# -- B: time --------------------------------------------------------------------------------------------------------


def stretched(line: Line, by: int) -> str:
    """Seal two intervals of which the second lasted longer on the boot clock. by: [us]"""
    body = reads(T0, [100, 110, 120])
    times = body.boundaries
    assert times[2] is not None
    moved = replace(body, boundaries=(*times[:2], times[2] + by))
    block = replace(body.blocks[0], at=(*body.blocks[0].at[:2], (times[2] + by + 40_000,)))
    return line.agent.seal("intervals", replace(moved, blocks=(block,)))


@pytest.mark.parametrize(("by", "count"), [(6_000_000, 0), (6_000_001, 1)])
def test_an_interval_that_lasted_too_long_on_the_boot_clock_is_suspect(line: Line, by: int, count: int) -> None:
    """Two hundredths of five minutes are six seconds."""
    line.centre.take(stretched(line, by))
    line.run()
    assert [one[:4] for one in found(line, "B3")] == [("E", 1, 2, 306_000_001)] * count
    assert line.read(2)[1] == ["VALID", "SUSPECT" if count else "VALID"]


def test_an_interval_that_one_source_labels_twice_is_found(line: Line) -> None:
    """A clock that stepped back labels five minutes again, with other reads."""
    line.send(0, [100, 110, 120, 130])
    line.send(0, [100, 110])
    assert found(line, "B5") == []  # the same, told again
    line.send(1, [131, 139])
    assert [one[:3] for one in found(line, "B5")] == [("E", 1, 2)]


# -- C: completeness ------------------------------------------------------------------------------------------------


def test_an_estimate_that_nobody_confirms_is_told_when_it_is_old(line: Line) -> None:
    """Eight weeks, by the time of the log; then the real value comes after all."""
    early, late = line.sealed(0, [100, 110]), line.sealed(1, [110, 121, 130])
    line.centre.take(early, line.sealed(3, [130, 140]))
    line.run()
    assert line.read(3)[1] == ["VALID", "MISSING", "MISSING"]
    line.centre.take(late)
    line.run()
    line.send(4, [140, None, None, 170])
    assert line.read(7)[1] == [*["VALID"] * 4, *["ESTIMATED"] * 3]
    passed(line, 56)
    assert found(line, "C6") == []
    passed(line, 1)
    assert found(line, "C6") == [("W", 4, 7, 3, 0)]
    passed(line, 1)
    assert found(line, "C6") == [("W", 4, 7, 3, 0)]
    line.send(4, [140, 150, 160, 170])
    assert found(line, "C6") == []


def test_how_old_an_estimate_may_become_is_set_by_the_site(line: Line) -> None:
    put(line, Parameters((Entry("C6", T0, limits=(("days", 3),)),)))
    line.send(0, [100, None, 120])
    passed(line, 3)
    assert found(line, "C6") == []
    passed(line, 1)
    assert found(line, "C6") == [("W", 0, 2, 2, 0)]


def passed(line: Line, days: int) -> None:
    """Let days pass, and the gateway speak."""
    line.centre.clock.advance(days * DAY)
    line.agent.clock.advance(max(0, line.centre.clock.wall() - line.agent.clock.wall()) / US)
    line.centre.take(line.agent.heartbeat())
    line.run()


def test_silence_is_told_once_and_not_by_the_run(line: Line) -> None:
    line.send(0, [100, 110])
    passed(line, 3)
    line.send(1, [110, None])
    assert found(line, "C4", is_open=False) == []


# -- D, E: device and range -----------------------------------------------------------------------------------------

VOLTS = 230_000


def volts(*low: int) -> dict[str, tuple[int | None, ...]]:
    """Return the lowest voltages of three phases by interval. [mV]"""
    return {f"voltage_l{phase}n_min": low for phase in (1, 2, 3)}


def test_a_meter_without_voltage_had_an_outage_and_keeps_its_value(line: Line) -> None:
    """Example E42."""
    line.send(0, [100, 110, 110, 120], stats=volts(VOLTS, 0, VOLTS))
    assert found(line, "D1") == [("I", 1, 2, None, None)]
    assert line.read(3) == ([10_000, 0, 10_000], ["VALID"] * 3)


def test_one_phase_without_voltage_is_no_outage(line: Line) -> None:
    told_ = volts(VOLTS, VOLTS) | {"voltage_l3n_min": (VOLTS, 0)}
    line.send(0, [100, 110, 120], stats=told_)
    assert found(line, "D1") == []


@pytest.mark.parametrize(("lowest", "values"), [(0, [10_000, 10_000]), (VOLTS, [0, 20_000])])
def test_an_outage_of_two_weeks_ago_is_no_reference_for_an_estimate(
    line: Line, lowest: int, values: list[int]
) -> None:  # fmt: skip
    """Official is the lowest of this hour in three weeks: two weeks ago the meter stood still, without power or not."""
    configure(line)
    put(line, Parameters(officials=(Official(T0 - 30 * DAY, Which(), "ieso"),)))
    hours = 22 * 24 + 4
    still, gap = 8 * 24, 22 * 24
    levels: list[int | None] = [10 * (hour - (hour > still)) for hour in range(hours + 1)]
    levels[gap + 1] = None
    low = [VOLTS] * hours
    low[still] = lowest
    body = reads(T0 - 22 * DAY, levels, length=3600, stats=volts(*low))
    line.centre.take(line.agent.seal("intervals", body))
    line.run()
    with line.centre.store.read() as connection:
        number = channels.named(connection, NAME).id
        made = versions.read(connection, number, T0, T0 + 7200, 3600)
    assert [made.methods[code] for code in made.method.tolist()] == ["ieso", "ieso"]
    assert made.values.tolist() == values


def test_a_phase_without_current_is_found_where_the_transformers_are_known(line: Line) -> None:
    """400 A on the primary side: beside 81 A in the others none is a fault, beside 80 it may be a small load."""
    amps = {f"current_l{phase}_mean": ((81_000, 80_000) if phase < 3 else (0, 0)) for phase in (1, 2, 3)}
    line.send(0, [100, 110, 120], stats=amps)
    assert found(line, "D6") == []
    configure(line, ct_primary_A="400.0")
    line.send(2, [120, 130, 140], stats=amps)
    assert [one for one in found(line, "D6") if one[1] >= 2] == [("E", 2, 3, 0, 81_000)]


def test_new_firmware_is_told_as_such(line: Line) -> None:
    told(line, "settings_changed", (T0 + 350) * US, firmware=["2.1", "2.0"])
    line.send(0, [100, 110, 120])
    ((severity, first, stop, bits, _),) = found(line, "D5")
    assert (severity, first, stop, bits) == ("W", 1, 2, int(DeviceFlags.FIRMWARE | DeviceFlags.CONFIGURATION))


def test_energy_of_a_meter_that_is_out_of_use_is_suspect(line: Line) -> None:
    put(line, Parameters(uses=(Use("dc1", "gt1-rev", T0 + 300, in_use=False), Use("dc1", "gt1-rev", T0 + 900, True))))  # noqa: FBT003 - a row
    line.send(0, [100, 110, 120, 120, 130])
    assert found(line, "E5") == [("E", 1, 2, 10_000, 0)]
    assert line.read(4)[1] == ["VALID", "SUSPECT", "VALID", "VALID"]


# -- G, H: registers and other meters -------------------------------------------------------------------------------


def test_a_recorder_that_says_otherwise_than_the_polls_is_told(line: Line) -> None:
    """One step and what passed in the 40 ms of each read are allowed."""
    line.send(0, [100, 110, 120, 130])
    line.send(0, [100, 110, 121, 130], source="recorder")
    assert found(line, "H4") == []
    line.send(3, [130, 140, 150, 160])
    line.send(3, [130, 140, 152, 160], source="recorder")
    assert [one[:4] for one in found(line, "H4")] == [("W", 4, 6, 2_000)]


def test_a_load_profile_that_the_gateway_did_not_use_is_told_where_it_would_have_filled(line: Line) -> None:
    """Boundaries 2 and 3 were to be filled: the three intervals around them are in doubt. It was found much later."""
    line.send(0, [100, 110, None, None, 140])
    line.send(4, [140, 150, 160])
    line.send(7, [170, 180])
    detail = {"from": T0 + 600, "to": T0 + 900, "polled": [110_000, 140_000], "kept": [7_000]}
    assert found(line, "H4") == []
    told(line, "recorder_disagrees", (T0 + 90_000) * US, energy_active_export=detail)
    line.run()
    assert found(line, "H4") == [("W", 1, 4, None, None)]


def test_the_control_system_is_compared_whichever_comes_last(line: Line) -> None:
    """120 kW for five minutes are 10 kWh; allowed are 2 % and two steps."""
    put(line, Parameters(witnesses=(Witness("scada", NAME, T0, "dc1/dcs.power_active_total_mean"),)))
    line.send(0, [0, 10_000, 20_000])
    assert found(line, "H5") == []
    beside(line, "dcs", [0, 1, 2], stats={"power_active_total_mean": (120_000_000, 117_000_000)})
    assert found(line, "H5") == [("W", 1, 2, 250_000, 202_000)]


def test_fuel_and_generation_are_compared_by_the_heat_value(line: Line) -> None:
    """10 kWh from 2 m3 of 36 MJ are 7.2 MJ a kWh; from 1 m3 3.6, from 5 m3 18."""
    configure(line)
    put(line, Parameters(witnesses=(Witness("fuel", NAME, T0, GAS, 36_000),)))
    beside(line, "gas", [0, 2, 3, 8], quantity="volume", mult=1000)
    line.send(0, [0, 10_000, 20_000, 30_000])
    assert found(line, "H6") == [("I", 1, 2, 3600, 6000), ("I", 2, 3, 18_000, 16_000)]


@pytest.mark.parametrize(("moved", "count"), [(14_666, 0), (14_667, 1)])
def test_read_times_say_what_a_sum_may_differ_by(line: Line, moved: int, count: int) -> None:
    """Of 10 kWh in five minutes 0.1 % are 10 Wh; two steps are 2, and in the 40 ms of both reads passed 2.666."""
    line.send(0, [0, 10_000, 20_000])
    asked = Request(
        channel=NAME, action="edit", start=T0, stop=T0 + 300, author="anna", reason="agreed", text="As agreed.",
        values=(10_000_000 + moved,),
    )  # fmt: skip
    with line.centre.store.write() as connection:
        draft = book.preview(connection, line.centre.log, asked)
        book.apply(connection, line.centre.log, draft, line.centre.clock.wall())
    line.run()
    assert [one[1:] for one in found(line, "G2")] == [(0, 1, 10_000_000 + moved, 10_000_000)] * count


# -- I: changes -----------------------------------------------------------------------------------------------------


def replaced(line: Line) -> list[tuple[str, int | None, int | None]]:
    with line.centre.store.read() as connection:
        rows = connection.execute(select(finding).where(finding.c.rule == "I1").order_by(finding.c.id)).all()
    assert all(row.resolved_position == row.position for row in rows)  # it is over as soon as it is told
    return [(row.text, row.observed, row.limit_) for row in rows]


def test_what_takes_the_place_of_an_estimate_is_told_in_one_sentence(line: Line) -> None:
    line.send(0, [100, 110, None, None, 150])
    assert replaced(line) == []
    line.send(1, [110, 112, 116, 150])
    ((text, now, then),) = replaced(line)
    assert (now, then) == (40_000, 40_000)
    assert text.startswith("3 intervals from 2026-03-02T14:05:00Z: 0.04 kWh now, 0.04 kWh before")
    line.run()
    assert len(replaced(line)) == 1


def test_rules_that_are_set_for_one_meter_judge_no_other(line: Line) -> None:
    configure(line, max_power_kW="0.12")
    line.send(0, [100, 110, 123])
    beside(line, "hall-a", [0, 10, 20])
    with line.centre.store.write() as connection:
        body = parameters.body(Parameters((Entry("E2", T0 + 300, Which(meter="gt1-rev"), on=False),)))
        line.centre.log.record(connection, "rules", body, by="anna", now=line.centre.clock.wall())
    assert line.run().channels == 1
    assert line.read(2)[1] == ["VALID", "VALID"]
    told(line, "meter_lost", T0 * US)
    assert line.run().channels == 0
