"""Gaps that the meter's own recorder refills, in simulated time: the daemon, its outbox and a meter that keeps."""

from itertools import pairwise
from pathlib import Path

import pytest

from agent.daemon import Agent
from shared.registers import Mark
from tests.recorder_bench import IMPORT, RecorderBench
from tests.site_bench import START, US

EDGE = START + 50
GAP = (*range(EDGE + 600, EDGE + 1800, 300),)  # the meter is silent from 550 s after the first boundary to 1510 s
FIVE_MINUTES = 3_000_000  # 36 kW [mWh]


def silent(bench: RecorderBench) -> tuple[object, ...]:
    """Return the deeds of an outage over four boundaries."""

    def fall(_: Agent) -> None:
        bench.bus.silent.add("a")

    def rise(_: Agent) -> None:
        bench.bus.silent.clear()

    return 50 + 550, fall, 960, rise


def outage(bench: RecorderBench, *, after: float = 1500) -> Agent:
    before, fall, long, rise = silent(bench)
    return bench.run(before, fall, long, rise, after)  # type: ignore[arg-type] # as `silent` gives them


@pytest.fixture
def bench(tmp_path: Path) -> RecorderBench:
    return RecorderBench(tmp_path)


def telescopes(bench: RecorderBench) -> list[int]:
    """Return the energies between all boundaries that are known by either path."""
    levels = bench.levels("recorder") | bench.levels("poll")
    assert sorted(levels) == [*range(min(levels), max(levels) + 1, 300)]
    return [levels[after] - levels[before] for before, after in pairwise(sorted(levels))]


def test_boundaries_that_no_poll_saw_are_told_by_the_recorder(bench: RecorderBench) -> None:
    outage(bench)
    assert sorted(bench.levels("recorder")) == [*GAP]
    assert set(telescopes(bench)) == {FIVE_MINUTES}
    (block,) = bench.path("recorder")
    assert (block.serial, block.serial_source) == ("0012345", "config")
    assert block.samples == (0, 0, 0, 0)
    assert block.stamps == (None, *((wall * US,) for wall in GAP))
    assert block.clock == (0, 0)


def test_what_was_sealed_as_unknown_stays_as_it_was_sealed(bench: RecorderBench) -> None:
    outage(bench)
    polled = {
        body.start + at * 300: value
        for body in bench.bodies()
        for block in body.blocks
        if block.source == "poll"
        for at, value in enumerate(block.registers[IMPORT].values)
    }
    assert [polled[wall] for wall in GAP] == [None] * 4


def test_nothing_is_asked_when_nothing_lacks(bench: RecorderBench) -> None:
    agent = bench.run(50 + 1500)
    assert bench.bus.recalls == []
    assert agent.refill.lacks("a") == []


def test_what_was_asked_once_is_not_asked_again(bench: RecorderBench) -> None:
    agent = outage(bench, after=6000)
    assert len(bench.bus.recalls) == 1
    assert agent.refill.lacks("a") == []


@pytest.mark.parametrize("ahead", [3600, -3600, 86_400, -86_400, 1.5, -1.2])
def test_labels_are_moved_by_what_the_meters_clock_is_ahead(tmp_path: Path, ahead: float) -> None:
    bench = RecorderBench(tmp_path, ahead=ahead)
    outage(bench)
    assert sorted(bench.levels("recorder")) == [*GAP]
    (block,) = bench.path("recorder")
    assert block.clock == (round(ahead * US), 0)
    for wall, stamps in zip(GAP, block.stamps[1:], strict=False):
        assert stamps is not None
        assert stamps[0] % (300 * US) == 0
        assert abs(stamps[0] - ahead * US - wall * US) <= 1.5 * US


@pytest.mark.parametrize("ahead", [3, -3, 47, 3600 + 20])
def test_labels_that_miss_the_boundary_stand_for_it_in_pairs(tmp_path: Path, ahead: float) -> None:
    bench = RecorderBench(tmp_path, ahead=ahead)
    outage(bench)
    (block,) = bench.path("recorder")
    register = block.registers[IMPORT]
    assert register.flags == (0, *[Mark.LATE] * 4)
    assert all(times is not None and len(times) == 2 for times in block.at[1:])
    for energy in telescopes(bench):
        assert abs(energy - FIVE_MINUTES) <= 2000  # two steps of the register


def test_labels_far_from_the_boundaries_stand_for_none(tmp_path: Path) -> None:
    bench = RecorderBench(tmp_path, ahead=100)
    agent = outage(bench)
    assert len(bench.bus.recalls) == 1
    assert bench.path("recorder") == []
    assert agent.refill.lacks("a") == []


def test_a_recorder_with_holes_tells_the_rest(bench: RecorderBench) -> None:
    bench.bus.holes = {GAP[1] * US}
    outage(bench)
    assert sorted(bench.levels("recorder")) == [GAP[0], *GAP[2:]]
    levels = bench.levels("recorder")
    assert levels[GAP[2]] - levels[GAP[0]] == 2 * FIVE_MINUTES


def test_a_recorder_of_quarter_hours_tells_its_own_boundaries_and_no_others(tmp_path: Path) -> None:
    bench = RecorderBench(tmp_path, keeps_s=900)
    outage(bench, after=3000)
    assert sorted(bench.levels("recorder")) == [wall for wall in GAP if wall % 900 == 0]


def disagreeing(bench: RecorderBench, kept: int) -> None:
    """Let the recorder hold so much more than the register shows. [Wh]"""
    ours = (START * US) - 864_000 * US
    bench.bus.kept = lambda meter, label: bench.bus.laws[meter](label - ours) + kept


@pytest.mark.parametrize("kept", [100_000, -100_000, 2000, -2000])
def test_a_recorder_that_contradicts_the_register_is_told_and_not_used(bench: RecorderBench, kept: int) -> None:
    disagreeing(bench, kept)
    outage(bench)
    assert bench.path("recorder") == []
    (found,) = [event for event in bench.events() if event.event == "recorder_disagrees"]
    detail = found.detail[IMPORT]
    assert isinstance(detail, dict)
    assert (detail["from"], detail["to"]) == (GAP[0], GAP[-1])


def test_a_clock_that_was_changed_inside_the_gap_makes_its_labels_unsure(bench: RecorderBench) -> None:
    before, fall, long, rise = silent(bench)
    bench.run(before, fall, long, lambda _: bench.bus.ahead.update(a=3600 * US), rise, 1500)  # type: ignore[arg-type] # as `silent` gives them
    assert bench.bus.recalls == []
    (found,) = [event for event in bench.events() if event.event == "recorder_unsure"]
    assert found.detail["ahead_us"] == [0, 3600 * US]


def test_a_meter_that_was_exchanged_inside_the_gap_is_not_asked(bench: RecorderBench) -> None:
    bench.bus.serials["a"] = "0012345"
    before, fall, long, rise = silent(bench)
    bench.run(before, fall, long, lambda _: bench.bus.serials.update(a="77"), rise, 1500)  # type: ignore[arg-type] # as `silent` gives them
    assert bench.bus.recalls == []
    assert bench.path("recorder") == []


def test_what_passed_while_the_agent_was_down_is_refilled(bench: RecorderBench) -> None:
    bench.run(50 + 610)
    bench.clock.advance(1190)  # down over four boundaries
    bench.run(1500)
    assert sorted(bench.levels("recorder")) == [EDGE + at for at in (900, 1200, 1500, 1800)]
    assert set(telescopes(bench)) == {FIVE_MINUTES}


def test_a_restart_of_the_machine_puts_labels_before_its_boot(bench: RecorderBench) -> None:
    bench.run(50 + 610)
    bench.clock.advance(1195)
    bench.clock._boot, bench.clock.id = 2 * US, "5" * 32
    law = bench.bus.laws["a"]
    bench.bus.laws["a"] = lambda boot: law(boot - 2 * US + (50 + 610 + 1195) * US + 864_000 * US)
    bench.run(1500)
    (block,) = bench.path("recorder")
    assert all(times is not None and times[0] < 0 for times in block.at[1:])
    assert set(telescopes(bench)) == {FIVE_MINUTES}


def test_the_gaps_of_a_former_run_are_asked_for_after_a_restart(bench: RecorderBench) -> None:
    outage(bench, after=310)  # the next boundary closes the gap, the recorder is not yet asked
    assert bench.bus.recalls == []
    bench.run(1500)
    assert set(telescopes(bench)) == {FIVE_MINUTES}


def test_energies_are_summed_from_the_last_polled_register(tmp_path: Path) -> None:
    bench = RecorderBench(tmp_path, holds="energies")
    bench.bus.kept = lambda _meter, _label: 3000  # Wh in each five minutes
    outage(bench)
    assert sorted(bench.levels("recorder")) == [*GAP]
    assert set(telescopes(bench)) == {FIVE_MINUTES}
    (block,) = bench.path("recorder")
    assert block.registers[IMPORT].mult == 1


def test_energies_that_do_not_close_are_not_used(tmp_path: Path) -> None:
    bench = RecorderBench(tmp_path, holds="energies")
    bench.bus.kept = lambda _meter, label: 3000 if label % (900 * US) else 3005
    outage(bench)
    assert bench.path("recorder") == []
    assert [event.event for event in bench.events() if event.event.startswith("recorder")] == ["recorder_disagrees"]


def test_a_recorder_that_refuses_is_asked_again_later_and_less_and_less_often(bench: RecorderBench) -> None:
    bench.bus.recall_refusals = 3
    outage(bench, after=2500)
    waits = [after - before for before, after in pairwise(bench.bus.recalls)]
    assert [wait // (60 * US) for wait in waits[:3]] == [1, 2, 4]
    assert set(telescopes(bench)) == {FIVE_MINUTES}
