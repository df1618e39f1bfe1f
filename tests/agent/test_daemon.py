"""The daemon in simulated time: boundaries, meters that die and come back, clocks that step, restarts, a full disk."""

from itertools import pairwise
from pathlib import Path

import pytest

from agent.daemon import Agent
from agent.settings import effective
from shared.batch import Config
from shared.errors import StoreError
from shared.registers import Mark
from tests.fakes import ManualClock
from tests.site_bench import BOOT, START, US, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


EDGE = START + 50


def test_each_boundary_has_its_read_and_each_interval_its_energy(bench: Bench) -> None:
    bench.run(50 + 3 * 300 + 2)
    assert bench.values() == dict.fromkeys(range(EDGE, EDGE + 900, 300), 3_000_000)  # 36 kW x 5 min
    for body in bench.bodies():
        for boundary, times in zip(body.boundaries, body.blocks[0].at, strict=True):
            assert boundary is not None
            assert times is not None
            assert 0 < times[0] - boundary < 100_000


def test_the_configuration_is_the_first_batch_of_an_epoch_and_comes_again_at_a_change(bench: Bench) -> None:
    bench.run(1)
    bench.run(1)
    bench.meters["a"] += "\npoll_s = 5"
    bench.run(1)
    kinds = [batch.kind for batch in bench.batches()]
    assert kinds == ["config", "config"]
    last = bench.batches()[-1]
    assert (last.seq, last.config) == (2, 2)
    assert isinstance(last.body, Config)
    assert last.body.settings["profiles"] == effective(bench.site, bench.profiles)["profiles"]


def test_the_signed_configuration_holds_no_secret(bench: Bench) -> None:
    bench.run(1)
    assert "data_dir" not in str(bench.batches()[0].body)
    assert "password" not in str(bench.batches()[0].body)


def test_a_heartbeat_comes_when_nothing_else_was_sealed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, length=900)
    bench.clock = ManualClock(wall=(START + 350) * US, boot=BOOT)  # a boundary of 900 s passes 300 s later
    bench.bus.clock = bench.clock
    bench.run(3 * 900)
    batches = bench.batches()
    assert [batch.kind for batch in batches[1:]].count("heartbeat") >= 4
    times = [batch.created for batch in batches]
    assert max(after - before for before, after in pairwise(times)) <= 302 * US


def test_a_meter_that_dies_and_comes_back_is_two_events_and_a_gap_that_stays_a_gap(bench: Bench) -> None:
    bench.run(
        50 + 310, lambda _: bench.bus.silent.add("a"), 620, lambda _: bench.bus.silent.clear(), 310, 310,
    )  # fmt: skip
    assert [(event.event, event.count) for event in bench.events()] == [("meter_lost", 1), ("meter_back", 1)]
    assert list(bench.values().values()) == [3_000_000, None, None, None, 3_000_000]
    levels = [block.registers["energy_active_import"].raw for block in bench.blocks()]
    known = [raw[0] for raws in levels for raw in raws if raw is not None]
    assert known == sorted(known)
    assert bench.gaps() == []


def test_a_dead_meter_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a="", b="")
    bench.bus.silent.add("a")
    bench.run(50 + 605)
    assert list(bench.values("b").values()) == [3_000_000, 3_000_000]
    assert list(bench.values("a").values()) == [None, None]


def test_a_dead_link_is_told_once_for_each_meter(tmp_path: Path) -> None:
    bench = Bench(tmp_path, a="", b="")
    bench.bus.down = True
    bench.run(50 + 610)
    assert sorted((event.meter, event.event, event.count) for event in bench.events()) == [
        ("a", "meter_lost", 1), ("b", "meter_lost", 1),
    ]  # fmt: skip


def test_a_meter_that_refuses_lives(bench: Bench) -> None:
    bench.bus.refuses["a"] = 4
    agent = bench.run(50 + 310)
    assert agent.lost == {}
    found = bench.events()
    assert {event.event for event in found} == {"read_refused"}
    assert len(found) == 2  # one for each batch
    assert 30 <= found[0].count < 40


def test_a_gateway_that_answers_for_a_dead_unit_is_not_the_meter(bench: Bench) -> None:
    bench.bus.refuses["a"] = 11
    agent = bench.run(50 + 310)
    assert list(agent.lost) == ["a"]
    assert [event.event for event in bench.events()] == ["meter_lost"]


def test_registers_that_a_meter_lacks_are_null_and_the_others_keep_their_run(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.quantities = ["energy_active_import", "energy_active_export"]
    bench.run(50 + 310, lambda _: bench.bus.missing.update({"a": {3207}}), 620)
    assert list(bench.values().values()) == [3_000_000] * 3
    assert next(iter(bench.values("a", "energy_active_export").values())) == 3_000_000
    assert list(bench.values("a", "energy_active_export").values())[2] is None
    flags = [flag for block in bench.blocks() for one in block.registers.values() for flag in one.flags]
    assert not any(flag & Mark.SEAM for flag in flags)


def test_a_clock_that_steps_forward_is_anchored_on_both_sides(bench: Bench) -> None:
    bench.run(50 + 400, lambda _: bench.clock.step(700), 400)
    steps = [event for event in bench.events() if event.event == "clock_step"]
    assert len(steps) == 1
    assert steps[0].detail == {"step_us": 700 * US}
    anchors = {batch.clock.anchors for batch in bench.batches() if len(batch.clock.anchors) > 1}
    ((before, after, _),) = anchors  # in every batch of one commit, and never again
    assert (after[1] - after[0]) - (before[1] - before[0]) == 700 * US
    assert set(bench.values().values()) == {3_000_000}
    assert bench.gaps() == []  # nothing was missed: only the labels jumped


@pytest.mark.parametrize("step", [-3600, 3600, -86_400, 86_400, -400, 700])
def test_a_clock_that_steps_begins_a_timeline_and_every_boundary_keeps_its_place_on_the_boot_clock(
    bench: Bench, step: int
) -> None:
    """Labels may stand twice; what was sealed is not opened again, and no energy is lost between the timelines."""
    bench.run(50 + 610)
    sealed = list(bench.bodies())
    bench.run(5, lambda _: bench.clock.step(step), 1200)
    bodies = bench.bodies()
    assert bodies[: len(sealed)] == sealed
    places = [(body.boundaries[0], body.boundaries[-1]) for body in bodies]
    for (_, end), (begin, _) in pairwise(places):
        assert end is not None
        assert begin is not None
        assert end <= begin < end + 2 * 300 * US
    assert set(bench.values().values()) == {3_000_000}
    starts = [body.start for body in bodies[len(sealed) :]]
    assert min(abs(start - (sealed[-1].start + 300 + step)) for start in starts) <= 600
    assert [event.detail for event in bench.events() if event.event == "clock_step"] == [{"step_us": step * US}]


def test_a_clock_that_was_years_ahead_does_not_stop_the_agent(bench: Bench) -> None:
    bench.clock.step(4 * 365 * 86_400)
    bench.run(50 + 310, lambda _: bench.clock.step(-4 * 365 * 86_400), 900)
    values = [value for start, value in bench.values().items() if start < EDGE + 86_400]
    assert len(values) >= 2
    assert values[-1] == 3_000_000


def test_a_boot_with_the_clock_of_1970_seals_at_once_and_disowns_nothing(bench: Bench) -> None:
    bench.run(50 + 610)
    sealed = bench.values()
    wall = bench.clock.wall()
    bench.clock.id = "f" * 32
    bench.clock.step(1000 - wall / US)
    bench.run(700, lambda _: bench.clock.step(wall / US + 300), 700)
    assert bench.values().items() >= sealed.items()
    early = [start for start in bench.values() if start < 86_400]
    assert len(early) == 1  # sealed before anybody knew the time
    assert max(bench.values()) > max(sealed) + 300


def test_a_restart_within_an_interval_continues_it(bench: Bench) -> None:
    bench.run(50 + 420)
    bench.clock.advance(60)
    bench.run(300)
    assert list(bench.values().values()) == [3_000_000, 3_000_000]
    assert bench.gaps() == []


def test_a_restart_across_boundaries_names_the_gap_and_keeps_the_run(bench: Bench) -> None:
    bench.run(50 + 420)
    bench.clock.advance(700)  # two boundaries
    bench.run(700)
    gaps = bench.gaps()
    assert [(gap.start, gap.stop, gap.reason) for gap in gaps] == [(EDGE + 300, EDGE + 1200, "agent_down")]
    assert [event for event in bench.events() if "reset" in event.event] == []
    levels = [one[0] for block in bench.blocks() for one in block.registers["energy_active_import"].raw if one]
    assert levels == sorted(levels)


def test_a_second_death_before_the_first_boundary_forgets_nothing(bench: Bench) -> None:
    """The gap of the first absence was not yet sealed: the next start names both as one."""
    bench.run(50 + 420)
    bench.clock.advance(700)
    bench.run(5)
    bench.clock.advance(600)
    bench.run(700)
    assert [(gap.start, gap.stop) for gap in bench.gaps()] == [(EDGE + 300, EDGE + 1800)]


def test_a_reset_of_the_register_while_the_agent_was_down_is_a_seam(bench: Bench) -> None:
    bench.run(50 + 420)
    bench.clock.advance(700)
    bench.bus.laws["a"] = lambda boot: 10 * (boot - BOOT) // (3600 * US)
    bench.run(700)
    assert [event.event for event in bench.events()].count("register_reset") == 1


def test_a_clean_stop_seals_what_is_closed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, length=300)
    bench.run(50 + 310, 5, stop=True)
    assert list(bench.values().values()) == [3_000_000]
    assert bench.batches()[-1].kind in ("heartbeat", "event", "intervals")


def test_a_serial_without_its_leading_zeros_is_the_same_meter(bench: Bench) -> None:
    bench.bus.serials["a"] = "12345"
    bench.run(50 + 310)
    assert [event.event for event in bench.events()] == []
    assert {(block.serial, block.serial_source) for block in bench.blocks()} == {("0012345", "device")}


def test_another_serial_is_told(bench: Bench) -> None:
    bench.bus.serials["a"] = "99"
    bench.run(50 + 310)
    (found,) = bench.events()
    assert (found.event, found.detail) == ("serial_mismatch", {"device": "99", "config": "0012345"})


def test_a_meter_exchanged_while_it_was_silent_is_known_before_its_first_read(bench: Bench) -> None:
    """The new meter's register is higher: nothing but its serial tells that no energy flowed."""
    bench.bus.serials["a"] = "0012345"

    def exchange(_: Agent) -> None:
        bench.bus.silent.clear()
        bench.bus.serials["a"] = "777"
        bench.bus.laws["a"] = lambda boot: 90_000_000 + boot // (100 * US)

    bench.run(50 + 320, lambda _: bench.bus.silent.add("a"), 120, exchange, 900)
    assert [event.event for event in bench.events()].count("meter_exchanged") == 1
    assert max(value or 0 for value in bench.values().values()) <= 3_000_000
    assert {block.serial for block in bench.blocks()} == {"0012345", "777"}


def test_a_falling_register_makes_the_identity_be_read_soon(bench: Bench) -> None:
    bench.bus.serials["a"] = "0012345"

    def swap(_: Agent) -> None:
        bench.bus.serials["a"] = "777"
        bench.bus.laws["a"] = lambda boot: boot // (100 * US)

    bench.run(50 + 320, swap, 60)
    assert len(bench.bus.identities) == 2  # at the start, and at the fall; not an hour later
    bench.run(600)
    assert [event.event for event in bench.events()].count("meter_exchanged") == 1


def test_while_the_disk_is_full_nothing_is_lost(bench: Bench) -> None:
    def fill(agent: Agent) -> None:
        pages = agent.outbox._db.execute("PRAGMA page_count").fetchone()[0]
        agent.outbox._db.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError):
            agent.outbox.put("filler", "x" * 20_000_000)

    def free(agent: Agent) -> None:
        assert agent.unsealed
        agent.outbox._db.execute("PRAGMA max_page_count = 100000")

    bench.run(50 + 310, fill, 900, free, 310)
    assert list(bench.values().values()) == [3_000_000] * 5


def test_time_passes_only_where_the_clock_says_so(bench: Bench) -> None:
    """A day of simulated time leaves the same as a day would."""
    bench.run(50 + 24 * 300)
    assert len(bench.values()) == 23
    assert set(bench.values().values()) == {3_000_000}
