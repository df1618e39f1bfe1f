"""Registers that freeze under load, that are coarse, or that the meter renews only now and then."""

import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.measure.resume import resume
from shared.registers import Mark, bounds, registers
from tests.measure_bench import IMPORT, T0, Metering, boot, point

KILOWATT = 1_000_000  # [mW]
HOLD = 47  # [s]
WATT_SECOND = 3600  # a watt for a second is 1/3600 Wh


class Law:
    """A load that goes up and down around some watts, and the energy of it by hand: an integral of steps."""

    def __init__(self, watts: float, seed: int = 0) -> None:
        chance = random.Random(seed)
        self.steps = [watts * (0.5 + chance.random()) for _ in range(2500)]  # each holds 47 s [W]
        self.sums = [0.0]
        for step in self.steps:
            self.sums.append(self.sums[-1] + step * HOLD)

    def watts(self, at: float) -> float:
        return self.steps[int(at // HOLD) + 100]

    def energy(self, at: float) -> float:
        """Return the energy since long before T0. [Wh]"""
        step = int(at // HOLD) + 100
        return (self.sums[step] + self.steps[step] * (at - at // HOLD * HOLD)) / WATT_SECOND


def test_eight_of_288_frozen_intervals_are_all_found_and_the_sum_is_exact() -> None:
    law, chance = Law(900_000), random.Random(7)
    frozen = sorted(chance.sample(range(4, 280, 3), 8))  # the source stands still before and through these intervals

    def shown(at: float) -> int:
        slot = int((at + 150) // 300)
        stands = slot in frozen or (slot - 1 in frozen and at < slot * 300 - 10)
        return int(law.energy((slot if slot in frozen else slot - 1) * 300 - 150 if stands else at))

    day = Metering(shown, lambda at: int(law.watts(at) * 1000))
    day.run(-60, 86_400 + 60)
    day.run(86_460, 86_720)
    values = day.values[:288]
    assert len(values) == 288
    missing = [slot for slot, value in enumerate(values) if value is None]
    assert set(frozen) <= set(missing)
    assert len(missing) <= 2 * len(frozen)  # the interval in which it catches up is unknown, too
    assert sum(one.event == "register_frozen" for one in day.events) == 8
    levels = [
        level
        for body, block in zip(day.bodies, day.blocks, strict=True)
        for level in registers(block.registers[IMPORT], block.at, body.boundaries)
    ]
    known = [level for level in levels if level is not None]
    stop = day.bodies[-1].start + 300 - T0
    assert known[-1] - known[0] == (int(law.energy(stop + 0.05)) - int(law.energy(0.05))) * 1000
    assert all(flag in (Mark.NONE, Mark.FROZEN) for block in day.blocks for flag in block.registers[IMPORT].flags)


def test_the_advance_over_a_freeze_is_told_with_its_first_and_last_read() -> None:
    law = Law(360_000)
    day = Metering(lambda at: int(law.energy(min(at, 400) if at < 1000 else at)), lambda at: int(law.watts(at) * 1000))
    day.run(0, 1500)
    (event,) = [one for one in day.events if one.event == "register_frozen"]
    assert event.detail[IMPORT] == {
        "last": [boot(T0 + 400.05), int(law.energy(400))], "first": [boot(T0 + 1000.05), int(law.energy(1000.05))]
    }  # fmt: skip


def test_a_freeze_is_still_known_after_a_restart() -> None:
    law = Law(360_000)

    def frozen(at: float) -> int:
        return int(law.energy(min(at, 400)))

    day = Metering(frozen, lambda at: int(law.watts(at) * 1000))
    day.run(0, 640)
    again = Metering(frozen, lambda at: int(law.watts(at) * 1000))
    resume(again.builder, day.out[-1].state, now_wall=(T0 + 650) * 1_000_000, now_boot=boot(T0 + 650))
    again.run(651, 1300)
    assert again.values == [None, None]


@pytest.mark.parametrize("power", [None, -1, 0])
def test_without_load_that_should_move_it_a_standing_register_is_no_freeze(power: int | None) -> None:
    """No power known; power in the other direction (a wrong sign does not make gaps); no power at all."""
    told = None if power is None else lambda _: power * KILOWATT
    day = Metering(lambda at: 1000 if at >= 60 else 900 + int(at), told)
    day.run(0, 1300)
    assert day.values[1:] == [0] * len(day.values[1:])


@settings(max_examples=10, deadline=None)
@given(st.integers(20, 4000), st.integers(1, 100))
def test_a_coarse_register_that_moves_seldom_is_never_taken_for_frozen(watts: int, wh: int) -> None:
    """Steps of up to 100 Wh at a few watts: hours may pass between two steps."""
    law = Law(watts, seed=watts)
    day = Metering(lambda at: int(law.energy(at) / wh), lambda at: int(law.watts(at) * 1000), point=point(wh=wh))
    day.run(0, 9_000)
    assert None not in day.values


@pytest.mark.parametrize(("poll", "update"), [(10, 10), (2, 10), (5, 10)])
def test_the_truth_lies_inside_the_bounds_of_a_latched_register_and_the_bias_is_under_a_second(
    poll: int, update: int
) -> None:
    """A meter that renews its registers every 10 s (or 60) at an unknown phase."""
    errors = []
    for seed in range(16):
        law, phase = Law(720_000, seed), random.Random(seed).random() * update

        def latched(at: float, law: Law = law, phase: float = phase) -> int:
            return int(law.energy((at - phase) // update * update + phase))

        day = Metering(latched, length=60, poll=poll, update=update)
        day.run(-120, 1200)
        for body, block in zip(day.bodies, day.blocks, strict=True):
            register = block.registers[IMPORT]
            levels = registers(register, block.at, body.boundaries)
            for at, (level, both) in enumerate(zip(levels, bounds(register, block.at), strict=True)):
                if level is None or both is None:
                    continue
                wall = body.start + at * body.length - T0
                truth = Fraction(law.energy(wall)) * 1000
                assert both[0] <= truth <= both[1]
                errors.append(float(level - truth) / (law.watts(wall) * 1000 / 3600))  # seconds of load [mWh/(mWh/s)]
    assert len(errors) > 100
    assert abs(sum(errors) / len(errors)) < 1


def test_a_register_that_is_renewed_at_once_is_read_once_at_each_boundary() -> None:
    law = Law(720_000)
    day = Metering(lambda at: int(law.energy(at)))
    day.run(0, 1000)
    assert {len(times or ()) for block in day.blocks for times in block.at} == {1}
