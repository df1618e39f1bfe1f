"""Renames, added meters, other interval lengths, other settings, other scales: while intervals are open."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from agent.acquire.drivers.base import BlockRead, Identity, MeterClock
from agent.measure.meterclock import MeterClocks
from agent.measure.resume import resume
from shared.registers import Mark, registers
from tests.measure_bench import IMPORT, T0, US, Metering, boot, point


def law(at: float) -> int:
    return 50_000 + int(at * 3)  # 3 Wh a second: 10.8 kW


def restarted(before: Metering, after: Metering, at: int) -> None:
    resume(after.builder, before.out[-1].state, now_wall=(T0 + at) * US, now_boot=boot(T0 + at))


@pytest.mark.parametrize(("old", "new"), [(300, 900), (900, 300), (300, 600), (600, 900), (60, 3600), (300, 300)])
def test_another_interval_length_acts_at_the_next_common_boundary_and_loses_no_energy(old: int, new: int) -> None:
    first = Metering(law, length=old)
    first.run(-10, old + 30)
    second = Metering(law, length=new)
    restarted(first, second, old + 31)
    second.run(old + 32, 4 * 3600)
    bodies = [*first.bodies, *second.bodies]
    for before, after in pairwise(bodies):
        assert before.start + before.n * before.length == after.start
        assert before.boundaries[-1] == after.boundaries[0]
    change = next((body for body in bodies if body.length == new), bodies[0])
    assert (change.start - T0) % new == 0
    assert {body.length for body in bodies} == {old, new}
    assert None not in [*first.values, *second.values]
    total = sum(value or 0 for value in [*first.values, *second.values])
    stop = bodies[-1].start + bodies[-1].n * bodies[-1].length - T0
    assert total == (law(stop + 0.05) - law(0.05)) * 1000


def test_a_renamed_meter_with_the_same_serial_keeps_its_boundary_and_says_so() -> None:
    first = Metering(law, serial="0012", meter="old")
    first.run(-10, 330)
    second = Metering(law, serial="0012", meter="new")
    restarted(first, second, 340)
    second.run(341, 700)
    assert second.values == [(law(600.05) - law(300.05)) * 1000]
    (event,) = [one for one in second.events if one.event == "meter_renamed"]
    assert (event.meter, event.detail) == ("new", {"from": "old", "to": "new"})
    assert second.out[0].gaps == ()


def test_a_meter_of_another_serial_is_no_renamed_one() -> None:
    first = Metering(law, serial="0012", meter="old")
    first.run(-10, 330)
    second = Metering(law, serial="0013", meter="new")
    restarted(first, second, 340)
    second.run(341, 700)
    assert second.values == [None]


def test_an_added_meter_begins_with_the_boundary_after_it_came() -> None:
    first = Metering(law, meter="a")
    first.run(-10, 330)
    second = Metering(law, meter="a")
    extra = replace(second.builder.meters["a"], id="b")
    second.builder = type(second.builder)(300, 300, 250_000, {**second.builder.meters, "b": extra}, "boot")
    restarted(first, second, 340)
    for at in (600, 900):
        second.builder.open(T0 + at, boot(T0 + at))
        second.read(at + 0.05)
        second.builder.feed(BlockRead("b", 0, boot(T0 + at + 0.06), boot(T0 + at + 0.08), {IMPORT: 7 + at}, {}))
        second.seal(at + 0.1)
        second.seal(at + 21)
    by_meter = {(block.meter, at): block.registers[IMPORT].values for at, body in enumerate(second.bodies)
                for block in body.blocks}  # fmt: skip
    assert by_meter == {
        ("a", 0): (900_000,), ("a", 1): (900_000,), ("b", 0): (None,), ("b", 1): (300_000,)
    }  # fmt: skip


def test_a_ratio_that_is_not_as_configured_is_an_event_and_a_mark_until_it_is_right() -> None:
    day = Metering(law, expects={"ct_primary_A": Fraction(4000)})
    day.builder.identified("m", Identity(settings={"ct_primary_A": Fraction(400)}), boot(T0 - 20))
    day.run(-10, 650)
    day.builder.identified("m", Identity(settings={"ct_primary_A": Fraction(4000)}), boot(T0 + 660))
    day.run(660, 1300)
    marks = [block.registers[IMPORT].flags[1] for block in day.blocks]
    assert marks == [Mark.SETTINGS] * 3 + [Mark.NONE]  # the third interval is the one in which it was set right
    assert day.events[0].event == "settings_mismatch"
    assert day.events[0].detail == {"ct_primary_A": ["400", "4000"]}
    assert day.values == [900_000] * 4  # the register is as it is; what it is worth, a person decides


def test_a_counter_of_parameter_changes_that_moved_is_an_event_also_after_a_restart() -> None:
    first = Metering(law)
    first.builder.identified("m", Identity(settings={"parameter_counter": Fraction(7)}), boot(T0 - 20))
    first.run(-10, 330)
    second = Metering(law)
    restarted(first, second, 340)
    second.builder.identified("m", Identity(settings={"parameter_counter": Fraction(8)}), boot(T0 + 341))
    second.run(342, 1000)
    (event,) = [one for one in second.events if one.event == "settings_changed"]
    assert event.detail == {"parameter_counter": ["8", "7"]}
    assert [block.registers[IMPORT].flags[1] for block in second.blocks] == [Mark.SETTINGS, Mark.NONE]


def test_a_scale_that_changes_begins_a_new_block_and_the_register_goes_on() -> None:
    fine, coarse = point(), point(wh=10)
    day = Metering(law, point=fine)

    def feed(at: float, now: object) -> None:
        moment, raw = boot(T0 + at), law(at) if now is fine else law(at) // 10
        day.builder.feed(BlockRead("m", 0, moment - 9000, moment, {IMPORT: raw}, {}, scaled={IMPORT: now}))  # type: ignore[dict-item] # a Point

    for at in range(0, 1500, 10):
        if at % 300 == 0:
            day.builder.open(T0 + at, boot(T0 + at))
        feed(at + 0.05, fine if at < 400 else coarse)
        day.seal(at + 0.06)
    assert [one.event for one in day.events] == ["scale_changed"]
    levels = {
        body.start + at * 300 - T0: level
        for body in day.bodies
        for block in body.blocks
        for at, level in enumerate(registers(block.registers[IMPORT], block.at, body.boundaries))
        if level is not None
    }
    assert levels == {at: law(at) // (1 if at < 400 else 10) * (1000 if at < 400 else 10_000)
                      for at in range(0, 1500, 300)}  # fmt: skip
    mults = [block.registers[IMPORT].mult for block in day.blocks]
    assert mults == [Fraction(1000), Fraction(1000), Fraction(10_000), Fraction(10_000), Fraction(10_000)]


def test_an_exchange_tells_the_last_read_of_the_old_and_the_first_of_the_new_meter() -> None:
    """The meter is taken out at 12:04 and the next one is in at 12:11: only the seven minutes were seen by nobody."""
    day = Metering(lambda at: law(at) if at < 300 else 5 + int(at - 660) * 3)
    day.builder.identified("m", Identity("A1"), boot(T0 - 20))
    day.run(-10, 250)
    day.builder.open(T0 + 300, boot(T0 + 300))
    day.builder.open(T0 + 600, boot(T0 + 600))
    day.builder.identified("m", Identity("B2"), boot(T0 + 660))
    day.run(661, 1300)
    (event,) = [one for one in day.events if one.event == "meter_exchanged"]
    assert event.detail[IMPORT] == {
        "last": [boot(T0 + 240.05), law(240.05)], "first": [boot(T0 + 670.05), 5 + 10 * 3],
        "enc": "int", "mult": [[1000, 1]],
    }  # fmt: skip


def test_a_meters_clock_is_compared_with_its_full_date_and_told_once() -> None:
    clocks, ours = MeterClocks(), T0 * US
    day_off = MeterClock(told=(T0 - 86_400) * US + 100, sent=0, at=200)
    event = clocks.see("m", day_off, ours)
    assert event is not None
    assert (event.event, event.detail) == ("meter_clock_off", {"ahead_us": -86_400 * US, "within_us": 100})
    assert clocks.see("m", day_off, ours) is None
    right = clocks.see("m", MeterClock(told=T0 * US + 1_000_100, sent=0, at=200), ours)
    assert right is not None
    assert right.event == "meter_clock_right"
